"""`status` and `cost` of a cluster with a managed orchestrator: each state that it can be in, at the screen."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from cli.test_managed_life import SandboxClock
from support.cli_runner import CliResult, CliRunner
from support.schemas import contract

HOME = "us-east-1"
CONFIG = f"""\
nodes: 2
regions: [{HOME}]
instance_types: [t3.medium]
orchestrator: managed
ssh_cidrs: [52.94.76.1/32]  # the address of the sandbox's operator
"""
HOUR = 3600


@pytest.fixture
def operator(program: CliRunner, sandbox: Any) -> CliRunner:
    program.clock = SandboxClock(sandbox)
    (program.folder / "config.yaml").write_text(CONFIG)
    return program


def created(program: CliRunner) -> str:
    """Creates or repairs the cluster. The id of the orchestrator's instance."""
    result = program("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    return str(program("list", "-o", "json").data["orchestrator"]["id"])


def verdict(program: CliRunner, *argv: str) -> tuple[CliResult, dict[str, Any]]:
    result = program("status", "-o", "json", *argv)
    contract("status", result.data)
    return result, result.data["orchestrator"]


def expected_after_restart(status: CliResult) -> tuple[str, str]:
    """The sandbox follows its machines in a thread: the nodes may have reconnected before the status is read."""
    listed = [node["orchestrator_node"] for node in status.data["nodes"]]
    back = all(node is not None and node["connected"] for node in listed)
    return ("answers", "good") if back else ("restarted", "waiting")


def screen(program: CliRunner) -> list[str]:
    """The lines on the orchestrator, each in one line."""
    text = " ".join(program("status").stdout.split())
    return [f"orchestrator: {part}" for part in text.split("orchestrator: ")[1:]]


def test_from_nothing_to_an_answer_and_back(operator: CliRunner, sandbox: Any) -> None:
    """Missing before create; stopped, then started by create; terminated, then replaced by create with the same address."""
    ec2 = sandbox.client("ec2", HOME)
    before, seen = verdict(operator)
    assert (before.code, seen["verdict"], seen["mode"], seen["instance"]) == (1, "missing", "managed", None)
    assert any("`bacalhau-spot create` creates it" in line for line in screen(operator))

    first = created(operator)
    well, seen = verdict(operator)
    assert (well.code, well.data["matches_spec"]) == (0, True)
    assert (seen["verdict"], seen["severity"], seen["instance"]["id"]) == ("answers", "good", first)
    address = seen["instance"]["public_ip"]
    (line,) = screen(operator)
    assert line.startswith(f"orchestrator: {first} t3.small in {HOME}")
    assert f", {address}, running, " in line and "API answers" in line
    assert well.data["total"]["present"] == 2, "it is no node"

    ec2.stop_instances(InstanceIds=[first])
    sandbox.clock.advance(120)
    sandbox.server.settle()
    stopped, seen = verdict(operator)
    assert (stopped.code, seen["verdict"], seen["api"]) == (1, "stopped", "no answer")
    assert {node["diagnosis"]["severity"] for node in stopped.data["nodes"]} <= {"good", "waiting", "unknown"}
    state, remedy = screen(operator)
    assert f"orchestrator: {first} t3.small in {HOME}" in state and "stopped" in state
    assert "orchestrator: `bacalhau-spot create` starts it" in remedy
    assert created(operator) == first
    restarted, seen = verdict(operator)
    assert (seen["verdict"], seen["severity"]) == expected_after_restart(restarted)
    assert {node["diagnosis"]["severity"] for node in restarted.data["nodes"]} <= {"good", "waiting"}
    sandbox.clock.advance(120)
    sandbox.server.settle()
    assert verdict(operator)[1]["verdict"] == "answers"

    ec2.terminate_instances(InstanceIds=[first])
    sandbox.clock.advance(120)
    sandbox.server.settle()
    assert verdict(operator)[1]["verdict"] == "missing"
    second = created(operator)
    sandbox.clock.advance(120)
    sandbox.server.settle()
    _, seen = verdict(operator)
    assert second != first
    assert (seen["verdict"], seen["instance"]["public_ip"]) == ("answers", address)


@pytest.mark.sockets
def test_booting_and_then_silent(operator: CliRunner, sandbox: Any) -> None:
    """Its API does not answer for as long as it may boot, and then it is a problem. Its nodes are not."""
    created(operator)
    for rule in sandbox.client("ec2", HOME).describe_security_group_rules()["SecurityGroupRules"]:
        if rule.get("FromPort") == 1234 and not rule["IsEgress"]:
            sandbox.client("ec2", HOME).revoke_security_group_ingress(
                GroupId=rule["GroupId"], SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]]
            )
    sandbox.server.settle()
    booting, seen = verdict(operator)
    assert (booting.code, seen["verdict"], seen["severity"]) == (1, "booting", "waiting")
    assert any("booting for" in line for line in screen(operator))
    sandbox.clock.advance(HOUR)
    sandbox.server.settle()
    silent, seen = verdict(operator)
    assert (silent.code, seen["verdict"]) == (1, "no-answer")
    assert seen["problem"]["code"] and seen["address"].startswith("https://")
    assert {node["diagnosis"]["kind"] for node in silent.data["nodes"]} == {"joined-by-console"}
    state, remedy = screen(operator)
    assert "API does not answer: " in state
    assert "`bacalhau-spot create` admits the address of this machine" in remedy
    created(operator)
    assert verdict(operator)[1]["verdict"] == "answers"


@pytest.mark.sockets
def test_credentials_that_cannot_be_read_or_do_not_exist(operator: CliRunner, sandbox: Any) -> None:
    created(operator)
    sandbox.clock.advance(60)  # the nodes' consoles report that they have joined
    sandbox.settings.deny = ["ssm:GetParameter"]
    denied, seen = verdict(operator)
    assert (denied.code, seen["verdict"], seen["severity"]) == (5, "credentials-unreadable", "unknown")
    assert "its credentials could not be read" in screen(operator)[0]
    sandbox.settings.deny = []
    ssm = sandbox.client("ssm", HOME)
    (name,) = (row["Name"] for row in ssm.describe_parameters()["Parameters"])
    ssm.delete_parameter(Name=name)
    gone, seen = verdict(operator)
    assert (gone.code, seen["verdict"]) == (1, "no-credentials")
    assert "orchestrator: restore the parameter from a copy; or terminate" in screen(operator)[1]
    assert operator("create", "--yes").code == 1, "with running nodes it refuses, in the same words"


def test_another_configuration_still_asks_it(operator: CliRunner) -> None:
    """The configuration names no orchestrator any more, or the cluster is given by its name: its own answers."""
    created(operator)
    config = operator.folder / "config.yaml"
    config.write_text(CONFIG.replace("orchestrator: managed", "orchestrator: none"))
    result, seen = verdict(operator)
    assert (seen["mode"], seen["verdict"]) == ("managed", "answers")
    assert {node["diagnosis"]["kind"] for node in result.data["nodes"]} == {"joined"}
    other = "cluster: {tag_value: other}\n"
    config.write_text(other + CONFIG.replace("orchestrator: managed", "orchestrator: none"))
    assert verdict(operator, "--cluster", "bacalhau-aws-spot")[1]["verdict"] == "answers"
    config.write_text(other + CONFIG.replace("managed", "{cluster: bacalhau-aws-spot}"))
    _, seen = verdict(operator)
    assert (seen["mode"], seen["verdict"], seen["instance"]) == ("shared", "answers", None)
    config.write_text(other + CONFIG.replace("managed", "{cluster: nobody}"))
    result, seen = verdict(operator)
    assert (result.code, seen["verdict"]) == (1, "not-shared")
    assert "cluster nobody has no orchestrator" in screen(operator)[0]
    assert "orchestrator: `create` with the configuration file of nobody creates it" in screen(operator)[1]


def test_watch_follows_a_create(operator: CliRunner, sandbox: Any) -> None:
    """It looks the orchestrator up again until its API answers."""

    class CreateMeanwhile(SandboxClock):
        looks = 0

        async def sleep(self, seconds: float) -> None:
            self.looks += 1
            if self.looks == 1:
                operator.clock = SandboxClock(sandbox)
                assert (await asyncio.to_thread(operator, "create", "--yes")).code == 0
            if self.looks == 3:
                raise KeyboardInterrupt
            await super().sleep(seconds)

    operator.clock = CreateMeanwhile(sandbox)
    lines = operator("status", "--watch", "-o", "ndjson").stdout.splitlines()
    verdicts = [json.loads(line)["data"]["orchestrator"]["verdict"] for line in lines]
    assert (verdicts[0], verdicts[-1]) == ("missing", "answers")


def test_its_cost(operator: CliRunner, sandbox: Any) -> None:
    """Three hours of instance, volumes and address by hand; stopped, only the instance costs nothing more."""
    first = created(operator)
    start = sandbox.clock.now()
    sandbox.clock.advance(3 * HOUR)
    data = cost(operator)
    part = data["orchestrator"]
    (instance,) = (row for row in data["instances"] if row["orchestrator"])
    hourly = float(instance["on_demand_usd"]) / float(instance["hours"])
    assert 0.01 < hourly < 0.05, "a t3.small on demand"
    assert float(part["instance_usd"]) == pytest.approx(3 * hourly, rel=0.05)
    assert float(part["volume_usd"]) == pytest.approx(3 * 30 * 0.08 / 730, rel=0.05)
    assert float(part["address_usd"]) == pytest.approx(3 * 0.005, rel=0.05)
    assert (part["instances"], part["running"], data["total"]["instances"]) == (1, 1, 2)
    assert (instance["id"], instance["spot"], instance["address"]) == (first, False, False)
    assert sorted(row["volume_gib"] for row in data["volumes"]) == [10, 20]
    assert len(data["addresses"]) == 1
    shown = " ".join(operator("cost").stdout.split())
    assert "orchestrator: $" in shown and "AWS returns no allocation time" in shown

    sandbox.client("ec2", HOME).stop_instances(InstanceIds=[first])
    sandbox.clock.advance(HOUR)
    stopped = cost(operator)["orchestrator"]
    assert float(stopped["instance_usd"]) == pytest.approx(3 * hourly, rel=0.05)
    assert float(stopped["volume_usd"]) == pytest.approx(4 * 30 * 0.08 / 730, rel=0.05)
    assert float(stopped["current_usd_per_hour"]) == pytest.approx(30 * 0.08 / 730 + 0.005, rel=0.001)
    assert stopped["running"] == 0 and sandbox.clock.now() - start >= 4 * HOUR


def cost(program: CliRunner) -> dict[str, Any]:
    result = program("cost", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    contract("cost", result.data)
    return result.data
