"""A cluster with its own orchestrator, from an empty account to an empty account, by command lines alone."""

from __future__ import annotations

from typing import Any

import pytest

from support.cli_runner import CliRunner
from support.engine_clock import EngineClock

CONFIG = """\
nodes: 4
regions: [us-east-1, eu-west-1]
instance_types: [t3.medium, t3a.medium]
orchestrator: managed
ssh_cidrs: [52.94.76.1/32]  # the address of the sandbox's operator
"""


class SandboxClock(EngineClock):
    """In a process of its own the sandbox follows its machines by itself, four times a second."""

    def __init__(self, sandbox: Any) -> None:
        super().__init__(sandbox.clock)
        self._sandbox = sandbox

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self._sandbox.server.settle()


@pytest.fixture(autouse=True)
def clock(program: CliRunner, sandbox: Any) -> None:
    program.clock = SandboxClock(sandbox)


def made(program: CliRunner, *options: str) -> dict[str, Any]:
    (program.folder / "config.yaml").write_text(CONFIG)
    created = program("create", "--yes", "-o", "json", *options)
    assert created.code == 0, created.stdout + created.stderr
    return created.data


def test_its_machine_boots_and_the_nodes_join_it(program: CliRunner, sandbox: Any) -> None:
    """On AWS the machine reads its user data, too: botocore encodes it once, in this call."""
    data = made(program)
    totals = data["receipt"]
    assert (totals["running"], totals["joined"], totals["not_joined"]) == (4, 4, [])
    (host,) = sandbox.server.plugins.status()["orchestrators"]
    assert (host["state"], host["waits_for"], host["notice"]) == ("answers", None, None)
    listed = program("list", "-o", "json").data
    assert len(listed["instances"]) == 4
    assert listed["orchestrator"]["public_ip"] == host["address"]
    status = program("status", "-o", "json").data
    assert status["matches_spec"]
    assert [node["diagnosis"]["kind"] for node in status["nodes"]] == ["joined"] * 4


def test_destroy_leaves_nothing_but_its_results(program: CliRunner, sandbox: Any) -> None:
    """The orchestrator's address and ports are nobody's afterwards."""
    made(program)
    destroyed = program("destroy", "--yes", "-o", "json")
    assert destroyed.code == 0, destroyed.stdout + destroyed.stderr
    left = program("list", "-o", "json").data
    assert (left["instances"], left["orchestrator"]) == ([], None)
    assert {row["kind"] for row in left["others"]} <= {"bucket"}
    assert sandbox.server.plugins.status()["orchestrators"] == []
