"""`create --allow-removal` in the sandbox: surplus nodes drain, after the launches where the budget allows it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from aws_spot_sandbox_bacalhau.node_settings import NodeSettings
from bacalhau_spot.core.launch.surplus import NOT_BOTH
from bacalhau_spot.core.lifecycle.drain_result import DrainResult
from bacalhau_spot.core.model import Instance, Naming
from bacalhau_spot.core.tags import DRAIN_KEY
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.engine.launch import surplus_drain
from bacalhau_spot.engine.lifecycle.drain import drain
from cli.test_node_changes import ids, nodes
from cli.test_self_healing import HEAL, desired
from support.cli_runner import CliResult, CliRunner
from support.storms import ask_sandbox_orchestrator

EAST, WEST = "us-east-1", "us-west-2"
TWO = f"[{EAST}, {WEST}]"
REMOVE = ("create", "--yes", "--allow-removal", "-o", "json")


def started(program: CliRunner, sandbox: Any, *, nodes: int, regions: str = TWO, more: str = "") -> CliRunner:
    program.configure(nodes=nodes, regions=regions, more=more)
    created = program("create", "--yes")
    assert created.code == 0, created.stdout + created.stderr
    sandbox.clock.advance(60)
    sandbox.server.settle()
    return program


def work_on(sandbox: Any, names: Sequence[str]) -> None:
    """They have one job each, which does not end."""
    sandbox.world.settings_of(NodeSettings).executions = dict.fromkeys(names, 1)


def ends(result: CliResult) -> list[str]:
    return [row["end"] for row in result.data["receipt"]["drained"]]


def changes(sandbox: Any, since: int) -> list[tuple[str, str]]:
    """The launches, drains and terminations, in their order, each with its region."""
    kinds = ("ec2:CreateFleet", "ec2:CreateTags", "ec2:TerminateInstances")
    return [
        (region, call)
        for region, call, _ in sandbox.world.calls[since:]
        if call in kinds or (call.startswith("autoscaling:") and "Describe" not in call)
    ]


@pytest.fixture
def stopping(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C 20 seconds after the begin of the drain."""

    async def interrupted(
        calls: AwsCalls, naming: Naming, instances: Sequence[Instance], **options: Any
    ) -> DrainResult:
        sandbox.clock.at(sandbox.clock.now() + 20, lambda: calls.stop.set(by_user=True))
        return await drain(calls, naming, instances, **options)

    monkeypatch.setattr(surplus_drain, "drain", interrupted)


def test_surplus_nodes_drain_within_the_grace(program: CliRunner, sandbox: Any) -> None:
    user = started(program, sandbox, nodes=4)
    before = ids(user)
    work_on(sandbox, sorted(before))
    user.configure(nodes=2, regions=TWO)
    shown = user("create", "--allow-removal", "--grace", "90s", "--dry-run")
    assert "running jobs may end within 90 s" in shown.stdout
    price = re.search(r"spot prices of the nodes to terminate: \$([0-9.]+) an hour", shown.stdout)
    leaving = user("create", "--allow-removal", "--dry-run", "-o", "json").data["plan"]["remove"]
    now, later = re.findall(r"\$([0-9.]+) an hour", user("remove", *leaving, "--dry-run").stdout)
    assert price and float(price[1]) == pytest.approx(float(now) - float(later), abs=0.0002), shown.stdout
    assert "--grace 90s" in shown.stdout, "the command that carries it out has the option, too"
    assert ids(user) == before
    begin = sandbox.clock.now()
    result = user(*REMOVE, "--grace", "90s")
    assert result.code == 0, result.stdout + result.stderr
    assert 90 <= sandbox.clock.now() - begin <= 200
    receipt = result.data["receipt"]
    assert (ends(result), len(receipt["removed"]), receipt["not_removed"]) == (["shut down"] * 2, 2, [])
    assert ids(user) == before - set(receipt["removed"])
    known = {row["id"]: row["terminated_by"] for row in user("status", "-o", "json").data["nodes"]}
    assert {known[name] for name in receipt["removed"]} == {"create"}


def test_new_nodes_are_launched_first_where_the_budget_allows_both(program: CliRunner, sandbox: Any) -> None:
    user = started(program, sandbox, nodes=2, regions=f"[{EAST}]")
    user.configure(nodes=2, regions=f"[{WEST}]")
    assert "the new nodes join first" in user("create", "--allow-removal", "--dry-run").stdout
    since = len(sandbox.world.calls)
    assert user(*REMOVE).code == 0
    made = changes(sandbox, since)
    assert made.index((WEST, "ec2:CreateFleet")) < made.index((EAST, "ec2:CreateTags"))
    assert [row["region"] for row in nodes(user)] == [WEST, WEST]


def test_surplus_nodes_leave_first_where_the_budget_does_not(program: CliRunner, sandbox: Any) -> None:
    user = started(program, sandbox, nodes=2, regions=f"[{EAST}]")
    user.configure(nodes=2, regions=f"[{WEST}]", more="budget_usd_per_hour: 0.08\n")
    shown = user("create", "--allow-removal", "--dry-run")
    assert shown.code == 0, shown.stderr
    assert f"the nodes to terminate leave first: {NOT_BOTH}" in shown.stdout
    since = len(sandbox.world.calls)
    result = user(*REMOVE)
    assert result.code == 0, result.stdout
    made = changes(sandbox, since)
    assert made.index((EAST, "ec2:CreateTags")) < made.index((WEST, "ec2:CreateFleet"))
    assert (result.data["plan"]["old_first"], ends(result)) == (NOT_BOTH, ["shut down"] * 2)
    assert [row["region"] for row in nodes(user)] == [WEST, WEST]


def test_nothing_is_launched_if_the_first_drain_does_not_end(
    program: CliRunner, sandbox: Any, stopping: None
) -> None:
    user = started(program, sandbox, nodes=2, regions=f"[{EAST}]")
    work_on(sandbox, sorted(ids(user)))
    user.configure(nodes=2, regions=f"[{WEST}]", more="budget_usd_per_hour: 0.08\n")
    since = len(sandbox.world.calls)
    result = user(*REMOVE)
    assert (result.code, ends(result)) == (130, ["draining"] * 2)
    assert (WEST, "ec2:CreateFleet") not in changes(sandbox, since)


def test_ctrl_c_leaves_the_nodes_draining(program: CliRunner, sandbox: Any, stopping: None) -> None:
    user = started(program, sandbox, nodes=4)
    work_on(sandbox, sorted(ids(user)))
    user.configure(nodes=3, regions=TWO)
    result = user(*REMOVE)
    (row,) = result.data["receipt"]["drained"]
    assert (result.code, row["end"]) == (130, "draining")
    assert 15 <= row["seconds"] <= 25
    assert result.data["receipt"]["leaving"] == [row["id"]]
    again = user("create", "--allow-removal", "--yes")
    assert (again.code, "nothing to do: 3 of 3 nodes exist" in again.stdout) == (0, True), again.stdout
    sandbox.clock.advance(700)
    assert len(ids(user)) == 3


def test_without_a_wait_the_nodes_drain_by_themselves(program: CliRunner, sandbox: Any) -> None:
    user = started(program, sandbox, nodes=4)
    work_on(sandbox, sorted(ids(user)))
    user.configure(nodes=3, regions=TWO)
    begin = sandbox.clock.now()
    result = user("create", "--yes", "--allow-removal", "--wait", "none")
    assert (result.code, sandbox.clock.now() - begin < 30) == (0, True), result.stdout
    assert "these end without another command" in result.stdout
    sandbox.clock.advance(700)
    assert len(ids(user)) == 3


def test_a_surplus_node_stays_for_each_node_that_is_not_launched(program: CliRunner, sandbox: Any) -> None:
    user = started(program, sandbox, nodes=2, regions=f"[{EAST}]")
    before = ids(user)
    sandbox.world.settings.capacity = {WEST: 1}
    user.configure(nodes=2, regions=f"[{WEST}]")
    result = user(*REMOVE)
    assert (result.code, sorted(ends(result))) == (1, ["kept", "shut down"]), result.stdout
    assert len(ids(user)) == 2 and len(ids(user) & before) == 1


def test_a_refused_drain_is_in_the_exit_code(program: CliRunner, sandbox: Any) -> None:
    """The cluster has no group: CreateTags is the first call of a drain."""
    user = started(program, sandbox, nodes=4)
    user.configure(nodes=3, regions=TWO)
    sandbox.settings.deny = ["ec2:CreateTags"]
    refused = user("create", "--yes", "--allow-removal")
    sandbox.settings.deny = []
    assert refused.code == 4, refused.stdout + refused.stderr
    assert len(ids(user)) == 4


def test_drifted_nodes_leave_before_the_others(program: CliRunner, sandbox: Any) -> None:
    user = started(program, sandbox, nodes=1, regions=f"[{EAST}]")
    old = ids(user)
    more = "instance: {root_volume_gib: 31}\n"
    user.configure(nodes=2, regions=f"[{EAST}]", more=more)
    assert user("create", "--yes").code == 0
    sandbox.clock.advance(60)
    user.configure(nodes=1, regions=f"[{EAST}]", more=more)
    assert user(*REMOVE).code == 0
    assert not ids(user) & old, "the oldest, but drifted"


def test_nodes_leave_their_group_before_it_gets_another_number(program: CliRunner, sandbox: Any) -> None:
    """And before another group launches: all groups together never ask for more nodes than the configuration."""
    user = started(program, sandbox, nodes=4, more=HEAL)
    work_on(sandbox, sorted(ids(user)))
    user.configure(nodes=2, regions=f"[{WEST}, eu-west-1]", more=HEAL + "spread: strict\n")
    since = len(sandbox.world.calls)
    result = user(*REMOVE, "--grace", "60s")
    assert result.code == 0, result.stdout + result.stderr
    made = changes(sandbox, since)
    drained = [(EAST, "ec2:CreateTags"), (WEST, "ec2:CreateTags")]
    first = min(made.index(call) for call in drained)
    for region in (EAST, WEST):
        assert made.index((region, "autoscaling:DetachInstances")) < made.index(
            ("eu-west-1", "autoscaling:UpdateAutoScalingGroup")
        )
    assert made.index(("eu-west-1", "autoscaling:UpdateAutoScalingGroup")) < first
    assert ends(result) == ["shut down"] * 3
    sandbox.clock.advance(900)
    assert (desired(sandbox), len(ids(user))) == ({WEST: 1, "eu-west-1": 1}, 2)


def test_a_group_that_does_not_release_its_nodes_keeps_them(program: CliRunner, sandbox: Any) -> None:
    user = started(program, sandbox, nodes=3, more=HEAL)
    before = ids(user)
    user.configure(nodes=2, regions=TWO, more=HEAL)
    sandbox.settings.deny = ["autoscaling:DetachInstances"]
    refused = user(*REMOVE)
    sandbox.settings.deny = []
    sandbox.clock.advance(900)
    assert (refused.code, ends(refused)) == (4, ["failed"]), refused.stdout
    assert ids(user) == before and sum(desired(sandbox).values()) == 3
    assert DRAIN_KEY not in str(user("list", "-o", "json").data)


@pytest.mark.parametrize("regions", [TWO, "{auto: {count: 2}}"], ids=["named", "auto"])
def test_every_command_counts_draining_nodes_alike(
    program: CliRunner, sandbox: Any, monkeypatch: pytest.MonkeyPatch, regions: str
) -> None:
    """A draining node is neither present nor missing, on the way nor a fault."""
    ask_sandbox_orchestrator(sandbox, monkeypatch)
    user = started(program, sandbox, nodes=4, regions=regions)
    sandbox.clock.advance(120)
    work_on(sandbox, sorted(ids(user)))
    user.configure(nodes=3, regions=regions)
    assert user("create", "--yes", "--allow-removal", "--wait", "none").code == 0
    for wanted, missing in ((3, 0), (4, 1)):
        user.configure(nodes=wanted, regions=regions)
        plan = user("create", "--dry-run", "-o", "json").data["plan"]
        status = user("status", "-o", "json")
        passed = user("reconcile", "--dry-run", "-o", "json").data
        total = status.data["total"]
        assert (plan["present"], plan["launch"]) == (3, missing)
        assert (total["present"], total["draining"], total["waiting"]) == (3, 1, 0)
        assert (status.data["missing"], status.data["surplus"]) == (missing, 0)
        assert (passed["found"]["present"], passed["found"]["missing"]) == (3, missing)
        assert (status.code, status.data["matches_spec"]) == (missing, not missing)
        assert status.data["pools"]["nodes"] == 3
    shown = user("status").stdout
    assert "3 of 4 nodes joined, 1 draining, 1 missing" in shown
    assert re.search(r"wanted +present +joined +draining", shown)
    assert "1 draining, 3 running" in user("list").stdout


def test_a_pass_drains_further_surplus_nodes_beside_a_draining_one(
    program: CliRunner, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_sandbox_orchestrator(sandbox, monkeypatch)
    user = started(program, sandbox, nodes=4, regions=f"[{EAST}]")
    sandbox.clock.advance(120)
    work_on(sandbox, sorted(ids(user)))
    user.configure(nodes=3, regions=f"[{EAST}]")
    assert user("create", "--yes", "--allow-removal", "--wait", "none").code == 0
    user.configure(nodes=2, regions=f"[{EAST}]")
    assert "drained 1 surplus node" in user("reconcile").stdout
    assert "nothing to launch" not in user("reconcile", "--dry-run").stdout
    assert user("status", "-o", "json").data["total"]["draining"] == 2
