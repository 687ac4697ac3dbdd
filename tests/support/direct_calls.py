"""The program's calls answered by the sandbox in the same thread, without sockets.

For long stories: a call costs less than half, and the order of all calls is the same on every machine, so that a seed repeats.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

from aws_spot_sandbox.http_types import ConnectionLost, Http, Reply
from bacalhau_spot import http_client
from bacalhau_spot.cloud.session import Session
from bacalhau_spot.http_client import Failure, Request, Response, TransportError
from bacalhau_spot.orchestrator import http as orchestrator_http
from support.engine_clock import EngineClock

T = TypeVar("T")


def answer_directly(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, in this test: AWS's calls, and those of the orchestrator's API."""
    send = URLLib3Session.send

    def send_directly(client: URLLib3Session, request: Any) -> AWSResponse:
        if not request.url.startswith(sandbox.url):
            response: AWSResponse = send(client, request)
            return response
        try:
            reply = _reply(sandbox, request.method, request.url, request.headers, request.body)
        except ConnectionLost as lost:
            raise ConnectionClosedError(error=lost, request=request, endpoint_url=request.url) from lost
        response = AWSResponse(request.url, reply.status, HeadersDict(_headers(sandbox, reply)), None)
        response._content = reply.body
        return response

    async def exchange_directly(request: Request, read: Callable[[Response], T]) -> T:
        if not request.url.startswith(sandbox.url):
            return await http_client.exchange(request, read)
        await asyncio.sleep(0)
        try:
            reply = _reply(sandbox, request.method, request.url, request.headers, request.body)
        except ConnectionLost as lost:
            raise TransportError(Failure.NO_HTTP, "the other side hung up") from lost
        return read(Response(reply.status, HeadersDict(_headers(sandbox, reply)), iter([reply.body])))

    async def run_directly(_session: Session, work: Callable[..., T], *args: Any) -> T:
        # Calls of other regions get their turn, as while a thread waits for the answer.
        await asyncio.sleep(0)
        return work(*args)

    monkeypatch.setattr(URLLib3Session, "send", send_directly)
    monkeypatch.setattr(orchestrator_http, "exchange", exchange_directly)
    monkeypatch.setattr(Session, "_run", run_directly)
    monkeypatch.setattr(EngineClock, "breath_s", 0)
    numbers = random.Random(0)
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=numbers.getrandbits(128), version=4))


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
