"""`reconcile` from the command line, in the sandbox: one pass puts right what is wrong, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aws_spot_sandbox_bacalhau.node_settings import NodeSettings
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.core.lifecycle.operator_lock import lock_name
from bacalhau_spot.core.model import BacalhauSpec, Naming
from bacalhau_spot.core.tags import template_name
from bacalhau_spot.engine.launch import wait_running
from bacalhau_spot.orchestrator.http import HttpOrchestrator, Login
from support.cli_runner import CliRunner
from support.misbehaving_servers import closed_port
from support.schemas import contract
from support.storms import Watch, ask_sandbox_orchestrator, fixed_prices, living, machines, region_of
from support.webhook import Webhook, webhook

HERE = "[us-east-1, us-west-2]"
HOOK = "notify: [{url_env: HOOK}]\n"
LONG_JOB = {
    "Name": "long",
    "Type": "service",
    "Count": 1,
    "Tasks": [{"Name": "main", "Engine": {"Type": "docker", "Params": {"Image": "busybox"}}}],
}

# `status` shows the cost, which decides nothing in a reconcile.
OF_THE_COST = frozenset({"ec2:DescribeSpotPriceHistory", "pricing:GetProducts"})


@pytest.fixture
def user(sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    ask_sandbox_orchestrator(sandbox, monkeypatch)
    program.configure(nodes=4, regions=HERE)
    fixed_prices(sandbox)
    return program


def created(user: CliRunner, sandbox: Any) -> None:
    result = user("create", "--yes", "--wait", "running", "-o", "json")
    assert result.code == 0, result.stdout
    sandbox.clock.advance(60)


def test_complete_cluster_costs_the_calls_of_status(sandbox: Any, user: CliRunner) -> None:
    created(user, sandbox)
    start = len(sandbox.world.calls)
    assert user("status", "-o", "json").code == 0
    middle = len(sandbox.world.calls)
    result = user("reconcile", "-o", "json")
    assert (result.code, result.data["changed"], result.data["remaining"]) == (0, False, False), result.stdout
    health = [call for call in sandbox.world.calls[start:middle] if call[1] not in OF_THE_COST]
    assert Counter(sandbox.world.calls[middle:]) == Counter(health)
    assert "4 of 4 nodes joined: nothing to do" in user("reconcile").stdout


def test_missing_and_stale_nodes(sandbox: Any, user: CliRunner) -> None:
    """In another region where the own one refuses; the orchestrator forgets the dead; a dry run changes nothing."""
    created(user, sandbox)
    gone = next(machine for machine in machines(sandbox) if region_of(machine) == "us-west-2")
    sandbox.server.interrupt("us-west-2", gone.id, notice_s=1)
    sandbox.settings.capacity = {"us-west-2": 0}
    sandbox.clock.advance(120)
    shown = user("reconcile", "--dry-run")
    assert (shown.code, sum(living(sandbox).values())) == (1, 3)
    assert "would launch 1 node; would remove 1 stale node from the orchestrator" in shown.stdout
    result = user("reconcile", "-o", "json")
    assert result.code == 0, result.stdout
    contract("reconcile", result.data)
    assert living(sandbox) == {"us-east-1": 3, "us-west-2": 1}
    assert (result.data["done"]["moved"], result.data["done"]["pruned"]) == (1, [f"bacalhau-{gone.id}"])
    log = (user.folder / ".local/state/bacalhau-spot/audit.jsonl").read_text()
    rows = [json.loads(line) for line in log.splitlines()]
    assert [row["launched"] for row in rows if row["event"] == "reconciled"] == [
        result.data["done"]["launched"]
    ]


def test_template_with_the_locks_name_is_no_command(sandbox: Any, user: CliRunner) -> None:
    """It is of others: no later pass would find it gone."""
    created(user, sandbox)
    sandbox.server.interrupt("us-west-2", living_in(sandbox, "us-west-2"), notice_s=1)
    sandbox.clock.advance(120)
    ec2 = sandbox.client("ec2", "us-east-1")
    ec2.create_launch_template(
        LaunchTemplateName=lock_name(Naming()),
        LaunchTemplateData={"MetadataOptions": {"HttpTokens": "required"}},
    )
    result = user("reconcile")
    assert result.code == 1, result.stdout
    assert f"the launch template {lock_name(Naming())} in us-east-1 exists and does not" in result.stderr
    names = [row["LaunchTemplateName"] for row in ec2.describe_launch_templates()["LaunchTemplates"]]
    assert lock_name(Naming()) in names


def living_in(sandbox: Any, region: str) -> str:
    return str(next(machine.id for machine in machines(sandbox) if region_of(machine) == region))


@pytest.mark.sockets
def test_node_that_never_joins_is_replaced(sandbox: Any, user: CliRunner) -> None:
    created(user, sandbox)
    sandbox.server.interrupt(
        "us-west-2", next(m.id for m in machines(sandbox) if region_of(m) == "us-west-2"), notice_s=1
    )
    sandbox.clock.advance(30)
    before = {machine.id for machine in machines(sandbox)}
    assert user("reconcile").code == 0
    (bad,) = {machine.id for machine in machines(sandbox)} - before
    sandbox.world.settings_of(NodeSettings).stuck = {bad: "docker"}
    sandbox.clock.advance(300)
    assert user("reconcile", "-o", "json").data["done"]["replaced"] == []
    sandbox.clock.advance(400)
    result = user("reconcile", "-o", "json")
    assert (result.code, result.data["done"]["replaced"]) == (0, [bad]), result.stdout
    assert [node["diagnosis"] for node in result.data["found"]["unhealthy"]] == ["failed"]
    sandbox.clock.advance(60)
    with webhook() as server:
        user.environ["HOOK"] = server.url
        user.configure(nodes=4, regions=HERE, more=HOOK)
        assert user("reconcile").code == 0
        assert [(body["event"], body["data"]["old_id"]) for body in server.bodies] == [("replacement", bad)]
    assert bad not in {machine.id for machine in machines(sandbox)}
    assert sum(living(sandbox).values()) == 4


def test_surplus_nodes_drain_by_themselves(sandbox: Any, user: CliRunner) -> None:
    created(user, sandbox)
    user.configure(nodes=2, regions=HERE)
    result = user("reconcile", "-o", "json")
    assert (result.code, len(result.data["done"]["drained"])) == (0, 2), result.stdout
    assert user("reconcile", "-o", "json").data["changed"] is False
    sandbox.clock.advance(60)
    assert user("list").code == 0
    sandbox.clock.advance(60)
    sandbox.server.settle()
    assert living(sandbox) == {"us-east-1": 1, "us-west-2": 1}


def test_budget_holds_where_another_region_is_dearer(sandbox: Any, user: CliRunner) -> None:
    """The plan fits; with the cheap region closed, the dear one gets as many nodes as the budget allows, and no more."""
    user.configure(nodes=4, regions="[us-east-1, eu-west-1]", more="budget_usd_per_hour: 0.18\n")
    sandbox.settings.capacity = {"us-east-1": 0}
    user("create", "--yes", "--wait", "none")
    assert living(sandbox) == {"eu-west-1": 3}
    sandbox.clock.advance(60)
    start = len(sandbox.world.calls)
    result = user("reconcile", "-o", "json")
    assert (result.code, result.data["hindrance"], living(sandbox)) == (1, "over-budget", {"eu-west-1": 3})
    assert not [call for call in sandbox.world.calls[start:] if call[1] == "ec2:CreateFleet"]


def test_pass_right_after_a_killed_create_does_not_launch_what_is_not_listed_yet(
    sandbox: Any, user: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One region took nodes over from the other: the pass would ask for them with another token.

    A `create` that is not killed ends when its nodes are listed.
    """
    monkeypatch.setattr(wait_running, "FLEET_LAG", timedelta(0))
    sandbox.settings.capacity = {"us-west-2": 1}
    sandbox.settings.read_lag_s = 6.0
    user("create", "--yes", "--wait", "none")
    assert living(sandbox) == {"us-east-1": 3, "us-west-2": 1}
    result = user("reconcile", "-o", "json")
    assert (result.code, result.data["hindrance"]) == (1, "just-created"), result.stdout
    assert sum(living(sandbox).values()) == 4
    sandbox.clock.advance(60)
    assert user("reconcile").code == 0


def test_destroyed_cluster_stays_destroyed(sandbox: Any, user: CliRunner) -> None:
    """A template of others with the name of the cluster's is none of it."""
    ec2, name = sandbox.client("ec2", "us-east-1"), template_name(Naming())
    ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "t3.small"})
    result = user("reconcile")
    assert (result.code, "no region has the cluster's launch template" in result.stdout) == (1, True)
    ec2.delete_launch_template(LaunchTemplateName=name)
    created(user, sandbox)
    assert user("destroy", "--yes").code == 0
    result = user("reconcile", "-o", "json")
    assert (result.code, result.data["hindrance"]) == (1, "no-cluster")
    assert sandbox.leftovers() == []


@pytest.mark.parametrize("moment", [3, 18, 28])
def test_two_passes_at_once_launch_once(sandbox: Any, user: CliRunner, moment: int) -> None:
    """The second one runs inside a call of the first: before, during and after its launch."""
    created(user, sandbox)
    for machine in machines(sandbox)[:2]:
        sandbox.server.interrupt(region_of(machine), machine.id, notice_s=1)
    sandbox.clock.advance(30)
    watch, other = Watch(sandbox), replace(user, host="there", runs=100)
    seen: list[Any] = []
    watch.during[moment] = lambda: seen.append(other("reconcile", "-o", "json").data)
    with watch.watching():
        user("reconcile")
    assert (watch.most, sum(living(sandbox).values()), len(seen)) == (4, 4, 1)
    sandbox.clock.advance(60)
    assert user("reconcile").code == 0


def test_expired_cluster_is_deleted_and_not_repaired(sandbox: Any, user: CliRunner) -> None:
    user.configure(nodes=2, regions=HERE, more="ttl: 15m\n")
    created(user, sandbox)
    assert user("reconcile", "-o", "json").data["expires_at"] is not None
    sandbox.clock.advance(26 * 60)
    result = user("reconcile", "-o", "json")
    assert result.envelope["errors"] == []
    assert (result.code, result.data["done"]["deleted"] > 0) == (0, True), result.stdout
    assert sandbox.leftovers() == []
    assert user("reconcile", "-o", "json").data["hindrance"] == "no-cluster"


def test_idle_cluster_is_deleted(sandbox: Any, user: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the end of its last job on; not while the jobs cannot be read; and without a request before it can be idle."""
    asked: list[int] = []

    def operator_api(_context: CommandContext) -> BacalhauSpec:
        asked.append(1)
        return BacalhauSpec(api_host=address)

    monkeypatch.setattr(CommandContext, "operator_api", operator_api)
    address = f"{sandbox.url}/_sandbox/orchestrator"
    user.configure(nodes=2, regions=HERE, more="idle_ttl: 15m\n")
    created(user, sandbox)
    assert (user("reconcile").code, asked) == (0, [])
    sandbox.clock.advance(900)
    client = HttpOrchestrator(address, login=Login(None))
    name = asyncio.run(client.submit(LONG_JOB))
    result = user("reconcile", "-o", "json")
    assert (result.code, result.data["found"]["expired"], asked) == (0, False, [1])
    asyncio.run(client.stop_job(name, reason="test"))
    sandbox.clock.advance(840)
    assert user("reconcile", "-o", "json").data["found"]["expired"] is False
    sandbox.clock.advance(120)
    address = f"http://127.0.0.1:{closed_port()}"
    result = user("reconcile", "-o", "json")
    assert (result.code, sum(living(sandbox).values())) == (0, 2)
    [warning] = result.envelope["warnings"]
    assert "the cluster does not count as idle for `idle_ttl`: OrchestratorUnreachable" in warning
    address = f"{sandbox.url}/_sandbox/orchestrator"
    result = user("reconcile", "--dry-run")
    assert (result.code, "no job since" in result.stdout) == (1, True), result.stdout
    result = user("reconcile", "-o", "json")
    contract("reconcile", result.data)
    assert (result.code, result.data["found"]["ended"]["reason"]) == (0, "idle"), result.stdout
    assert sandbox.leftovers() == []


def news(server: Webhook) -> list[str]:
    """The kinds of the notices since the last call."""
    kinds = [body["event"] for body in server.bodies]
    server.bodies.clear()
    return kinds


def lose(sandbox: Any, region: str) -> str:
    """EC2 interrupts a node, and has ended it."""
    gone = next(machine.id for machine in machines(sandbox) if region_of(machine) == region)
    sandbox.server.interrupt(region, gone, notice_s=1)
    sandbox.clock.advance(30)
    return str(gone)


def test_interruption_and_its_replacement_are_told_once(sandbox: Any, user: CliRunner) -> None:
    """By the first command that observes them."""
    with webhook() as server:
        user.environ["HOOK"] = server.url
        user.configure(nodes=4, regions=HERE, more=HOOK)
        created(user, sandbox)
        assert news(server) == ["create-ended"]
        gone = lose(sandbox, "us-west-2")
        assert user("reconcile").code == 0
        assert [body["data"]["instance_id"] for body in server.bodies] == [gone]
        assert news(server) == ["interruption"]
        sandbox.clock.advance(60)
        assert user("reconcile").code == 0
        [body] = server.bodies
        assert (body["data"]["old_id"], 30 <= body["data"]["seconds"] <= 120) == (gone, True), body
        assert news(server) == ["replacement"]
        for command in ("reconcile", "status", "list", "history", "cost"):
            user(command)
        assert news(server) == []
        for command in ("list", "status"):
            lose(sandbox, "us-east-1")
            user(command)
            user("reconcile")
            assert news(server) == ["interruption"]
            sandbox.clock.advance(60)
            assert user(command).code == 0
            user("reconcile")
            assert news(server) == ["replacement"]


def test_reached_budget_is_told_until_it_changes(sandbox: Any, user: CliRunner) -> None:
    with webhook() as server:
        user.environ["HOOK"] = server.url
        user.configure(nodes=2, regions=HERE, more=HOOK)
        created(user, sandbox)
        news(server)
        for nodes in (4, 5):
            user.configure(nodes=nodes, regions=HERE, more=HOOK + "budget_usd_per_hour: 0.07\n")
            result = user("reconcile", "--every", "60s", "--passes", "2", "-o", "ndjson")
            assert result.code == 1
            assert [body["data"]["not_launched"] for body in server.bodies] == [nodes - 2]
            assert user("reconcile", "-o", "json").data["hindrance"] == "over-budget"
            assert news(server) == ["budget-reached"]


def test_expired_cluster_is_told(sandbox: Any, user: CliRunner) -> None:
    """A failed delivery is a warning of the pass, and the cluster is deleted all the same."""
    with webhook() as server:
        user.environ["HOOK"] = server.url
        more = f"ttl: 15m\n{HOOK}".replace("}]", "}, {command: exit 3}]")
        user.configure(nodes=2, regions=HERE, more=more)
        created(user, sandbox)
        news(server)
        sandbox.clock.advance(26 * 60)
        result = user("reconcile", "-o", "json")
        assert (result.code, sandbox.leftovers()) == (0, [])
        assert server.bodies[-1]["data"]["reason"] == "lifetime"
        assert news(server) == ["cluster-expired"]
        [warning] = result.envelope["warnings"]
        assert "cluster-expired was not delivered to the command exit" in warning
        user("reconcile")
        assert news(server) == []


def test_tags_that_cannot_be_read_are_not_a_cluster_without_templates(sandbox: Any, user: CliRunner) -> None:
    """AWS refuses only the list of tags: nothing is launched, and the pass says in which regions and why."""
    created(user, sandbox)
    gone = next(machine for machine in machines(sandbox) if region_of(machine) == "us-west-2")
    sandbox.client("ec2", "us-west-2").terminate_instances(InstanceIds=[gone.id])
    sandbox.clock.advance(120)
    sandbox.settings.faults = [{"match": "DescribeTags", "code": "RequestLimitExceeded", "status": 503}]
    result = user("reconcile", "-o", "json")
    assert (result.code, result.data["hindrance"]) == (1, "not-scanned"), result.stdout
    assert result.data["reason"] == "us-east-1, us-west-2"
    assert {problem["code"] for problem in result.data["problems"]} == {"RequestLimitExceeded"}
    assert "us-east-1, us-west-2" in user("reconcile").stdout
    assert sum(living(sandbox).values()) == 3


def test_failed_pass_ends_nothing(sandbox: Any, user: CliRunner) -> None:
    """Later passes follow after longer pauses; SIGTERM ends the command after a pass, with its exit code."""
    created(user, sandbox)
    sandbox.settings.faults = [{"match": "GetCallerIdentity", "code": "ServiceUnavailable", "status": 503}]
    begun = sandbox.clock.now()
    sandbox.clock.at(begun + 200, sandbox.settings.faults.clear)
    result = user("reconcile", "--every", "60s", "--passes", "3", "-o", "json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["exit_code"] for row in rows] == [1, 1, 0]
    assert rows[0]["data"] is None
    assert rows[0]["errors"][0]["code"] == "ServiceUnavailable"
    assert sandbox.clock.now() - begun >= 360
    sandbox.clock.at(sandbox.clock.now() + 90, lambda: os.kill(os.getpid(), signal.SIGTERM))
    result = user("reconcile", "--every", "60s")
    assert (result.code, len(result.stdout.splitlines())) == (0, 2)


@pytest.mark.parametrize(
    "argv", [("--every", "5s"), ("--passes", "3"), ("--every", "60s", "-o", "yaml"), ("--every", "soon")]
)
def test_wrong_options(user: CliRunner, argv: tuple[str, ...]) -> None:
    assert user("reconcile", *argv).code == 2
