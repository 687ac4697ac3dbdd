"""The probe of the NATS port against Bacalhau itself. Runs when BACALHAU_BIN names the program. Everything is on loopback."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.core.model import BacalhauSpec, Secret, TlsMode
from bacalhau_spot.core.orchestrator.nats_check import NatsStatus
from bacalhau_spot.orchestrator.nats_probe import probe_nats
from support.certificates import self_signed
from support.real_bacalhau import PROGRAM, TOKEN, WITHOUT, free_port, orchestrator

pytestmark = pytest.mark.skipif(not PROGRAM, reason=WITHOUT)


def status(port: int, **settings: Any) -> NatsStatus:
    check = asyncio.run(probe_nats(f"nats://127.0.0.1:{port}", BacalhauSpec(**settings)))
    assert TOKEN not in check.detail
    return check.status


def test_a_token_is_checked(tmp_path: Path) -> None:
    with orchestrator(tmp_path) as here:
        assert status(here.nats, token=Secret(TOKEN)) is NatsStatus.ACCEPTED
        assert status(here.nats, token=Secret("another")) is NatsStatus.TOKEN_REFUSED
        assert status(here.nats) is NatsStatus.TOKEN_MISSING
        assert status(here.nats, token=Secret(TOKEN), tls=TlsMode.NATIVE) is NatsStatus.NO_TLS
        assert status(here.nats, token=Secret(TOKEN), tls=TlsMode.PROXY) is NatsStatus.NO_TLS
        assert status(here.api, token=Secret(TOKEN)) is NatsStatus.NOT_NATS
    assert status(free_port()) is NatsStatus.UNREACHABLE


def test_tls_is_checked(tmp_path: Path) -> None:
    """Both ways in which Bacalhau's NATS uses TLS; a proxy's end of it is in test_nats_probe.py."""
    ca_pem = self_signed(tmp_path)
    files = {"ServerCert": str(tmp_path / "server.pem"), "ServerKey": str(tmp_path / "server.key")}
    with orchestrator(tmp_path, tls={**files, "CACert": files["ServerCert"]}) as here:
        native = {"token": Secret(TOKEN), "tls": TlsMode.NATIVE}
        assert status(here.nats, **native, ca_pem=ca_pem) is NatsStatus.ACCEPTED
        assert status(here.nats, **native) is NatsStatus.UNTRUSTED
        assert status(here.nats, token=Secret(TOKEN)) is NatsStatus.TLS_REQUIRED
        assert (
            status(here.nats, **{**native, "token": Secret("b")}, ca_pem=ca_pem) is NatsStatus.TOKEN_REFUSED
        )


def test_the_probe_registers_no_node(tmp_path: Path) -> None:
    with orchestrator(tmp_path) as here:
        assert status(here.nats, token=Secret(TOKEN)) is NatsStatus.ACCEPTED
        assert here.node() is None
