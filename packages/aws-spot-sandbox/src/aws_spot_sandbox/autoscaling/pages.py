"""Pages of Auto Scaling's lists: `MaxRecords` and `NextToken`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from aws_spot_sandbox.autoscaling import model
from aws_spot_sandbox.ec2 import paging
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Item = TypeVar("Item")


def page(
    rows: Sequence[Item], args: Mapping[str, Any], *, most: int = 100, default: int = 50
) -> tuple[Sequence[Item], str | None]:
    """One page, and the token of the next one, if any (Auto Scaling API reference, MaxRecords)."""
    size = args.get("MaxRecords")
    if size is not None and not 1 <= size <= most:
        raise model.invalid(
            f"1 validation error detected: Value '{size}' at 'maxRecords' failed to satisfy constraint: Member must have "
            f"value less than or equal to {most}"
        )
    try:
        start = paging.offset(args.get("NextToken"))
    except AwsError as wrong:
        raise AwsError("InvalidNextToken", wrong.message) from wrong
    end = start + (size or default)
    return rows[start:end], paging.token(end) if end < len(rows) else None
