"""The probe of the orchestrator's NATS port: as a node, with its token, its TLS mode and its CA."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.core.model import BacalhauSpec, Secret, TlsMode
from bacalhau_spot.core.orchestrator.nats_check import NatsCheck, NatsStatus
from bacalhau_spot.orchestrator.nats_probe import probe_nats
from support.certificates import self_signed
from support.nats_server import NatsServer, running

RIGHT = BacalhauSpec(token=Secret("the-token"))


def check(port: int, bacalhau: BacalhauSpec = RIGHT, **settings: Any) -> NatsCheck:
    return asyncio.run(probe_nats(f"nats://127.0.0.1:{port}", replace(bacalhau, **settings), timeout_s=1.0))


def test_the_token() -> None:
    with running(NatsServer()) as server:
        assert check(server.port).status is NatsStatus.ACCEPTED
        wrong = check(server.port, token=Secret("another"))
        assert (wrong.status, wrong.detail) == (NatsStatus.TOKEN_REFUSED, "'Authorization Violation'")
        assert check(server.port, token=None).status is NatsStatus.TOKEN_MISSING
    assert not any(line.startswith(("SUB", "PUB")) for line in server.received)


def test_an_open_orchestrator() -> None:
    with running(NatsServer(token=None)) as server:
        assert check(server.port).status is check(server.port, token=None).status is NatsStatus.OPEN


@pytest.mark.parametrize("tls_first", [False, True], ids=["native", "proxy"])
def test_tls(tmp_path: Path, tls_first: bool) -> None:
    ca_pem = self_signed(tmp_path)
    mode = TlsMode.PROXY if tls_first else TlsMode.NATIVE
    with running(NatsServer(certificate=tmp_path, tls_first=tls_first)) as server:
        assert check(server.port, tls=mode, ca_pem=ca_pem).status is NatsStatus.ACCEPTED
        assert check(server.port, tls=mode).status is NatsStatus.UNTRUSTED
        without = check(server.port, tls=TlsMode.NONE)
        assert without.status is (NatsStatus.NOT_NATS if tls_first else NatsStatus.TLS_REQUIRED)


@pytest.mark.parametrize("mode", [TlsMode.NATIVE, TlsMode.PROXY])
def test_tls_where_the_server_has_none(mode: TlsMode) -> None:
    with running(NatsServer()) as server:
        assert check(server.port, tls=mode).status is NatsStatus.NO_TLS


@pytest.mark.parametrize(
    ("greeting", "detail"),
    [
        (b"", "the server sends no NATS greeting"),
        (b"HTTP/1.1 400 Bad Request\r\n", "the server answered 'HTTP/1.1 400 Bad Request'"),
        (b"INFO {\r\n", "the server's INFO is not JSON"),
        (b"INFO []\r\n", "the server's INFO is not a JSON object"),
        (b"INFO " + b"x" * 200_000, "the server's line is too long"),
        (b"\x1b[2J\xff\r\n", "the server answered '\\x1b[2J\ufffd'"),
    ],
)
def test_another_server(greeting: bytes, detail: str) -> None:
    with running(NatsServer(greeting=greeting)) as server:
        other = check(server.port)
    assert (other.status, other.detail) == (NatsStatus.NOT_NATS, detail)


def test_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    closed = check(port)
    assert (closed.status, closed.detail) == (NatsStatus.UNREACHABLE, "connection refused")
    assert not closed.refuses_nodes, "the nodes may have another route"
