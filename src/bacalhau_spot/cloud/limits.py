"""EC2's limits per call. Every paginated call is checked here.

Sources: EC2 API reference, "Common errors" (FilterLimitExceeded: 200 filter values a call), "Pagination" (unpaginated
calls are throttled, time out, or are blocked in accounts with high limits); the bounds of `MaxResults` in each
operation's page.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

MAX_FILTER_VALUES = 200
MAX_PAGE_SIZE = 1000  # if the operation's model and documentation have no other

# EC2 has two spellings of the parameter (EC2 API reference, DescribeEgressOnlyInternetGateways and DescribeFlowLogs).
_FILTER_PARAMETERS = ("Filters", "Filter")
_DOCUMENTED_BOUNDS = re.compile(r"(?:between [\d,]+ and|greater than) ([\d,]+)")


def within_filter_limit(parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Split the parameters into as many calls as the limit of filter values requires; mostly one.

    The values of one filter are alternatives, so the union of the results is the result of the whole. Raises ValueError
    if more than one filter is too long, because no split is then equivalent.
    """
    name = next(filter(parameters.get, _FILTER_PARAMETERS), _FILTER_PARAMETERS[0])
    filters = list(parameters.get(name) or ())
    if sum(map(_value_count, filters)) <= MAX_FILTER_VALUES:
        yield dict(parameters)
        return
    longest = max(filters, key=_value_count)
    others = [entry for entry in filters if entry is not longest]
    size = MAX_FILTER_VALUES - sum(map(_value_count, others))
    if size < 1:
        raise ValueError(f"{name}: more than one filter exceeds {MAX_FILTER_VALUES} values")
    values = longest["Values"]
    for start in range(0, len(values), size):
        part = {**longest, "Values": values[start : start + size]}
        yield {**parameters, name: [*others, part]}


def _value_count(entry: Mapping[str, Any]) -> int:
    return len(entry["Values"])


def page_size(operation: Any, parameters: Mapping[str, Any]) -> int | None:
    """The largest page size of the operation (a botocore OperationModel); None if `MaxResults` is not allowed.

    EC2 refuses `MaxResults` together with ids (EC2 API reference, DescribeInstances, DescribeVolumes,
    DescribeInstanceStatus …).
    """
    members = operation.input_shape.members if operation.input_shape else {}
    size = members.get("MaxResults")
    if size is None or "MaxResults" in parameters:
        return None
    if any(name.endswith(("Id", "Ids", "Names")) for name, value in parameters.items() if value):
        return None
    if "max" in size.metadata:
        return int(size.metadata["max"])
    bounds = _DOCUMENTED_BOUNDS.search(size.documentation)
    return int(bounds[1].replace(",", "")) if bounds else MAX_PAGE_SIZE


def without_duplicates(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without duplicates: an item with several values of a filter is in several parts of a split call."""
    unique = {_fingerprint(row): row for row in rows}
    return list(unique.values())


def _fingerprint(value: Any) -> Hashable:
    if isinstance(value, dict):
        return frozenset((key, _fingerprint(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return tuple(_fingerprint(inner) for inner in value)
    return value  # type: ignore[no-any-return]  # a scalar: text, number or time
