"""The encoded message in EC2's authorization errors, and its decoding by `sts decode-authorization-message`.

AWS: STS API Reference, DecodeAuthorizationMessage: whether the denial was explicit, the principal, the action, the
resource, and the condition keys of the request. The sandbox encodes the message without encryption, because it has no
secrets in it.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from xml.sax.saxutils import escape

from aws_spot_sandbox.http_types import AwsError, Reply
from aws_spot_sandbox.middleware.identity import USER_ARN

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call, Handler
    from aws_spot_sandbox.state import World

DECODE = "sts:DecodeAuthorizationMessage"
_MARK = b"sandbox:"
_ANSWER = (
    '<DecodeAuthorizationMessageResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
    "<DecodeAuthorizationMessageResult><DecodedMessage>{message}</DecodedMessage></DecodeAuthorizationMessageResult>"
    "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></DecodeAuthorizationMessageResponse>"
)


def encoded(call: Call, *, action: str, resource: str, explicit: bool) -> str:
    text = json.dumps(_message(call, action, resource, explicit=explicit), separators=(",", ":"))
    return base64.urlsafe_b64encode(zlib.compress(_MARK + text.encode())).decode().rstrip("=")


def decoded(text: str) -> str:
    """Raises AwsError for a message that the sandbox did not encode."""
    try:
        raw = zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, zlib.error):
        raw = b""
    if not raw.startswith(_MARK):
        raise AwsError("InvalidAuthorizationMessageException", "Message is not valid.")
    return raw.removeprefix(_MARK).decode()


class Decoder:
    """Implements DecodeAuthorizationMessage, which moto lacks."""

    def __init__(self, world: World, inner: Handler) -> None:
        del world
        self._inner = inner

    def __call__(self, call: Call) -> Reply:
        if call.name != DECODE:
            return self._inner(call)
        message = escape(decoded(call.params.get("EncodedMessage", "")))
        return Reply(_ANSWER.format(message=message, request_id=uuid4()).encode())


def _message(call: Call, action: str, resource: str, *, explicit: bool) -> dict[str, Any]:
    keys = {"aws:Region": call.region, f"{call.service}:Region": call.region, "aws:Service": call.service}
    conditions = [{"key": key, "values": {"items": [{"value": value}]}} for key, value in keys.items()]
    return {
        "allowed": False,
        "explicitDeny": explicit,
        "matchedStatements": {"items": []},
        "failures": {"items": []},
        "context": {
            "principal": {"id": "AIDASANDBOXSANDBOXSB", "name": USER_ARN.rpartition("/")[2], "arn": USER_ARN},
            "action": action,
            "resource": resource,
            "conditions": {"items": conditions},
        },
    }
