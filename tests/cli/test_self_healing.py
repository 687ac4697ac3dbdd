"""`self_heal: true`: each region is an Auto Scaling group, and AWS keeps its number of nodes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cloud.auto_scaling import AwsScalingGroups
from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.orchestrator.http import HttpOrchestrator
from support.cli_runner import CliResult, CliRunner

HEAL = "self_heal: true\n"
TWO = "[us-east-1, us-west-2]"


def groups(sandbox: Any, *regions: str) -> dict[str, Any]:
    lists = {
        region: sandbox.client("autoscaling", region).describe_auto_scaling_groups()["AutoScalingGroups"]
        for region in regions or ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1")
    }
    return {region: rows[0] for region, rows in lists.items() if rows}


def desired(sandbox: Any) -> dict[str, int]:
    return {region: row["DesiredCapacity"] for region, row in groups(sandbox).items()}


@pytest.fixture
def asked(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of nodes that all groups together ask for, after each call that changes it."""
    numbers: list[int] = []

    def recorded(name: str) -> None:
        call = getattr(AwsScalingGroups, name)

        async def and_record(self: AwsScalingGroups, *args: Any, **kwargs: Any) -> None:
            await call(self, *args, **kwargs)
            numbers.append(sum(desired(sandbox).values()))

        monkeypatch.setattr(Aws, name, and_record)

    recorded("update_scaling_group")
    recorded("attach_instances")
    return numbers


def nodes(program: CliRunner) -> dict[str, str]:
    """Id -> region of the living nodes."""
    listed = program("list", "-o", "json").data["instances"]
    return {row["id"]: row["region"] for row in listed if row["state"] in ("pending", "running")}


def plan(result: CliResult) -> Any:
    return result.data["plan"]


def test_each_region_is_a_group_that_replaces_its_nodes(sandbox: Any, program: CliRunner) -> None:
    program.configure(nodes=4, regions=TWO, more=HEAL)
    result = program("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    assert desired(sandbox) == {"us-east-1": 2, "us-west-2": 2}
    first = nodes(program)
    assert sorted(first.values()) == ["us-east-1", "us-east-1", "us-west-2", "us-west-2"]
    again = program("create", "--yes", "-o", "json")
    assert (again.code, plan(again)["launch"]) == (0, 0), again.stdout


def test_a_region_without_capacity_gives_its_nodes_to_others(
    sandbox: Any, program: CliRunner, asked: list[int]
) -> None:
    """It gives them up before the others launch them: all groups together never ask for more than configured."""
    sandbox.settings.capacity = {"us-east-1": 1}
    program.configure(nodes=6, regions=TWO, more=HEAL)
    result = program("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    assert (max(asked), asked[-1]) == (6, 6)
    assert desired(sandbox) == {"us-east-1": 1, "us-west-2": 5}
    assert len(nodes(program)) == 6
    receipt = {row["region"]: row for row in result.data["receipt"]["regions"]}
    assert (receipt["us-east-1"]["reassigned"], receipt["us-west-2"]["taken_over"]) == (2, 2)
    assert receipt["us-east-1"]["pool_failures"][0]["code"] == "UnfulfillableCapacity"


def test_strict_regions_leave_the_rest_to_aws(sandbox: Any, program: CliRunner) -> None:
    sandbox.settings.capacity = {"us-east-1": 1}
    program.configure(nodes=4, regions=TWO, more=HEAL + "spread: strict\n")
    result = program("create", "--yes", "-o", "json")
    assert result.code == 1, result.stdout + result.stderr
    assert desired(sandbox) == {"us-east-1": 2, "us-west-2": 2}
    assert len(nodes(program)) == 3
    sandbox.settings.capacity = {}
    sandbox.clock.advance(600)
    assert len(nodes(program)) == 4


def test_a_living_cluster_changes_without_losing_a_node(sandbox: Any, program: CliRunner) -> None:
    program.configure(nodes=4, regions=TWO)
    assert program("create", "--yes").code == 0
    plain = nodes(program)
    program.configure(nodes=4, regions=TWO, more=HEAL)
    shown = program("create", "--dry-run", "-o", "json")
    assert [row["steps"] for row in plan(shown)["groups"]] == [["create", "attach"]] * 2
    assert program("create", "--yes").code == 0
    assert (nodes(program), desired(sandbox)) == (plain, {"us-east-1": 2, "us-west-2": 2})
    assert program("create", "--yes").code == 0
    sandbox.clock.advance(600)
    assert nodes(program) == plain

    program.configure(nodes=4, regions=TWO)
    shown = program("create", "--dry-run", "-o", "json")
    assert [row["steps"] for row in plan(shown)["groups"]] == [["detach", "delete"]] * 2
    back = program("create", "--yes")
    assert back.code == 0, back.stdout + back.stderr
    assert (nodes(program), desired(sandbox)) == (plain, {})
    sandbox.clock.advance(600)
    assert nodes(program) == plain


def test_another_number_changes_the_groups(sandbox: Any, program: CliRunner) -> None:
    program.configure(nodes=4, regions=TWO, more=HEAL)
    assert program("create", "--yes").code == 0
    program.configure(nodes=7, regions=TWO, more=HEAL)
    assert program("create", "--yes").code == 0
    assert (desired(sandbox), len(nodes(program))) == ({"us-east-1": 4, "us-west-2": 3}, 7)
    program.configure(nodes=3, regions=TWO, more=HEAL)
    fewer = program("create", "--yes", "--allow-removal", "-o", "json")
    assert fewer.code == 0, fewer.stdout
    sandbox.clock.advance(600)
    assert (desired(sandbox), len(nodes(program))) == ({"us-east-1": 2, "us-west-2": 1}, 3)
    again = plan(program("create", "--yes", "-o", "json"))
    assert [row["steps"] for row in again["groups"]] == [[], []]


def test_a_storm_passes_with_no_command_typed(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of twenty nodes interrupted within ten minutes, and one region without capacity for an hour."""
    at_sandbox = HttpOrchestrator(f"{sandbox.url}/_sandbox/orchestrator")
    monkeypatch.setattr(CommandContext, "orchestrator", lambda *_, **__: at_sandbox)
    program.configure(nodes=20, more=HEAL)
    assert program("create", "--yes").code == 0
    before = nodes(program)
    assert len(before) == 20
    sandbox.settings.capacity = {"us-west-2": 0}
    by_region = {region: [name for name in before if before[name] == region] for region in desired(sandbox)}
    for number in range(7):
        region = ("us-west-2", "us-east-1", "eu-west-1", "ap-southeast-1")[number % 4]
        sandbox.server.interrupt(region, by_region[region].pop())
        sandbox.clock.advance(85)
    sandbox.clock.advance(1200)
    short = nodes(program)
    assert (len(short), len(set(before) - set(short))) == (18, 7)
    listed = program("list")
    assert "AWS goes on trying to launch 2 nodes in us-west-2" in listed.stdout
    state = {row["region"]: row for row in program("status", "-o", "json").data["groups"]}
    assert (state["us-west-2"]["desired"], state["us-west-2"]["in_service"]) == (5, 3)
    assert state["us-west-2"]["refusal"]["code"] == "UnfulfillableCapacity"
    assert state["us-east-1"]["refusal"] is None

    sandbox.clock.advance(1500)
    sandbox.settings.capacity = {}
    sandbox.clock.advance(900)
    after = nodes(program)
    assert len(after) == 20
    assert desired(sandbox) == dict.fromkeys(desired(sandbox), 5)
    joined = program("status", "-o", "json").data
    assert (joined["total"]["good"], joined["missing"], joined["surplus"]) == (20, 0, 0)
    again = program("create", "--yes", "-o", "json")
    assert (plan(again)["launch"], [row["steps"] for row in plan(again)["groups"]]) == (0, [[]] * 4)


def test_replacements_carry_the_same_tags(sandbox: Any, program: CliRunner) -> None:
    program.configure(nodes=1, regions="[us-east-1]", more=HEAL)
    assert program("create", "--yes").code == 0
    ec2 = sandbox.client("ec2", "us-east-1")

    def tags() -> dict[str, dict[str, str]]:
        rows = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])
        return {
            row["InstanceId"]: {
                tag["Key"]: tag["Value"] for tag in row["Tags"] if not tag["Key"].startswith("aws:")
            }
            for group in rows["Reservations"]
            for row in group["Instances"]
        }

    (first,) = tags().items()
    sandbox.server.interrupt("us-east-1", first[0], notice_s=0)
    sandbox.clock.advance(300)
    (second,) = tags().items()
    assert second[0] != first[0]
    assert second[1] == first[1]
    assert {"BacalhauNodeSpec", "bacalhau-cluster", "CreatedBy", "Name"} <= set(second[1])


def test_destroy_leaves_nothing_and_nothing_is_launched_again(sandbox: Any, program: CliRunner) -> None:
    before = sandbox.leftovers()
    program.configure(nodes=4, regions=TWO, more=HEAL)
    assert program("create", "--yes").code == 0
    name = groups(sandbox)["us-east-1"]["AutoScalingGroupName"]
    sandbox.client("autoscaling", "us-east-1").put_scheduled_update_group_action(
        AutoScalingGroupName=name, ScheduledActionName="later", Recurrence="* * * * *", DesiredCapacity=2
    )
    assert program("destroy", "--yes").code == 0
    sandbox.clock.advance(1200)
    assert sandbox.leftovers() == before


def test_a_budget_holds_for_every_pool_and_replacement(sandbox: Any, program: CliRunner) -> None:
    """A group may replace each node in its dearest pool, and runs one instance more while it does."""
    program.configure(nodes=2, regions="[us-east-1]", more=HEAL)
    shown = program("create", "--dry-run", "-o", "json", "--budget", "5").data["plan"]
    assert [row["at_most"] for row in shown["groups"]] == [3]
    most = Decimal(shown["budget"]["launch_usd_per_hour"])
    two = Decimal(shown["estimate"]["total"]["high"])
    assert abs(most - two * 3 / 2) < Decimal("0.000002")
    refused = program("create", "--yes", "--budget", str(most - Decimal("0.001")))
    assert refused.code == 2
    assert "3 instances of the Auto Scaling groups, at most" in refused.stderr
    assert desired(sandbox) == {}


def test_a_limit_for_pools_is_refused(program: CliRunner) -> None:
    program.configure(nodes=2, more=HEAL + "max_share_per_pool: 25%\n")
    refused = program("create", "--dry-run")
    assert refused.code == 2
    assert "AWS alone chooses the pools" in refused.stderr


def test_a_later_create_moves_what_a_region_no_longer_gets(
    sandbox: Any, program: CliRunner, asked: list[int]
) -> None:
    """AWS keeps trying within the region; the next create sees the refusal, and lets another region launch."""
    program.configure(nodes=4, regions=TWO, more=HEAL)
    assert program("create", "--yes").code == 0
    sandbox.settings.capacity = {"us-west-2": 0}
    (lost, *_) = [name for name, region in nodes(program).items() if region == "us-west-2"]
    sandbox.server.interrupt("us-west-2", lost, notice_s=0)
    sandbox.clock.advance(200)
    result = program("create", "--yes", "-o", "json")
    assert (result.code, plan(result)["launch"]) == (0, 1), result.stdout
    assert desired(sandbox) == {"us-east-1": 3, "us-west-2": 1}
    assert (len(nodes(program)), max(asked)) == (4, 4)
    sandbox.settings.capacity = {}
    sandbox.clock.advance(900)
    assert len(nodes(program)) == 4


def test_new_nodes_of_a_group_get_a_changed_configuration(sandbox: Any, program: CliRunner) -> None:
    program.configure(nodes=1, regions="[us-east-1]", more=HEAL)
    assert program("create", "--yes").code == 0
    program.configure(nodes=1, regions="[us-east-1]", more=HEAL + "instance: {root_volume_gib: 44}\n")
    changed = program("create", "--yes", "-o", "json")
    assert (changed.code, [row["steps"] for row in plan(changed)["groups"]]) == (0, [["update"]])
    ((lost, _),) = nodes(program).items()
    sandbox.server.interrupt("us-east-1", lost, notice_s=0)
    sandbox.clock.advance(300)
    volumes = sandbox.client("ec2", "us-east-1").describe_volumes()["Volumes"]
    assert [volume["Size"] for volume in volumes if volume["State"] == "in-use"] == [44]
    again = program("create", "--yes", "-o", "json")
    assert [row["steps"] for row in plan(again)["groups"]] == [[]]


def test_a_node_that_aws_is_about_to_replace_is_not_launched_twice(sandbox: Any, program: CliRunner) -> None:
    program.configure(nodes=2, regions="[us-east-1]", more=HEAL)
    assert program("create", "--yes").code == 0
    sandbox.client("ec2", "us-east-1").terminate_instances(InstanceIds=list(nodes(program))[:1])
    waiting = program("create", "--yes")
    assert "nothing to do: 1 of 2 nodes exist, AWS is launching 1" in waiting.stdout
    sandbox.clock.advance(300)
    assert len(nodes(program)) == 2


def test_a_node_outside_its_group_comes_back_without_one_more(
    sandbox: Any, program: CliRunner, asked: list[int]
) -> None:
    """Attaching adds to the group's number, which lacks a node already."""
    program.configure(nodes=2, regions="[us-east-1]", more=HEAL)
    assert program("create", "--yes").code == 0
    sandbox.settings.capacity = {"us-east-1": 0}
    name = groups(sandbox)["us-east-1"]["AutoScalingGroupName"]
    (outside, *_) = before = nodes(program)
    sandbox.client("autoscaling", "us-east-1").detach_instances(
        AutoScalingGroupName=name, InstanceIds=[outside], ShouldDecrementDesiredCapacity=False
    )
    sandbox.clock.advance(120)
    asked.clear()
    result = program("create", "--yes", "-o", "json")
    assert [row["steps"] for row in plan(result)["groups"]] == [["attach", "resize"]]
    assert (result.code, desired(sandbox), max(asked)) == (0, {"us-east-1": 2}, 2)
    assert nodes(program) == before


def test_a_full_account_is_told_which_quota(sandbox: Any, program: CliRunner) -> None:
    sandbox.settings.quotas = {"scaling_groups": 0}
    program.configure(nodes=1, regions="[us-east-1]", more=HEAL)
    refused = program("create", "--yes")
    assert refused.code == 1
    assert "no room for another Auto Scaling group in us-east-1" in refused.stdout + refused.stderr


def test_aws_moves_no_working_node_to_another_zone(sandbox: Any, program: CliRunner) -> None:
    """The groups suspend AZRebalance, which would: it launches in the zones with fewer, and terminates in the others."""
    shortage = [
        {"pool": f"us-east-1{zone}", "from": 0, "until": sandbox.clock.now() + 300} for zone in "bcdf"
    ]
    sandbox.settings.outages = shortage
    program.configure(nodes=3, regions="[us-east-1]", more=HEAL)
    assert program("create", "--yes").code == 0
    before = nodes(program)
    zones = {row["zone"] for row in program("list", "-o", "json").data["instances"]}
    assert (len(before), zones) == (3, {"us-east-1a"})
    sandbox.clock.advance(3600)
    assert nodes(program) == before
    (name,) = (row["AutoScalingGroupName"] for row in groups(sandbox).values())
    sandbox.client("autoscaling", "us-east-1").resume_processes(
        AutoScalingGroupName=name, ScalingProcesses=["AZRebalance"]
    )
    sandbox.clock.advance(3600)
    assert len(nodes(program)) == 3 and nodes(program) != before


def test_lists_that_lag_do_not_stop_a_new_group(program: CliRunner, sandbox: Any) -> None:
    """Auto Scaling may not know a new group for some seconds."""
    sandbox.settings.read_lag_s = 4.0
    program.configure(nodes=1, regions="[us-east-1]", more="self_heal: true\n")
    result = program("create", "--yes", "--wait", "running")
    assert result.code == 0, result.stderr
    sandbox.clock.advance(10)
    groups = sandbox.client("autoscaling", "us-east-1").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert [group["DesiredCapacity"] for group in groups] == [1]


def test_a_group_that_aws_refuses_is_a_failure(program: CliRunner, sandbox: Any) -> None:
    """Also where every node runs: nothing would replace them."""
    program.configure(nodes=1, regions="[us-east-1]")
    assert program("create", "--yes", "--wait", "running").code == 0
    program.configure(nodes=1, regions="[us-east-1]", more="self_heal: true\n")
    sandbox.settings.faults = [{"match": "CreateAutoScalingGroup", "code": "LimitExceeded", "message": "x"}]
    result = program("create", "--yes", "-o", "json")
    assert result.code == 1 and result.envelope["errors"]
