"""`reconcile` from the command line, in the sandbox: one pass puts right what is wrong, and nothing else."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.runner import Runner
from bacalhau_spot.orchestrator.http import HttpOrchestrator, Login
from support.cli_runner import CliRunner


@pytest.fixture
def user(sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    def orchestrator(_context: CommandContext, _runner: Runner, **_options: str) -> HttpOrchestrator:
        return HttpOrchestrator(f"{sandbox.url}/_sandbox/orchestrator", login=Login(None))

    monkeypatch.setattr(CommandContext, "orchestrator", orchestrator)
    program.configure(nodes=4, regions="[us-east-1, us-west-2]")
    return program


def created(user: CliRunner, sandbox: Any) -> list[str]:
    result = user("create", "--yes", "--wait", "running", "-o", "json")
    assert result.code == 0, result.stdout
    sandbox.clock.advance(60)
    return [name for region in result.data["receipt"]["regions"] for name in region["launched"]]


def alive(sandbox: Any) -> Counter[str]:
    return Counter(
        thing.region
        for thing in sandbox.server.things()
        if thing.kind == "instance" and thing.state in {"pending", "running"}
    )


def test_complete_cluster_costs_the_calls_of_status(sandbox: Any, user: CliRunner) -> None:
    created(user, sandbox)
    start = len(sandbox.world.calls)
    assert user("status", "-o", "json").code == 0
    middle = len(sandbox.world.calls)
    result = user("reconcile", "-o", "json")
    assert (result.code, result.data["changed"], result.data["remaining"]) == (0, False, False), result.stdout
    assert Counter(sandbox.world.calls[middle:]) == Counter(sandbox.world.calls[start:middle])
