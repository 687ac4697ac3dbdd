"""Managed orchestrators without sockets: a copy of this process has none of the threads that would answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import HeadersDict

from aws_spot_sandbox.http_types import ConnectionLost, Http
from aws_spot_sandbox_bacalhau.nats_listener import PORT
from aws_spot_sandbox_bacalhau.stand_in import StandIn
from bacalhau_spot.cli.commands import create, reconcile
from bacalhau_spot.core.model import BacalhauSpec
from bacalhau_spot.core.orchestrator.nats_check import NatsCheck, NatsStatus
from bacalhau_spot.http_client import Failure, Request, Response, TransportError
from bacalhau_spot.orchestrator import http as orchestrator_http

T = TypeVar("T")


@dataclass(frozen=True)
class _Port:
    """One that is open on an address."""

    ports: dict[tuple[str, int], StandIn]
    place: tuple[str, int]

    def stop(self) -> None:
        self.ports.pop(self.place, None)


def answer_managed_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, in this test; after `answer_directly`."""
    ports: dict[tuple[str, int], StandIn] = {}
    exchange = orchestrator_http.exchange  # type: ignore[attr-defined]  # that of `answer_directly`

    def listen(self: StandIn, _credentials: Any, address: str, port: int) -> None:
        ports[address, port] = self
        self._open[port] = _Port(ports, (address, port))  # type: ignore[assignment]  # only stopped

    async def ask(request: Request, read: Callable[[Response], T]) -> T:
        parts = urlsplit(request.url)
        if parts.scheme != "https":
            return await exchange(request, read)
        await asyncio.sleep(0)
        here = ports.get((parts.hostname or "", parts.port or 0))
        if here is None:
            raise TransportError(Failure.UNREACHABLE, "connection refused")
        named = {"host": parts.netloc} | {name.lower(): value for name, value in request.headers.items()}
        try:
            reply = here.answer(Http(request.method, parts.path, parts.query, named), request.body or b"")
        except ConnectionLost as lost:
            raise TransportError(Failure.NO_HTTP, "the other side hung up") from lost
        return read(
            Response(reply.status, HeadersDict({"Content-Type": reply.content_type}), iter([reply.body]))
        )

    async def probe(address: str, bacalhau: BacalhauSpec, **_: Any) -> NatsCheck:
        await asyncio.sleep(0)
        parts = urlsplit(address if "://" in address else f"nats://{address}")
        here = ports.get((parts.hostname or "", parts.port or PORT))
        if here is None:
            return NatsCheck(address, NatsStatus.UNREACHABLE, "connection refused")
        accepted = bacalhau.token is not None and here.accepts(bacalhau.token.reveal())
        return NatsCheck(address, NatsStatus.ACCEPTED if accepted else NatsStatus.TOKEN_REFUSED)

    monkeypatch.setattr(StandIn, "_listen", listen)
    monkeypatch.setattr(orchestrator_http, "exchange", ask)
    monkeypatch.setattr(create, "probe_nats", probe)
    monkeypatch.setattr(reconcile, "probe_nats", probe)
