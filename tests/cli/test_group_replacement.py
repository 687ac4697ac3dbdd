"""`replace` in a self-healing cluster: the group launches the new nodes, and the old ones leave it first."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

import pytest

from aws_spot_sandbox_bacalhau.node_settings import NodeSettings
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cloud.auto_scaling import AwsScalingGroups
from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.cloud.session import Session
from bacalhau_spot.core.model import Secret
from bacalhau_spot.engine.scaling_group.group_watch import GroupWatch
from bacalhau_spot.orchestrator.http import HttpOrchestrator, Login
from cli.test_node_changes import executions_of, state_of, submit
from cli.test_operator_lock import ARN, locked
from cli.test_self_healing_changes import HEAL, HERE, desired, ids, later
from support.cli_runner import CliResult, CliRunner
from support.killed_process import Killed, is_read
from support.long_tests import sample
from support.storms import Watch


@pytest.fixture
def three(program: CliRunner, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A group of three joined nodes, with the API of the sandbox's orchestrator."""

    def client(*_: Any, **__: Any) -> HttpOrchestrator:
        return HttpOrchestrator(f"{sandbox.url}/_sandbox/orchestrator", login=Login(key=Secret("a-key")))

    monkeypatch.setattr(CommandContext, "orchestrator", client)
    monkeypatch.setattr(CommandContext, "api_client", client)
    monkeypatch.setattr(CommandContext, "operator_api", lambda context: context.spec().bacalhau)
    program.configure(nodes=3, regions=HERE, more=HEAL)
    created = program("create", "--yes", "--wait", "running")
    assert created.code == 0, created.stdout + created.stderr
    later(sandbox, 60)
    return program


@pytest.fixture
def asked(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of the group after each call that may change it."""
    numbers: list[int] = []

    def recorded(name: str) -> None:
        call = getattr(AwsScalingGroups, name)

        async def and_record(self: AwsScalingGroups, *args: Any, **kwargs: Any) -> None:
            await call(self, *args, **kwargs)
            numbers.append(desired(sandbox))

        monkeypatch.setattr(Aws, name, and_record)

    for name in ("update_scaling_group", "attach_instances", "detach_instances"):
        recorded(name)
    return numbers


@contextmanager
def killed_at(call: int, *, answered: bool = True) -> Iterator[None]:
    """The process is gone at its n-th call that changes something, after or before AWS carries it out."""
    made, left = Session.call, call

    async def dying(self: Session, service: str, region: str | None, operation: str, **kwargs: Any) -> Any:
        nonlocal left
        if is_read(operation):
            return await made(self, service, region, operation, **kwargs)
        left -= 1
        if left < 0 or (left == 0 and not answered):
            raise Killed
        reply = await made(self, service, region, operation, **kwargs)
        if left == 0:
            raise Killed
        return reply

    with patch.object(Session, "call", dying):
        yield


def kill(program: CliRunner, *command: str, at: int, answered: bool = True) -> None:
    with killed_at(at, answered=answered), pytest.raises(Killed):
        program(*command)


def steps(program: CliRunner) -> Any:
    plan = program("create", "--dry-run", "-o", "json").data["plan"]
    return plan["launch"], [row["steps"] for row in plan["groups"]], plan["being_replaced"]


def batch(result: CliResult) -> Any:
    return result.data["result"]["batches"][0]


def test_a_rolling_version_change_loses_no_job(three: CliRunner, sandbox: Any, asked: list[int]) -> None:
    """The group's number stays; there is never more than one node more, and each new one has run its test."""
    submitted = [submit(sandbox, seconds) for seconds in (100, 100, 3000)]
    old = ids(three)
    three.configure(nodes=3, regions=HERE, more="  version: v1.9.2\n" + HEAL)
    shown = three("replace", "--drifted", "--dry-run")
    assert "us-east-1: launch new nodes with the present configuration" in " ".join(shown.stdout.split())
    watch = Watch(sandbox)
    with watch.watching():
        result = three("replace", "--drifted", "--yes", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    assert [len(one["new"]) for one in result.data["result"]["batches"]] == [1, 1, 1]
    assert (set(asked), watch.most) == ({3}, 4)
    later(sandbox, 3100)
    assert [state_of(sandbox, job) for job in submitted] == ["Completed"] * 3
    assert [executions_of(sandbox, job) for job in submitted][:2] == [1, 1]
    assert (desired(sandbox), len(ids(three)), ids(three) & old) == (3, 3, set())
    assert three("replace", "--drifted", "-o", "json").data["plan"]["leaving"] == []
    assert steps(three) == (0, [[]], [])


# The changes of `replace NODE`: the lock, the tag of the old node, its detachment, the tag of the new one, the drain's tag, the
# end of the lock.
KILLS = [(at, answered) for at in (4, 3, 5, 2, 6) for answered in (False, True)]


@pytest.mark.parametrize(("at", "answered"), sample(KILLS, every=5))
def test_killed_at_every_change(three: CliRunner, sandbox: Any, at: int, answered: bool) -> None:
    name, *others = sorted(ids(three))
    kill(three, "replace", name, "--yes", at=at, answered=answered)
    later(sandbox, 90)
    launch, _, begun = steps(three)
    assert (launch, set(begun) <= {name}) == (0, True)
    watch = Watch(sandbox)
    with watch.watching():
        result = three("replace", name, "--yes", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    later(sandbox)
    assert (desired(sandbox), len(ids(three))) == (3, 3)
    assert ids(three) > set(others) and watch.most <= 4
    assert steps(three) == (0, [[]], [])


def test_old_nodes_come_back_where_aws_refuses_new_ones(
    three: CliRunner, sandbox: Any, asked: list[int]
) -> None:
    """One of two fits. The other old node is attached again, and the same command continues."""
    first, second, third = sorted(before := ids(three))
    sandbox.settings.capacity = {"us-east-1": 4}
    result = three("replace", first, second, "--at-once", "2", "--yes", "-o", "json")
    assert result.code == 1, result.stdout + result.stderr
    assert (result.data["result"]["stopped"], batch(result)["drained"]) == ("not launched", [])
    (region,) = batch(result)["launch"]["regions"]
    assert (region["code"], region["launched"]) == ("UnfulfillableCapacity", batch(result)["new"])
    assert (max(asked), desired(sandbox), len(ids(three)), before < ids(three)) == (3, 3, 4, True)
    sandbox.settings.capacity = {}
    later(sandbox)
    assert len(ids(three)) == 4
    result = three("replace", first, second, "--at-once", "2", "--yes", "-o", "json")
    assert (result.code, len(batch(result)["new"])) == (0, 2), result.stdout
    later(sandbox)
    assert (desired(sandbox), len(ids(three)), ids(three) & before) == (3, 3, {third})


def test_without_capacity_nothing_has_changed(three: CliRunner, sandbox: Any) -> None:
    before = ids(three)
    sandbox.settings.capacity = {"us-east-1": 0}
    shown = " ".join(three("replace", min(before), "--yes").stdout.split())
    assert "stopped: not launched: UnfulfillableCapacity" in shown and "--old-first" in shown
    sandbox.settings.capacity = {}
    later(sandbox)
    assert (desired(sandbox), ids(three)) == (3, before)
    assert steps(three) == (0, [[]], [])


def test_a_new_node_that_never_joins_keeps_the_old_one(three: CliRunner, sandbox: Any) -> None:
    """`create` and `reconcile` do not undo it; without the new node, the same command lets the group launch another."""
    first, second, _ = sorted(before := ids(three))
    settings = sandbox.world.settings_of(NodeSettings)
    settings.stuck = {"*": "docker", **dict.fromkeys(before, "")}
    result = three("replace", first, second, "--yes", "-o", "json")
    assert (result.code, result.data["result"]["left"]) == (1, [second]), result.stdout + result.stderr
    (new,) = batch(result)["faulty"]
    assert (result.data["result"]["stopped"], ids(three)) == ("not joined", before | {new})
    assert steps(three) == (0, [[]], [first])
    shown = " ".join(three("create", "--yes").stdout.split())
    assert f"`replace` has begun with {first}, and continues when you run it again" in shown
    later(sandbox)
    assert (desired(sandbox), ids(three)) == (3, before | {new})
    settings.stuck = {}
    assert three("remove", new, "--yes").code == 0
    assert desired(sandbox) == 2
    result = three("replace", first, second, "--yes")
    assert result.code == 0, result.stdout + result.stderr
    later(sandbox)
    assert (desired(sandbox), len(ids(three)), ids(three) & {first, second, new}) == (3, 3, set())


def test_after_ctrl_c_aws_goes_on_and_the_region_leaves_its_new_node_out(
    three: CliRunner, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = GroupWatch.settled

    async def pressed(self: GroupWatch, living: int, *, total: int) -> bool:
        self.calls.stop.set(by_user=True)
        return await settled(self, living, total=total)

    old = ids(three)
    with monkeypatch.context() as patched:
        patched.setattr(GroupWatch, "settled", pressed)
        result = three("replace", "--region", "us-east-1", "--yes", "-o", "json")
    assert (result.code, result.data["result"]["stopped"]) == (130, "interrupted"), result.stdout
    assert (desired(sandbox), old < ids(three)) == (3, True)
    later(sandbox, 60)
    (new,) = ids(three) - old
    shown = three("replace", "--region", "us-east-1", "--dry-run")
    assert f"launched by an interrupted replacement, and to stay: {new}" in " ".join(shown.stdout.split())
    result = three("replace", "--region", "us-east-1", "--at-once", "2", "--yes")
    assert result.code == 0, result.stdout + result.stderr
    later(sandbox)
    assert (desired(sandbox), len(ids(three)), ids(three) & old) == (3, 3, set())
    assert new in ids(three)


def test_reconcile_completes_a_killed_replacement(three: CliRunner, sandbox: Any) -> None:
    """It drains the old node and not the new one, and not before that one has joined."""
    name = min(before := ids(three))
    kill(three, "replace", name, "--yes", at=3)
    sandbox.clock.advance(20)
    passed = three("reconcile", "-o", "json")
    assert (passed.data["done"]["drained"], passed.data["done"]["launched"]) == ([], []), passed.stdout
    later(sandbox, 300)
    (new,) = ids(three) - before
    passed = three("reconcile", "-o", "json")
    assert passed.data["done"]["drained"] == [name], passed.stdout
    later(sandbox)
    assert (desired(sandbox), ids(three)) == (3, (before - {name}) | {new})


def test_a_group_that_somebody_deletes_meanwhile(three: CliRunner, sandbox: Any) -> None:
    made, before = Session.call, ids(three)
    groups = sandbox.client("autoscaling", "us-east-1")

    async def deleting(self: Session, service: str, region: str | None, operation: str, **kwargs: Any) -> Any:
        names = [
            found["AutoScalingGroupName"]
            for found in groups.describe_auto_scaling_groups()["AutoScalingGroups"]
        ]
        if operation == "create_tags" and names:
            groups.delete_auto_scaling_group(AutoScalingGroupName=names[0], ForceDelete=True)
            later(sandbox, 60)
        return await made(self, service, region, operation, **kwargs)

    with patch.object(Session, "call", deleting):
        result = three("replace", min(before), "--yes")
    assert result.code == 1
    assert "was deleted meanwhile" in result.stderr and "bacalhau-spot create" in result.stderr


@pytest.mark.parametrize("heal", [HEAL, ""], ids=["groups", "plain"])
def test_drifted_nodes_that_left_first_are_replaced_by_the_same_command(
    three: CliRunner, sandbox: Any, heal: str
) -> None:
    """Killed between the drain and the launch, whose node the words of the command line no longer select."""
    three.configure(nodes=3, regions=HERE, more=heal)
    assert three("create", "--yes", "--wait", "running").code == 0
    three.configure(nodes=3, regions=HERE, more=heal + "instance: {root_volume_gib: 44}\n")
    old = ids(three)
    command = ("replace", "--drifted", "--old-first", "--yes")
    from bacalhau_spot.engine.node_changes import node_change_runner  # noqa: PLC0415 - the module to patch

    async def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with patch.object(node_change_runner, "apply_plan", killed), pytest.raises(Killed):
        three(*command)
    assert len(ids(three)) == 2
    result = three(*command, "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    assert batch(result)["drained"][0]["end"] == "already ended"
    later(sandbox)
    assert (len(ids(three)), ids(three) & old) == (3, set())
    assert three(*command, "-o", "json").data["plan"]["leaving"] == []


def test_a_node_that_starts_is_awaited(three: CliRunner, sandbox: Any) -> None:
    """AWS detaches none that is not in service."""
    before = ids(three)
    sandbox.client("ec2", "us-east-1").terminate_instances(InstanceIds=[min(before)])
    while len(ids(three)) < 3:
        sandbox.clock.advance(5)
    (starting,) = ids(three) - before
    result = three("replace", starting, "--yes")
    assert result.code == 0, result.stdout + result.stderr
    later(sandbox)
    assert (desired(sandbox), len(ids(three)), starting in ids(three)) == (3, 3, False)


def test_the_budget_allows_both_orders_or_none(three: CliRunner, sandbox: Any) -> None:
    """The groups in their dearest pools, as for `create`; with new nodes first, also the old ones of the batch."""
    name = min(ids(three))
    three.configure(nodes=3, regions=HERE, more=HEAL + "budget_usd_per_hour: 9\n")
    budget = three("replace", name, "--dry-run", "-o", "json").data["plan"]["launch"]["budget"]
    old, groups = float(budget["existing_usd_per_hour"]), float(budget["launch_usd_per_hour"])
    start = len(sandbox.world.calls)
    for usd, order in ((old + groups, ""), (groups, "the budget does not allow both at once")):
        three.configure(nodes=3, regions=HERE, more=f"{HEAL}budget_usd_per_hour: {usd + 0.00002:.5f}\n")
        shown = three("replace", name, "--dry-run", "-o", "json")
        assert (shown.code, shown.data["plan"]["old_first"]) == (0, order), shown.stdout
    three.configure(nodes=3, regions=HERE, more=f"{HEAL}budget_usd_per_hour: {groups - 0.0001:.5f}\n")
    refused = three("replace", name, "--yes")
    assert refused.code == 2 and "4 instances of the Auto Scaling groups, at most" in refused.stderr
    assert not [call for _, call, _ in sandbox.world.calls[start:] if "Create" in call or "Detach" in call]


def test_nodes_without_a_group_are_refused(three: CliRunner, sandbox: Any) -> None:
    for more in ("", HEAL):
        three.configure(nodes=3, regions=HERE, more=more)
        if more:
            name = sandbox.client("autoscaling", "us-east-1").describe_auto_scaling_groups()
            sandbox.client("autoscaling", "us-east-1").detach_instances(
                AutoScalingGroupName=name["AutoScalingGroups"][0]["AutoScalingGroupName"],
                InstanceIds=sorted(ids(three)),
                ShouldDecrementDesiredCapacity=True,
            )
        refused = three("replace", min(ids(three)), "--yes")
        assert refused.code != 0
        assert "the Auto Scaling groups are not as configured in us-east-1" in refused.stderr
    three.configure(nodes=3, regions="[us-west-2]", more=HEAL)
    refused = three("replace", min(ids(three)), "--yes")
    assert (refused.code, "does not name us-east-1; nothing was changed" in refused.stderr) == (2, True)
    assert len(ids(three)) == 3


@pytest.mark.parametrize("heal", [HEAL, ""], ids=["groups", "plain"])
def test_a_node_in_a_chosen_region_is_replaced_there(program: CliRunner, sandbox: Any, heal: str) -> None:
    """With `regions: auto`, the configuration itself names no region."""
    program.configure(nodes=1, regions="{auto: {count: 1}}", more=heal)
    assert program("create", "--yes").code == 0
    (old,) = program("list", "-o", "json").data["instances"]
    later(sandbox, 60)
    result = program("replace", old["id"], "--yes")
    assert result.code == 0, result.stdout + result.stderr
    living = [row for row in program("list", "-o", "json").data["instances"] if row["state"] == "running"]
    assert [row["region"] for row in living] == [old["region"]] and living[0]["id"] != old["id"]


def test_create_with_nothing_to_do_names_the_command_that_changes_the_cluster(
    three: CliRunner, sandbox: Any
) -> None:
    """Its nodes are not surplus, and nobody is advised to terminate them."""
    three.configure(nodes=2, regions="[us-west-2, us-east-1]", more=HEAL)
    locked(sandbox, three)
    for words in ((), ("--dry-run",)):
        shown = three("create", *words)
        assert shown.code == 0
        assert f"`scale` of {ARN} on elsewhere" in " ".join(shown.stdout.split())
        assert "--allow-removal" not in shown.stdout


@pytest.mark.parametrize("seed", sample(range(60), every=60))
def test_a_storm_with_replacements_ends_with_exactly_the_asked_number(
    three: CliRunner, sandbox: Any, asked: list[int], seed: int
) -> None:
    """Interruptions, refusals, kills, `create` and `reconcile` in between; in the end nothing is left over or missing."""
    chance = random.Random(seed)
    settings, story, watch = sandbox.settings, [], Watch(sandbox)
    with watch.watching():
        for _ in range(6):
            nodes = sorted(ids(three))
            move = chance.choice(("interrupt", "capacity", "create", "reconcile", "replace", "kill", "kill"))
            command = ("replace", *chance.sample(nodes, min(len(nodes), 2)), "--yes", "--grace", "0")
            command += chance.choice((("--at-once", "2"), (), ("--old-first",)))
            if move == "interrupt" and nodes:
                sandbox.server.interrupt("us-east-1", chance.choice(nodes), notice_s=chance.choice((0, 120)))
            elif move == "capacity":
                settings.capacity = chance.choice(({}, {"us-east-1": 0}, {"us-east-1": 4}))
            elif move == "kill":
                with killed_at(chance.randint(2, 7), answered=chance.random() < 0.5), suppress(Killed):
                    three(*command)
            elif move != "interrupt":
                known = {"create": ("create", "--yes", "--wait", "none"), "reconcile": ("reconcile",)}
                three(*known.get(move, command))
            story.append(f"{move} {command[1:]}: {desired(sandbox)} of {sorted(ids(three))}")
            sandbox.clock.advance(chance.choice((1, 60, 400)))
        settings.capacity = {}
        later(sandbox)
        for _ in range(3):
            three("reconcile")
            later(sandbox)
        assert three("create", "--yes", "--wait", "running").code == 0, story
        later(sandbox)
    told = "\n".join(story)
    assert (desired(sandbox), len(ids(three)), steps(three)) == (3, 3, (0, [[]], [])), told
    # One more for a node whose new node was replaced as well: `replace` keeps the number of nodes that it finds.
    assert max(asked, default=3) <= 3 + 2, told
    # One batch, one that AWS launches ahead of an interruption, and one of an earlier, killed run.
    assert watch.most <= 3 + 2 + 1 + 2, told
