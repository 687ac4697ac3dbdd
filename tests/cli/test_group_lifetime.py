"""A self-healing cluster with a lifetime ends with no command typed, and AWS launches nothing after the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest

from bacalhau_spot.cloud.session import Session
from bacalhau_spot.core.scaling_group.groups import EXPIRY_ACTION
from bacalhau_spot.core.tags import EXPIRES_KEY
from bacalhau_spot.errors import ExitCode
from support.cli_runner import CliResult, CliRunner
from support.killed_process import Killed
from support.schemas import contract

HOUR_S = 3600
REGIONS = ("us-west-1", "eu-west-1")
HEAL = "self_heal: true\n"
LIFETIME = "ttl: 8h\n"


def configure(user: CliRunner, *more: str, nodes: int = 2, regions: tuple[str, ...] = REGIONS) -> None:
    user.configure(nodes=nodes, regions=f"[{', '.join(regions)}]", more="".join(more))


@pytest.fixture
def user(program: CliRunner) -> CliRunner:
    """Somebody with a self-healing cluster of two nodes in two regions for eight hours."""
    configure(program, HEAL, LIFETIME)
    return program


def create(user: CliRunner, *options: str) -> CliResult:
    result = user("create", "--yes", "--wait", "running", "-o", "json", *options)
    assert result.code == 0, result.stdout + result.stderr
    return result


def instances(sandbox: Any, *regions: str) -> list[dict[str, Any]]:
    return [
        instance
        for region in regions or REGIONS
        for reservation in sandbox.client("ec2", region).describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    ]


def living(sandbox: Any, *regions: str) -> list[dict[str, Any]]:
    return [
        instance
        for instance in instances(sandbox, *regions)
        if instance["State"]["Name"] in {"pending", "running"}
    ]


def tags(sandbox: Any) -> set[str]:
    """The values of the tag of living nodes; empty for one without."""
    return {
        {tag["Key"]: tag["Value"] for tag in instance["Tags"]}.get(EXPIRES_KEY, "")
        for instance in living(sandbox)
    }


def group(sandbox: Any, region: str) -> dict[str, Any]:
    (row,) = sandbox.client("autoscaling", region).describe_auto_scaling_groups()["AutoScalingGroups"]
    return dict(row)


def group_tag(sandbox: Any, region: str) -> tuple[str, bool] | None:
    rows = [tag for tag in group(sandbox, region)["Tags"] if tag["Key"] == EXPIRES_KEY]
    return (rows[0]["Value"], rows[0]["PropagateAtLaunch"]) if rows else None


def scheduled(sandbox: Any, region: str) -> list[datetime]:
    rows = sandbox.client("autoscaling", region).describe_scheduled_actions()["ScheduledUpdateGroupActions"]
    for row in rows:
        assert row["ScheduledActionName"] == EXPIRY_ACTION
        assert (row["MinSize"], row["DesiredCapacity"], row["MaxSize"]) == (0, 0, 0)
        assert not row.get("Recurrence")
    return [row["StartTime"] for row in rows]


def value(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def now(sandbox: Any) -> datetime:
    return datetime.fromtimestamp(sandbox.clock.now(), UTC)


def advance(sandbox: Any, seconds: float) -> None:
    """In steps: nodes and groups look once a minute."""
    for _ in range(4):
        sandbox.clock.advance(seconds / 4)
        sandbox.server.settle()


def lose(sandbox: Any, region: str) -> None:
    """One node of the region is interrupted at once."""
    sandbox.server.interrupt(region, living(sandbox, region)[0]["InstanceId"], notice_s=0)


def assert_ends(sandbox: Any, at: datetime) -> None:
    """Nodes, groups and scheduled actions have this end."""
    assert tags(sandbox) <= {value(at)}
    for region in REGIONS:
        assert (group_tag(sandbox, region), scheduled(sandbox, region)) == ((value(at), True), [at])


@pytest.mark.parametrize("late_s", [0, 120], ids=["in time", "two minutes late"])
def test_it_is_gone_after_its_lifetime_and_nothing_is_launched(
    user: CliRunner, sandbox: Any, late_s: int
) -> None:
    """AWS may run a scheduled action two minutes late: no node has ended itself until then, which its group would replace."""
    sandbox.settings.schedule_delay_s = late_s
    sandbox.settings.health_check_s = 5
    plan = create(user).data["plan"]
    end = datetime.fromisoformat(plan["expiry"]["expires_at"])
    assert (end.second, end - now(sandbox) <= timedelta(hours=8, minutes=1)) == (0, True)
    assert_ends(sandbox, end)
    lose(sandbox, "us-west-1")
    advance(sandbox, 7.9 * HOUR_S)
    assert (len(living(sandbox)), tags(sandbox)) == (2, {value(end)})
    lose(sandbox, "eu-west-1")
    advance(sandbox, (end - now(sandbox)).total_seconds() - 1)
    assert (len(living(sandbox)), tags(sandbox)) == (2, {value(end)})
    before = {instance["InstanceId"] for instance in instances(sandbox)}
    for _ in range(10):
        advance(sandbox, 60)
    assert living(sandbox) == []
    assert {instance["InstanceId"] for instance in instances(sandbox)} <= before
    advance(sandbox, HOUR_S)
    assert living(sandbox) == []
    for region in REGIONS:
        row = group(sandbox, region)
        assert (row["MinSize"], row["DesiredCapacity"], row["MaxSize"]) == (0, 0, 0)
    found = user("reconcile", "-o", "json").data
    assert (found["found"]["ended"]["reason"], found["done"]["launched"]) == ("lifetime", [])
    assert user("list", "-o", "json").data["instances"] == []


def test_extend_moves_nodes_groups_and_scheduled_actions(user: CliRunner, sandbox: Any) -> None:
    create(user)
    advance(sandbox, 7 * HOUR_S)
    moved = user("extend", "4h", "-o", "json")
    assert moved.code == 0, moved.stdout
    contract("extend", moved.data)
    assert (len(moved.data["changed"]), sorted(moved.data["changed_groups"])) == (2, sorted(REGIONS))
    end = datetime.fromisoformat(moved.data["expires_at"])
    assert_ends(sandbox, end)
    advance(sandbox, 2 * HOUR_S)
    lose(sandbox, "us-west-1")
    advance(sandbox, 600)
    assert (len(living(sandbox)), tags(sandbox)) == (2, {value(end)})
    advance(sandbox, 2.2 * HOUR_S)
    assert living(sandbox) == []


def test_without_an_end_replacements_have_none_either(user: CliRunner, sandbox: Any) -> None:
    create(user)
    assert user("extend", "--never", "-o", "json").code == 0
    assert scheduled(sandbox, "us-west-1") == []
    lose(sandbox, "us-west-1")
    advance(sandbox, 600)
    assert (len(living(sandbox)), tags(sandbox)) == (2, {"never"})
    again = user("extend", "--never", "-o", "json")
    assert (again.code, again.data["instances"], again.data["groups"]) == (0, [], [])
    create(user)
    advance(sandbox, 20 * HOUR_S)
    assert len(living(sandbox)) == 2
    earlier = user("extend", "4h", "--yes", "-o", "json")
    assert_ends(sandbox, datetime.fromisoformat(earlier.data["expires_at"]))


def test_create_sets_and_removes_the_end_of_a_living_cluster(user: CliRunner, sandbox: Any) -> None:
    configure(user, HEAL)
    create(user)
    assert (group_tag(sandbox, "us-west-1"), scheduled(sandbox, "us-west-1"), tags(sandbox)) == (
        None,
        [],
        {""},
    )
    configure(user, HEAL, LIFETIME)
    by_key = create(user).data["plan"]["expiry"]
    assert sorted(by_key["changed_groups"]) == sorted(REGIONS)
    assert_ends(sandbox, datetime.fromisoformat(by_key["expires_at"]))
    again = create(user).data["plan"]["expiry"]
    assert (again["changed"], again["changed_groups"]) == ([], [])
    by_option = create(user, "--ttl", "2d").data["plan"]["expiry"]
    assert_ends(sandbox, datetime.fromisoformat(by_option["expires_at"]))
    create(user, "--ttl", "none")
    assert (scheduled(sandbox, "us-west-1"), tags(sandbox)) == ([], {"never"})
    assert len(living(sandbox)) == 2


def test_the_end_stays_when_a_cluster_becomes_self_healing_and_back(user: CliRunner, sandbox: Any) -> None:
    configure(user, LIFETIME)
    end = datetime.fromisoformat(create(user).data["plan"]["expiry"]["expires_at"])
    nodes = {instance["InstanceId"] for instance in living(sandbox)}
    configure(user, HEAL, LIFETIME)
    create(user)
    assert_ends(sandbox, end)
    configure(user, LIFETIME)
    create(user)
    assert ({instance["InstanceId"] for instance in living(sandbox)}, tags(sandbox)) == (nodes, {value(end)})
    assert (
        sandbox.client("autoscaling", "us-west-1").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    )
    advance(sandbox, 8.2 * HOUR_S)
    assert living(sandbox) == []


def test_the_end_is_shown_with_its_holders(user: CliRunner, sandbox: Any) -> None:
    assert "then AWS terminates the nodes of the Auto Scaling groups" in user("create", "--dry-run").stdout
    end = datetime.fromisoformat(create(user).data["plan"]["expiry"]["expires_at"])
    shown = user("list")
    assert "held by 2 Auto Scaling groups and 2 instances" in shown.stdout
    listed = user("list", "-o", "json").data
    assert [datetime.fromisoformat(row["ends_at"]) for row in listed["groups"]] == [end, end]
    ec2 = sandbox.client("ec2", "us-west-1")
    ec2.delete_tags(Resources=[living(sandbox, "us-west-1")[0]["InstanceId"]], Tags=[{"Key": EXPIRES_KEY}])
    assert user("status", "-o", "json").data["expires_at"] == listed["expires_at"]
    (cluster,) = user("clusters", "-o", "json").data["clusters"]
    assert cluster["expires_at"] == listed["expires_at"]


def test_reconcile_puts_tags_and_scheduled_actions_right(user: CliRunner, sandbox: Any) -> None:
    end = datetime.fromisoformat(create(user).data["plan"]["expiry"]["expires_at"])
    scaling, name = (
        sandbox.client("autoscaling", "us-west-1"),
        group(sandbox, "us-west-1")["AutoScalingGroupName"],
    )
    quiet = user("reconcile", "-o", "json").data
    assert (quiet["changed"], quiet["found"]["other_expiry"]) == (False, [])
    scaling.delete_scheduled_action(AutoScalingGroupName=name, ScheduledActionName=EXPIRY_ACTION)
    tag = {"ResourceId": name, "ResourceType": "auto-scaling-group", "Key": EXPIRES_KEY}
    scaling.delete_tags(Tags=[tag])
    advance(sandbox, 60)
    assert "the Auto Scaling group in us-west-1 has another expiry" in user("list").stdout
    shown = user("reconcile", "--dry-run", "-o", "json").data
    assert (shown["found"]["other_expiry"], scheduled(sandbox, "us-west-1")) == (["us-west-1"], [])
    done = user("reconcile", "-o", "json")
    contract("reconcile", done.data)
    assert (done.code, done.data["done"]["expiry_written"]) == (0, ["us-west-1"]), done.stdout
    assert_ends(sandbox, end)


def test_a_region_that_refuses_its_scheduled_action_is_named(user: CliRunner, sandbox: Any) -> None:
    end = datetime.fromisoformat(create(user).data["plan"]["expiry"]["expires_at"])
    sandbox.settings.faults = [
        {
            "region": "eu-west-1",
            "match": "PutScheduledUpdateGroupAction",
            "code": "AccessDenied",
            "status": 403,
        }
    ]
    partly = user("extend", "20h", "-o", "json")
    assert partly.code in {ExitCode.FAILED, ExitCode.DENIED}
    assert [failure["region"] for failure in partly.data["failed"]] == ["eu-west-1"]
    assert scheduled(sandbox, "eu-west-1") == [end]
    sandbox.settings.faults = []
    assert user("extend", "20h", "-o", "json").code == 0
    assert_ends(sandbox, scheduled(sandbox, "eu-west-1")[0])


def test_a_group_whose_end_is_refused_gets_no_node(user: CliRunner, sandbox: Any) -> None:
    """A group without its scheduled action would replace its nodes after the end again and again."""
    sandbox.settings.faults = [
        {
            "region": "eu-west-1",
            "match": "PutScheduledUpdateGroupAction",
            "code": "AccessDenied",
            "status": 403,
        }
    ]
    configure(user, HEAL, LIFETIME, "spread: strict\n")
    assert user("create", "--yes", "--wait", "running").code != 0
    assert (len(living(sandbox, "eu-west-1")), group(sandbox, "eu-west-1")["DesiredCapacity"]) == (0, 0)
    sandbox.settings.faults = []
    create(user)
    assert len(living(sandbox)) == 2
    assert_ends(sandbox, scheduled(sandbox, "us-west-1")[0])


def test_a_cluster_begins_another_lifetime_after_its_end(user: CliRunner, sandbox: Any) -> None:
    create(user)
    advance(sandbox, 8.2 * HOUR_S)
    assert living(sandbox) == []
    again = create(user).data["plan"]["expiry"]
    assert datetime.fromisoformat(again["expires_at"]) > now(sandbox) + timedelta(hours=7.9)
    assert len(living(sandbox)) == 2
    assert_ends(sandbox, datetime.fromisoformat(again["expires_at"]))


def test_a_cluster_without_a_lifetime_may_follow_one_with_it(user: CliRunner, sandbox: Any) -> None:
    """The tag of the ended groups would end each new node at once, and AWS would replace it again and again."""
    create(user)
    advance(sandbox, 8.2 * HOUR_S)
    configure(user, HEAL)
    create(user)
    assert tags(sandbox) == {"never"}
    advance(sandbox, HOUR_S)
    assert len(living(sandbox)) == 2
    assert (
        len([row for row in instances(sandbox) if row["LaunchTime"] > now(sandbox) - timedelta(hours=1.5)])
        == 2
    )


def test_extend_after_a_command_that_was_killed(program: CliRunner, sandbox: Any) -> None:
    """Its lock is a launch template, which the first scan lists and the takeover deletes."""
    program.configure(nodes=1, regions="[us-east-1]", more="self_heal: true\nttl: 2h\n")
    assert program("create", "--yes", "--wait", "running").code == 0
    sandbox.clock.advance(60)
    made = Session.call

    async def dying(self: Session, service: str, region: str | None, operation: str, **kwargs: Any) -> Any:
        if not operation.startswith(("describe_", "get_", "list_", "create_launch_template")):
            raise Killed
        return await made(self, service, region, operation, **kwargs)

    with patch.object(Session, "call", dying), pytest.raises(Killed):
        program("extend", "5h")
    result = program("extend", "4h", "--yes")
    assert result.code == 0, result.stdout + result.stderr
