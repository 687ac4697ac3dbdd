"""Pages: MaxResults and NextToken as AWS treats them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from moto.core.utils import get_service_model

from aws_spot_sandbox.ec2.page_bounds import page_bounds
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_spot_sandbox.http_types import Call, Handler, Reply

Item = TypeVar("Item")

_OK = 200


def page(
    items: Sequence[Item], args: Mapping[str, Any], *, largest: int = 1000, smallest: int = 1
) -> tuple[Sequence[Item], str | None]:
    """One page of at most `largest` items, and the token of the next page, if any."""
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


def paged(call: Call, answer: Handler) -> Reply:
    """Paginate an operation that `answer` returns as a whole: `MaxResults` items, or the operation's maximum.

    AWS: EC2 API reference, "Pagination"; InvalidNextToken, "Error codes".
    """
    operation = get_service_model("ec2").operation_model(call.action)
    members = operation.input_shape.members if operation.input_shape else {}
    if not {"MaxResults", "NextToken"} <= members.keys():
        return answer(call)
    start = offset(call.params.get("NextToken"))
    size = int(call.params.get("MaxResults") or page_bounds(call.action)[1])
    reply = answer(_unpaged(call))
    listed = _list_tag(operation.output_shape)
    if reply.status != _OK or not listed or (start == 0 and reply.body.count(b"<item") <= size):
        return reply
    return replace(reply, body=_part(reply.body, listed, start, size))


def _unpaged(call: Call) -> Call:
    params = {name: value for name, value in call.params.items() if name not in ("MaxResults", "NextToken")}
    if len(params) == len(call.params):
        return call
    return replace(call, params=params, body=urlencode({"Action": call.action, **params}).encode())


def _list_tag(shape: Any) -> str:
    """The XML tag of the list in a reply, which has one list besides the token."""
    lists = [(name, member) for name, member in shape.members.items() if member.type_name == "list"]
    return str(lists[0][1].serialization.get("name", lists[0][0])) if lists else ""


def _part(body: bytes, listed: str, start: int, size: int) -> bytes:
    root = ET.fromstring(body)  # noqa: S314 - our own answer
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    rows = root.find(space + listed)
    items = list(rows) if rows is not None else []
    for item in [*items[:start], *items[start + size :]]:
        rows.remove(item)  # type: ignore[union-attr]  # without rows there are no items
    if start + size < len(items):
        ET.SubElement(root, f"{space}nextToken").text = token(start + size)
    return bytes(
        ET.tostring(root, encoding="UTF-8", xml_declaration=True, default_namespace=space[1:-1] or None)
    )


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
