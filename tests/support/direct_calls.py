"""The program's calls answered by the sandbox in the same thread, without sockets.

A call costs less than half, and the order of all calls is the same on every machine, so that a seed repeats. Tests marked
`sockets` have HTTP, signatures and threads, as a user has.
"""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import Callable, Sequence
from email.utils import formatdate
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import botocore.utils
import pytest
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.client import BaseClient
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from botocore.model import OperationModel

from aws_spot_sandbox.http_types import AwsError, Call, ConnectionLost, Http, Reply
from aws_spot_sandbox.protocol import write_error
from aws_spot_sandbox.state import ACCESS_KEY_ID
from bacalhau_spot import http_client
from bacalhau_spot.cli.runtime import command_line
from bacalhau_spot.cli.runtime.invocation import Invocation
from bacalhau_spot.cloud.session import Session
from bacalhau_spot.http_client import Failure, Request, Response, TransportError
from bacalhau_spot.orchestrator import http as orchestrator_http
from support.engine_clock import EngineClock

T = TypeVar("T")

# botocore's own.
CALL: Final = BaseClient._make_api_call
_SEND: Final = URLLib3Session.send
_read_invocation = cache(command_line.read_invocation)
_known_time = lru_cache(maxsize=10_000)(botocore.utils._parse_timestamp_with_tzinfo)


def _known_invocation(argv: Sequence[str]) -> Invocation:
    return _read_invocation(tuple(argv))


def answer_directly(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, in this test: AWS's calls, and those of the orchestrator's API."""

    def send_directly(client: URLLib3Session, request: Any) -> AWSResponse:
        if not request.url.startswith(sandbox.url):
            response: AWSResponse = _SEND(client, request)
            return response
        try:
            reply = _reply(sandbox, request.method, request.url, request.headers, request.body)
        except ConnectionLost as lost:
            raise ConnectionClosedError(error=lost, request=request, endpoint_url=request.url) from lost
        response = AWSResponse(request.url, reply.status, HeadersDict(_headers(sandbox, reply)), None)
        response._content = reply.body
        return response

    def call_directly(client: BaseClient, name: str, parameters: dict[str, Any]) -> Any:
        service = client.meta.service_model
        if service.service_name != "ec2" or client.meta.endpoint_url != sandbox.url:
            return CALL(client, name, parameters)
        return _ec2_call(sandbox, client, service.operation_model(name), parameters)

    async def exchange_directly(request: Request, read: Callable[[Response], T]) -> T:
        if not request.url.startswith(sandbox.url):
            return await http_client.exchange(request, read)
        await asyncio.sleep(0)
        try:
            reply = _reply(sandbox, request.method, request.url, request.headers, request.body)
        except ConnectionLost as lost:
            raise TransportError(Failure.NO_HTTP, "the other side hung up") from lost
        return read(Response(reply.status, HeadersDict(_headers(sandbox, reply)), iter([reply.body])))

    monkeypatch.setattr(URLLib3Session, "send", send_directly)
    monkeypatch.setattr(BaseClient, "_make_api_call", call_directly)
    monkeypatch.setattr(orchestrator_http, "exchange", exchange_directly)
    monkeypatch.setattr(Session, "_run", _run_directly(sandbox, Session._run))
    monkeypatch.setattr(EngineClock, "breath_s", 0)
    # The same few words and times are read again and again.
    monkeypatch.setattr(command_line, "read_invocation", _known_invocation)
    monkeypatch.setattr(botocore.utils, "_parse_timestamp_with_tzinfo", _known_time)
    numbers = random.Random(0)
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=numbers.getrandbits(128), version=4))


def _run_directly(sandbox: Any, run_in_thread: Callable[..., Any]) -> Callable[..., Any]:
    """Calls in the event loop's own thread, unless one may reach another server: that one may be silent."""

    async def run(session: Session, work: Callable[..., T], *args: Any) -> T:
        addresses = {address for name, address in os.environ.items() if name.startswith("AWS_ENDPOINT_URL")}
        if addresses - {sandbox.url}:
            result: T = await run_in_thread(session, work, *args)
            return result
        # Calls of other regions get their turn, as while a thread waits for the answer.
        await asyncio.sleep(0)
        return work(*args)

    return run


def _ec2_call(sandbox: Any, client: BaseClient, model: OperationModel, parameters: dict[str, Any]) -> Any:
    """The call in EC2's protocol, without signature and headers: the same bytes are checked, answered and parsed."""
    context = {"client_region": client.meta.region_name, "client_config": client.meta.config}
    parameters = client._emit_api_params(api_params=parameters, operation_model=model, context=context)
    # The client may be one of all regions: its handler names that of the call while botocore finds the endpoint.
    client._resolve_endpoint_ruleset(model, parameters, context)
    region = context.get("signing", {}).get("region", context["client_region"])
    form = client._serializer.serialize_to_request(parameters, model)["body"]
    pairs = dict(parse_qsl(urlencode(form), keep_blank_values=True))
    call = Call("ec2", region, pairs.pop("Action"), pairs, access_key_id=ACCESS_KEY_ID)
    try:
        reply = sandbox.server._aws(call)
    except AwsError as refusal:
        reply = write_error(call, refusal)
    except ConnectionLost as lost:
        raise ConnectionClosedError(error=lost, request=None, endpoint_url=sandbox.url) from lost
    answer = {"status_code": reply.status, "headers": _headers(sandbox, reply), "body": reply.body}
    # The session's: the client's own one is botocore's default, and reads no answer.
    parser = client._endpoint._response_parser_factory.create_parser("ec2")
    parsed = parser.parse(answer, model.output_shape)
    if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
        error_class = client.exceptions.from_code(parsed.get("Error", {}).get("Code"))
        raise error_class(parsed, model.name)
    return parsed


def _reply(sandbox: Any, method: str, url: str, headers: Any, body: Any) -> Reply:
    parts = urlsplit(url)
    named = {name.lower(): _text(value) for name, value in headers.items()}
    named.setdefault("host", parts.netloc)
    http = Http(method, parts.path or "/", parts.query, named)
    reply: Reply = sandbox.server._answer(http, _bytes(body))
    return reply


def _headers(sandbox: Any, reply: Reply) -> dict[str, str]:
    date = formatdate(sandbox.clock.now(), usegmt=True)
    number = {"x-amzn-RequestId": str(uuid.uuid4())} if reply.numbered else {}
    return {"Content-Type": reply.content_type, "Date": date, **number, **dict(reply.headers)}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else bytes(body.read())
