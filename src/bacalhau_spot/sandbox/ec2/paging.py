"""Pages: MaxResults and NextToken as AWS treats them."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, TypeVar

from bacalhau_spot.sandbox.wire import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Item = TypeVar("Item")


def page(
    items: Sequence[Item], args: Mapping[str, Any], *, largest: int = 1000, smallest: int = 1
) -> tuple[Sequence[Item], str | None]:
    """One page of the items, and the token of the next one if there is one. Nothing longer than `largest` is sent."""
    size = args.get("MaxResults")
    if size is None:
        size = largest
    elif not smallest <= size <= largest:
        bound = f"greater than {smallest}" if size < smallest else f"smaller than {largest}"
        raise AwsError(
            "InvalidParameterValue",
            f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value {bound}.",
        )
    start = offset(args.get("NextToken"))
    end = start + size
    return items[start:end], token(end) if end < len(items) else None


def token(start: int) -> str:
    return base64.urlsafe_b64encode(f"page:{start}".encode()).decode()


def offset(value: str | None) -> int:
    if not value:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(value.encode()).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        word, number = "", ""
    if word != "page" or not number.isdigit():
        raise AwsError("InvalidNextToken", f"The token '{value}' is invalid")
    return int(number)
