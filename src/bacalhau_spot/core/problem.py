"""A failed AWS call, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


GroupKey = TypeVar("GroupKey", str, tuple[str, str], tuple[str, str, bool])  # the grouping key of failures


@dataclass(frozen=True, slots=True)
class ApiFailure:
    """An AWS error and its place. `code`, `message` and `operation` are AWS's; core.error_catalog.classifier has their
    meaning.

    `request_id`: for AWS's support.
    """

    code: str
    message: str
    operation: str
    region: str
    request_id: str = ""


def regions_by_failure(
    failures: Iterable[ApiFailure], key: Callable[[ApiFailure], GroupKey]
) -> dict[GroupKey, list[str]]:
    """The regions of each kind of refusal, both in order: the same refusal in twelve regions is one."""
    groups: dict[GroupKey, set[str]] = {}
    for failure in failures:
        groups.setdefault(key(failure), set()).add(failure.region)
    return {key: sorted(groups[key]) for key in sorted(groups)}
