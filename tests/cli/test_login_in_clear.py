"""A key that anybody on the way can read is warned of, once."""

from __future__ import annotations

from typing import Any

import pytest

from bacalhau_spot.http_client import Failure, TransportError
from bacalhau_spot.orchestrator import http as orchestrator_http
from support.cli_runner import CliRunner

WARNING = "crosses the network unencrypted"


@pytest.fixture(autouse=True)
def _out_of_reach(program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    async def exchange(*_: Any) -> None:
        raise TransportError(Failure.UNREACHABLE, "no route to host")

    monkeypatch.setattr(orchestrator_http, "exchange", exchange)
    program.environ["ORCH"] = "k" * 32


@pytest.mark.parametrize(
    ("host", "login", "warned"),
    [
        ("http://192.0.2.9:1234", ", key_env: ORCH", 1),
        ("http://[2001:db8::9]:1234", ", key_env: ORCH", 1),
        ("http://192.0.2.9:1234", "", 0),  # nothing secret
        ("https://192.0.2.9:1234", ", key_env: ORCH", 0),
        ("http://127.0.0.1:1234", ", key_env: ORCH", 0),
        ("http://localhost:1234", ", key_env: ORCH", 0),
    ],
)
def test_a_key_over_http_to_another_machine(program: CliRunner, host: str, login: str, warned: int) -> None:
    program.configure(nodes=1, more=f"  api: {{host: '{host}'{login}}}\n")
    shown = program("status")
    said = " ".join(shown.stderr.split())
    assert said.count(WARNING) == warned, said
    if warned:
        assert f"to {host}" in said
        assert "use https in `bacalhau.api.host`" in said
    assert "k" * 32 not in shown.stdout + shown.stderr
