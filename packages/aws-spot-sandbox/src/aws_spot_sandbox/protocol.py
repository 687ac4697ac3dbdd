"""AWS's three wire protocols: parsing calls and writing errors."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from uuid import uuid4
from xml.sax.saxutils import escape

from aws_spot_sandbox.http_types import Call, Http, Reply
from aws_spot_sandbox.services import fis_operations, s3_operations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.http_types import AwsError

# AWS: IAM User Guide, "Elements of an AWS API request signature": key id / date / region / service / aws4_request
_SCOPE = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")
_FORM = "application/x-www-form-urlencoded"
_NOT_IN_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


@dataclass(frozen=True)
class _Scope:
    access_key_id: str = ""
    region: str = "us-east-1"
    service: str = ""


def take_apart(http: Http, body: bytes) -> Call:
    """The call's service, region, action and caller; the action is "" if only the service can determine it."""
    scope = _scope(http)
    target = http.headers.get("x-amz-target", "")
    if target:
        action, params = target.rpartition(".")[2], _members(body)
    else:
        params = dict(parse_qsl(http.query, keep_blank_values=True))
        if http.headers.get("content-type", "").startswith(_FORM) and scope.service != "s3":
            params |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        action = params.pop("Action", "")
    return Call(
        service=scope.service,
        region=scope.region,
        action=action,
        params=params,
        body=body,
        access_key_id=scope.access_key_id,
        http=http,
        rest="" if action else _rest_operation(scope.service, http),
    )


def _rest_operation(service: str, http: Http) -> str:
    """The operation of a REST call, where it is known."""
    if service == "s3":
        return s3_operations.operation(http)
    return fis_operations.operation(http) if service == "fis" else ""


def not_in_xml(text: str) -> bool:
    """Whether a text has a character that XML cannot carry, not even as a reference (XML 1.0, 2.2 "Characters")."""
    return _NOT_IN_XML.search(text) is not None


def _xml(text: str) -> str:
    """A message may quote anything of a request."""
    return escape(_NOT_IN_XML.sub("\ufffd", text))


def write_error(call: Call, error: AwsError) -> Reply:
    """The error in the protocol of the called service."""
    code, message = escape(error.code), _xml(error.message)
    request_id = uuid4()
    headers: tuple[tuple[str, str], ...] = ()
    if call.service == "ec2":
        inner = f"<Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
        text = f"<Response>{inner}<RequestID>{request_id}</RequestID></Response>"
    elif call.service == "s3":
        inner = f"<Code>{code}</Code><Message>{message}</Message>"
        inner += "".join(f"<{name}>{_xml(value)}</{name}>" for name, value in error.details.items())
        text = f"<Error>{inner}<RequestId>{request_id}</RequestId></Error>"
        where = error.details.get("Region")
        headers = (("x-amz-bucket-region", where),) if where else ()
    elif is_json(call):
        members = {"__type": error.code, "message": error.message}
        return Reply(json.dumps(members).encode(), error.status, "application/x-amz-json-1.1")
    else:
        inner = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        text = f"<ErrorResponse>{inner}<RequestId>{request_id}</RequestId></ErrorResponse>"
    return Reply(f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode(), error.status, headers=headers)


def numbered(call: Call, reply: Reply) -> Reply:
    """The reply with a request id in its body, where AWS has one and moto's template does not.

    AWS: AWS Query protocol (Smithy specification, "Response serialization"): every reply ends with ResponseMetadata.
    """
    query = bool(call.action) and not is_json(call) and call.service not in ("ec2", "s3")
    if not query or not reply.numbered or b"<RequestId>" in reply.body:
        return reply
    body, root, end = reply.body.rpartition(f"</{call.action}Response>".encode())
    number = f"<ResponseMetadata><RequestId>{uuid4()}</RequestId></ResponseMetadata>".encode()
    return replace(reply, body=body + number + root + end) if root else reply


def is_json(call: Call) -> bool:
    """JSON-RPC services have the action in a header; REST services, whose path determines it, have none."""
    return "x-amz-target" in call.http.headers or (not call.action and call.service != "s3")


def presigned(http: Http) -> dict[str, str]:
    """The query of a presigned URL; empty for a request that is signed in its headers or not at all."""
    if "X-Amz-Signature=" not in http.query or "authorization" in http.headers:
        return {}
    return dict(parse_qsl(http.query, keep_blank_values=True))


def _scope(http: Http) -> _Scope:
    query = presigned(http)
    credential = f"Credential={query.get('X-Amz-Credential', '')}" if query else ""
    match = _SCOPE.search(credential or http.headers.get("authorization", ""))
    if match is None:
        # Signature version 2 names no service; only S3 had it in URLs
        return (
            _Scope(service="s3")
            if "AWSAccessKeyId=" in http.query and "Signature=" in http.query
            else _Scope()
        )
    key_id, region, service = match.groups()
    return _Scope(key_id, region, service.lower())


def _members(body: bytes) -> dict[str, str]:
    try:
        members: Mapping[str, Any] = json.loads(body or b"{}")
    except ValueError:  # moto returns the same error as AWS
        return {}
    if not isinstance(members, dict):  # as above
        return {}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in members.items()}
