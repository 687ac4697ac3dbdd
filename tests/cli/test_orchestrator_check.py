"""`create` and `doctor` connect to the orchestrator's NATS port before anything costs money."""

from __future__ import annotations

from typing import Any

import pytest

from support.cli_runner import CliRunner
from support.nats_server import NatsServer, running

TOKEN = "7f3a9c5e1b0d"


def configured(program: CliRunner, *ports: int, token: str = TOKEN, more: str = "") -> None:
    addresses = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
    token_line = f"  token: {token}\n" if token else ""
    path = program.configure(nodes=2, regions="[us-west-2]", more=f"{token_line}{more}")
    path.write_text(path.read_text().replace('"nats://192.0.2.1:4222"', addresses))
    program.asks_orchestrator = True


def instances(sandbox: Any) -> list[str]:
    return [line for line in sandbox.leftovers() if " instance " in line]


def test_a_refused_token_stops_create_before_anything_is_created(sandbox: Any, program: CliRunner) -> None:
    with running(NatsServer(token="another-token")) as server:
        configured(program, server.port)
        refused = program("create", "--yes")
        checked = program("doctor", "-o", "json")
    assert refused.code == 2
    assert "the orchestrator would refuse the nodes" in refused.stderr
    assert f"nats://127.0.0.1:{server.port} refuses the token" in refused.stderr
    assert "configure --set bacalhau.token_file=PATH" in refused.stderr
    assert TOKEN not in refused.stdout + refused.stderr
    assert sandbox.leftovers() == []
    failed = {row["check"] for row in checked.data["findings"] if row["status"] == "FAIL"}
    assert failed == {"orchestrator", "create"}


@pytest.mark.parametrize(
    ("server", "token", "more", "words"),
    [
        (NatsServer(), "", "", "requires a token, and none is configured"),
        (NatsServer(token=TOKEN), TOKEN, "  tls: native\n", "does not use TLS"),
        (NatsServer(greeting=b"HTTP/1.1 400 Bad Request\r\n"), TOKEN, "", "is not the NATS port"),
    ],
)
def test_other_refusals(
    sandbox: Any, program: CliRunner, server: NatsServer, token: str, more: str, words: str
) -> None:
    with running(server):
        configured(program, server.port, token=token, more=more)
        refused = program("create", "--yes", "-o", "json")
    assert refused.code == 2
    assert words in refused.envelope["errors"][0]["details"][0]
    assert sandbox.leftovers() == []


def test_an_accepted_token_launches(sandbox: Any, program: CliRunner) -> None:
    """One address that may accept the nodes is enough; the other is reported."""
    with running(NatsServer(token=TOKEN)) as server, running(NatsServer(token="another")) as other:
        configured(program, server.port, other.port)
        done = program("create", "--yes")
        assert done.code == 0, done.stderr
        assert f"{other.port} refuses the token" in done.stderr + done.stdout
        assert len(instances(sandbox)) == 2
        other.token = server.token = "changed later"
        again = program("create", "--yes")
    assert again.code == 0, "nothing is to be launched, so nothing is refused"


def test_an_address_that_this_machine_cannot_reach_is_a_warning(sandbox: Any, program: CliRunner) -> None:
    with running(NatsServer()) as server:
        port = server.port
    configured(program, port)
    done = program("create", "--yes")
    assert done.code == 0
    assert "is unreachable from this machine (connection refused)" in " ".join(done.stderr.split())


def test_an_open_orchestrator_is_a_warning(sandbox: Any, program: CliRunner) -> None:
    with running(NatsServer(token=None)) as server:
        configured(program, server.port)
        done = program("create", "--dry-run", "-o", "json")
    assert done.code == 0
    assert any("accepts nodes without a token" in warning for warning in done.envelope["warnings"])
