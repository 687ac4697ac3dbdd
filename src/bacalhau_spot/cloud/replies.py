"""Rejects replies that are not from AWS. A proxy's or sign-in page's reply may be well formed and parse as an empty
one.

An empty reply would mean "nothing exists", the most dangerous error for a program that deletes.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import textwrap
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.parsers import ResponseParserError, ResponseParserFactory

from bacalhau_spot.cloud.aws_errors import non_aws_response

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_LONGEST_REASON = 120
_BODY_FOLLOWS = ". Further retries may succeed"  # botocore appends the whole reply after this text

Class = TypeVar("Class", bound=type)

_SUCCESS = range(200, 300)
# Protocols whose successful replies have a root element named after the operation (AWS Query and EC2 Query protocol of
# the Smithy specification).
_NAMED_ROOT = frozenset({"ec2", "query"})
_XML = _NAMED_ROOT | {"rest-xml"}
_READS = ("Describe", "Get", "List")
_REPEATED = frozenset({"list", "map"})
_PROLOG = re.compile(rb"^\s*(<\?xml[^>]*\?>\s*)?")
_JSON = frozenset({"json", "rest-json"})
_JSON_TYPES = {"structure": dict, "list": list, "map": dict, "string": str}
# SQS omits empty lists (SQS API reference, ListQueues, ListQueueTags, GetQueueAttributes).
_MAY_BE_EMPTY = frozenset({"sqs"})

# Exceptions for a malformed reply: a missing member, a wrong type, not a number, out of range, nested too deep.
MALFORMED = (
    ResponseParserError,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


class StrictParserFactory(ResponseParserFactory):  # type: ignore[misc]  # botocore is not typed
    """Parsers that refuse an element that occurs twice where AWS has one. botocore returns both, and reads two booleans as false.

    Without this method in botocore, they are as any others.
    """

    def create_parser(self, protocol_name: str) -> Any:
        parser = super().create_parser(protocol_name)
        if protocol_name in _XML:
            parser.__class__ = _strict(type(parser))  # type: ignore[arg-type]  # a type is hashable
        return parser


@functools.cache
def _strict(parser: Any) -> Any:
    return type(f"Strict{parser.__name__}", (_OnceOnly, parser), {})


class _OnceOnly:
    def _parse_shape(self, shape: Any, node: Any) -> Any:
        if isinstance(node, list) and shape.type_name not in _REPEATED:
            raise ResponseParserError(f"{shape.name} occurs {len(node)} times")
        return super()._parse_shape(shape, node)  # type: ignore[misc]  # of botocore's parser


def reject_foreign_replies(client: Any) -> None:
    """Make this client raise ResponseParserError for successful replies that are not in AWS's format."""
    client.meta.events.register("after-call", _check)


def _check(*, http_response: Any, parsed: Any, model: Any, **_others: Any) -> None:
    if http_response.status_code not in _SUCCESS:
        return
    # Every AWS reply has a request id, in a header or in the body (AWS General Reference, "AWS request identifiers").
    if not parsed.get("ResponseMetadata", {}).get("RequestId"):
        raise ResponseParserError("the reply has no request id")
    protocol = model.service_model.resolved_protocol
    if protocol in _NAMED_ROOT:
        _check_xml(http_response.content, model)
    if (
        protocol == "rest-xml"
        and model.name.startswith(_READS)
        and not _PROLOG.sub(b"", http_response.content)
    ):
        raise ResponseParserError("the reply has no document")
    if protocol in _JSON and model.output_shape is not None and model.output_shape.members:
        _check_json(http_response.content, model)


def _check_xml(body: bytes, model: Any) -> None:
    if not _has_root(body, f"{model.name}Response"):
        raise ResponseParserError(f"the reply's root is not {model.name}Response")
    members = model.output_shape.members if model.output_shape is not None else {}
    for name, member in members.items():
        tag = member.serialization.get("name", name)
        # botocore parses a text in place of a list as an empty list.
        if member.type_name == "list" and re.search(rf"<{tag}>\s*[^<\s]".encode(), body):
            raise ResponseParserError(f"{name} is not a list")


def _has_root(body: bytes, name: str) -> bool:
    start = _PROLOG.sub(b"", body[:1000], count=1)
    return start.startswith(f"<{name}".encode())


def _check_json(body: bytes, model: Any) -> None:
    if model.has_streaming_output or model.output_shape.serialization.get("payload"):
        return
    members = json.loads(body or b"null")
    if not isinstance(members, dict):
        raise ResponseParserError("the reply is not a JSON object")
    for name, member in model.output_shape.members.items():
        _check_type(member, members.get(member.serialization.get("name", name)), name)
    reads = model.name.startswith(_READS)
    if reads and not members and model.service_model.service_name not in _MAY_BE_EMPTY:
        raise ResponseParserError("the reply is an empty object")


def _check_type(shape: Any, value: Any, path: str) -> None:
    """Check containers and the types of scalars, which botocore passes on unchecked. Null equals a missing member."""
    if value is None:
        return
    expected: Any = _JSON_TYPES.get(shape.type_name, (str, int, float))
    if not isinstance(value, expected):
        raise ResponseParserError(f"{path} is not a {shape.type_name}")
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            _check_type(member, value.get(member.serialization.get("name", name)), f"{path}.{name}")
    elif shape.type_name in ("list", "map"):
        inner = shape.member if shape.type_name == "list" else shape.value
        for item in value if shape.type_name == "list" else value.values():
            _check_type(inner, item, f"{path}[]")


def refuses_malformed_replies(cls: Class) -> Class:
    """A class decorator: each public coroutine of the class and its bases raises CloudError for a reply it cannot
    parse.

    These classes only translate, so an exception in them while parsing a reply is caused by the reply.
    """
    for name in dir(cls):
        method = getattr(cls, name)
        if not name.startswith("_") and inspect.iscoroutinefunction(method):
            setattr(cls, name, _translated(name, method))
    return cls


def _translated(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await method(self, *args, **kwargs)
        except MALFORMED as error:
            region = args[0] if args and isinstance(args[0], str) else ""
            raise non_aws_response(operation=name, region=region, detail=reason(error)) from error

    return read


def answered_at(reply: dict[str, Any]) -> datetime:
    """The time of the reply by AWS's clock, to the second. Raises KeyError or ValueError without a date."""
    return parsedate_to_datetime(reply["ResponseMetadata"]["HTTPHeaders"]["date"])


def reason(error: Exception) -> str:
    """The parse error in a few words: the exception may contain the whole reply."""
    name = "" if isinstance(error, ResponseParserError) else type(error).__name__
    words = str(error).partition(_BODY_FOLLOWS)[0]
    return textwrap.shorten(f"{name} {words}", _LONGEST_REASON, placeholder=" …")


def required(reply: dict[str, Any], key: str, *, operation: str, region: str) -> Any:
    """A member that AWS always returns, even for an empty list. Raises CloudError if it is missing."""
    if key not in reply:
        raise non_aws_response(operation=operation, region=region, detail=f"{key} is missing")
    return reply[key]
