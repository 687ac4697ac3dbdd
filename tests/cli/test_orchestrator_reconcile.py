"""`reconcile` on the managed orchestrator's machine, in the sandbox: nobody types anything, and the cluster keeps itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.test_managed_life import SandboxClock
from support.cli_runner import CliRunner
from support.orchestrator_passes import MachinePasses
from support.storms import living, machines, region_of

CONFIG = """\
nodes: {nodes}
regions: [us-east-1, us-west-2]
instance_types: [t3.medium, t3a.medium]
orchestrator: {{reconcile: {{every: 60s, package: bacalhau-spot==1.0.0}}}}
ssh_cidrs: [52.94.76.1/32]
{more}"""
OFF = CONFIG.replace("{{reconcile: {{every: 60s, package: bacalhau-spot==1.0.0}}}}", "managed")


@pytest.fixture
def user(program: CliRunner, sandbox: Any) -> CliRunner:
    program.clock = SandboxClock(sandbox)
    return program


@pytest.fixture
def machine(sandbox: Any, tmp_path: Path) -> MachinePasses:
    return MachinePasses(sandbox, tmp_path / "machine")


def configure(user: CliRunner, nodes: int, *, config: str = CONFIG, more: str = "") -> None:
    (user.folder / "config.yaml").write_text(config.format(nodes=nodes, more=more))


def created(user: CliRunner, nodes: int = 2, *, config: str = CONFIG, more: str = "") -> dict[str, Any]:
    configure(user, nodes, config=config, more=more)
    result = user("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    return result.data


def nodes(sandbox: Any) -> list[Any]:
    return [found for found in machines(sandbox) if found.spot]


def interrupt(sandbox: Any) -> str:
    gone = nodes(sandbox)[0]
    sandbox.server.interrupt(region_of(gone), gone.id, notice_s=1)
    return str(gone.id)


def test_an_interrupted_node_is_replaced_and_nobody_types_anything(
    user: CliRunner, sandbox: Any, machine: MachinePasses
) -> None:
    """With the role of the machine alone, whose refusals would be in the output; then its passes change nothing."""
    created(user)
    assert [found.code for found in machine.advance(120)] == [0, 0], machine.results[-1].stdout
    gone = interrupt(sandbox)
    passes = machine.advance(240)
    assert gone not in {found.id for found in nodes(sandbox)}
    assert len(nodes(sandbox)) == 2
    (changed,) = [found.data for found in passes if found.data["changed"]]
    assert len(changed["done"]["launched"]) == 1
    last = passes[-1].data
    assert (last["found"]["joined"], last["remaining"], last["problems"]) == (2, False, []), last
    console = user("console", "orchestrator").stdout
    assert "reconcile: every 60 s, with bacalhau-spot==1.0.0" in console
