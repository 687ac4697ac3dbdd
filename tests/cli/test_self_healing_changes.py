"""Self-healing clusters together with the commands that change nodes on purpose, and with `reconcile`."""

from __future__ import annotations

from typing import Any

import pytest

from aws_spot_sandbox_bacalhau.node_settings import NodeSettings
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.runner import Runner
from bacalhau_spot.orchestrator.http import HttpOrchestrator, Login
from support.cli_runner import CliRunner

HEAL = "self_heal: true\n"
HERE = "[us-east-1]"
LONG_S = 900


@pytest.fixture
def three(program: CliRunner, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A group of three joined nodes."""

    def orchestrator(_context: CommandContext, _runner: Runner, **_options: str) -> HttpOrchestrator:
        return HttpOrchestrator(f"{sandbox.url}/_sandbox/orchestrator", login=Login(None))

    monkeypatch.setattr(CommandContext, "orchestrator", orchestrator)
    program.configure(nodes=3, regions=HERE, more=HEAL)
    created = program("create", "--yes", "--wait", "running")
    assert created.code == 0, created.stdout + created.stderr
    later(sandbox, 60)
    return program


def later(sandbox: Any, seconds: float = LONG_S) -> None:
    sandbox.clock.advance(seconds)
    sandbox.server.settle()


def ids(program: CliRunner) -> set[str]:
    rows = program("list", "-o", "json").data["instances"]
    return {row["id"] for row in rows if row["state"] in {"pending", "running"}}


def desired(sandbox: Any) -> int:
    (row,) = sandbox.client("autoscaling", "us-east-1").describe_auto_scaling_groups()["AutoScalingGroups"]
    return int(row["DesiredCapacity"])


def test_a_removed_node_is_not_refilled(three: CliRunner, sandbox: Any) -> None:
    first, *others = sorted(ids(three))
    result = three("remove", first, "--yes", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    later(sandbox)
    assert (desired(sandbox), ids(three)) == (2, set(others))
    assert three("create", "--yes", "--wait", "running").code == 0
    later(sandbox)
    assert (desired(sandbox), len(ids(three))) == (3, 3)
    assert set(others) < ids(three)


def test_scale_changes_the_number_of_the_group(three: CliRunner, sandbox: Any) -> None:
    before = ids(three)
    up = three("scale", "5", "--yes", "-o", "json")
    assert up.code == 0, up.stdout + up.stderr
    assert (desired(sandbox), len(ids(three)), before < ids(three)) == (5, 5, True)
    later(sandbox, 60)
    down = three("scale", "2", "--yes", "-o", "json")
    assert down.code == 0, down.stdout + down.stderr
    later(sandbox)
    assert (desired(sandbox), len(ids(three))) == (2, 2)


def test_scale_refuses_groups_that_are_not_as_configured(three: CliRunner, sandbox: Any) -> None:
    three.configure(nodes=3, regions=HERE)
    result = three("scale", "5", "--yes")
    assert result.code != 0
    assert "the Auto Scaling groups are not as configured in us-east-1" in result.stderr
    assert (desired(sandbox), len(ids(three))) == (3, 3)


def test_scale_down_waits_for_the_launches_of_the_group(three: CliRunner, sandbox: Any) -> None:
    """Otherwise the group would launch its node after the others have left."""
    sandbox.settings.capacity = {"us-east-1": 0}
    sandbox.client("ec2", "us-east-1").terminate_instances(InstanceIds=[min(ids(three))])
    result = three("scale", "2", "--yes")
    assert "AWS is launching 1 node of the cluster at this moment" in result.stderr
    assert (desired(sandbox), len(ids(three))) == (3, 2)


def test_reconcile_leaves_missing_nodes_to_the_group(three: CliRunner, sandbox: Any) -> None:
    sandbox.settings.capacity = {"us-east-1": 0}
    sandbox.client("ec2", "us-east-1").terminate_instances(InstanceIds=[min(ids(three))])
    later(sandbox, 120)
    start = len(sandbox.world.calls)
    result = three("reconcile", "-o", "json")
    assert (result.data["done"]["launched"], len(ids(three))) == ([], 2), result.stdout
    assert not [
        call for _, call, _ in sandbox.world.calls[start:] if "Update" in call or "CreateFleet" in call
    ]
    sandbox.settings.capacity = {}
    later(sandbox)
    assert (desired(sandbox), len(ids(three))) == (3, 3)


def test_reconcile_reports_a_node_that_never_joins(three: CliRunner, sandbox: Any) -> None:
    sandbox.client("ec2", "us-east-1").terminate_instances(InstanceIds=[min(ids(three))])
    before = ids(three)
    later(sandbox, 60)
    (bad,) = ids(three) - before
    sandbox.world.settings_of(NodeSettings).stuck = {bad: "docker"}
    later(sandbox, 800)
    start = len(sandbox.world.calls)
    result = three("reconcile", "-o", "json")
    assert result.data["done"]["replaced"] == [bad], result.stdout
    made = [call for _, call, _ in sandbox.world.calls[start:]]
    assert ("autoscaling:SetInstanceHealth" in made, "ec2:TerminateInstances" in made) == (True, False)
    later(sandbox)
    assert (desired(sandbox), len(ids(three)), bad in ids(three)) == (3, 3, False)


def test_surplus_nodes_of_a_group_drain_and_are_not_refilled(three: CliRunner, sandbox: Any) -> None:
    three.configure(nodes=2, regions=HERE, more=HEAL)
    result = three("reconcile", "-o", "json")
    assert (result.code, len(result.data["done"]["drained"])) == (0, 1), result.stdout
    later(sandbox, 120)
    later(sandbox)
    assert (desired(sandbox), len(ids(three))) == (2, 2)
    done = three("reconcile", "-o", "json").data["done"]
    assert (done["launched"], done["drained"]) == ([], [])
