"""A cluster with a lifetime ends with no command typed; `extend` moves the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bacalhau_spot.core.tags import EXPIRES_KEY
from bacalhau_spot.errors import ExitCode
from support.cli_runner import CliResult, CliRunner
from support.schemas import contract

HOUR_S = 3600
REGIONS = ("us-west-1", "eu-west-1")


@pytest.fixture
def user(program: CliRunner) -> CliRunner:
    """Somebody with four nodes in two regions for eight hours."""
    program.configure(nodes=4, regions=f"[{', '.join(REGIONS)}]", more="ttl: 8h\n")
    return program


def create(user: CliRunner, *options: str) -> CliResult:
    result = user("create", "--yes", "--wait", "running", "-o", "json", *options)
    assert result.code == 0, result.stdout + result.stderr
    return result


def instances(sandbox: Any) -> list[dict[str, Any]]:
    return [
        instance
        for region in REGIONS
        for reservation in sandbox.client("ec2", region).describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    ]


def running(sandbox: Any) -> int:
    return sum(instance["State"]["Name"] == "running" for instance in instances(sandbox))


def expiries(sandbox: Any) -> set[str]:
    return {
        {tag["Key"]: tag["Value"] for tag in instance["Tags"]}.get(EXPIRES_KEY, "")
        for instance in instances(sandbox)
        if instance["State"]["Name"] == "running"
    }


def in_hours(sandbox: Any, hours: float) -> datetime:
    return datetime.fromtimestamp(sandbox.clock.now(), UTC) + timedelta(hours=hours)


def advance(sandbox: Any, seconds: float) -> None:
    """In steps, because a machine asks once a minute."""
    for _ in range(4):
        sandbox.clock.advance(seconds / 4)
        sandbox.server.settle()


def test_a_cluster_is_gone_after_its_lifetime_with_no_command(user: CliRunner, sandbox: Any) -> None:
    end = in_hours(sandbox, 8)
    plan = create(user).data["plan"]
    assert abs(datetime.fromisoformat(plan["expiry"]["expires_at"]) - end) < timedelta(minutes=1)
    advance(sandbox, 7.9 * HOUR_S)
    assert running(sandbox) == 4
    advance(sandbox, 0.2 * HOUR_S)
    advance(sandbox, 600)
    assert running(sandbox) == 0
    assert {instance["StateReason"]["Code"] for instance in instances(sandbox)} == {
        "Client.InstanceInitiatedShutdown"
    }
    listed = user("list", "-o", "json").data
    assert [row for row in listed["instances"] if row["state"] == "running"] == []


def test_extend_moves_the_end_with_one_call_a_region(user: CliRunner, sandbox: Any) -> None:
    create(user)
    advance(sandbox, 7 * HOUR_S)
    sandbox.world.calls.clear()
    moved = user("extend", "4h", "-o", "json")
    assert moved.code == 0, moved.stdout
    contract("extend", moved.data)
    assert len(moved.data["changed"]) == 4
    writes = [region for region, name, _ in sandbox.world.calls if name.endswith("CreateTags")]
    assert sorted(writes) == sorted(REGIONS)
    advance(sandbox, 2 * HOUR_S)
    assert running(sandbox) == 4
    advance(sandbox, 2.2 * HOUR_S)
    assert running(sandbox) == 0


def test_a_launch_after_an_extension_gets_the_same_end(user: CliRunner, sandbox: Any) -> None:
    create(user)
    assert user("extend", "--until", f"{in_hours(sandbox, 20):%Y-%m-%dT%H:%M}").code == 0
    before = expiries(sandbox)
    user.configure(nodes=6, regions=f"[{', '.join(REGIONS)}]", more="ttl: 8h\n")
    create(user)
    assert running(sandbox) == 6
    assert expiries(sandbox) == before and len(before) == 1


def test_without_an_end_a_cluster_lives_on(user: CliRunner, sandbox: Any) -> None:
    create(user)
    assert user("extend", "--never", "--yes").code == 0
    assert expiries(sandbox) == {"never"}
    advance(sandbox, 20 * HOUR_S)
    assert running(sandbox) == 4


def test_an_earlier_end_needs_a_yes(user: CliRunner, sandbox: Any) -> None:
    create(user)
    before = expiries(sandbox)
    refused = user("extend", "1h")
    assert refused.code == ExitCode.DECLINED
    assert expiries(sandbox) == before
    assert user("extend", "1h", "--dry-run").code == 0
    assert expiries(sandbox) == before
    assert user("extend", "1h", "--yes").code == 0
    assert expiries(sandbox) != before


def test_a_region_that_refuses_keeps_its_end_and_is_named(user: CliRunner, sandbox: Any) -> None:
    create(user)
    before = expiries(sandbox)
    sandbox.settings.faults = [
        {"region": "eu-west-1", "match": "CreateTags", "code": "UnauthorizedOperation", "status": 403}
    ]
    partly = user("extend", "20h", "-o", "json")
    assert partly.code in {ExitCode.FAILED, ExitCode.DENIED}
    assert [failure["region"] for failure in partly.data["failed"]] == ["eu-west-1"]
    assert len(partly.data["changed"]) == 2
    sandbox.settings.faults = []
    assert len(expiries(sandbox) - before) == 1
    assert user("extend", "20h", "-o", "json").code == 0
    assert len(expiries(sandbox)) == 1


def test_there_is_nothing_to_extend_without_a_cluster(user: CliRunner) -> None:
    nothing = user("extend", "4h")
    assert nothing.code == ExitCode.FAILED
    assert "no instance of cluster" in nothing.stderr


@pytest.mark.parametrize("words", [[], ["4h", "--never"], ["soon"], ["5m"], ["--until", "2020-01-01T00:00"]])
def test_an_end_that_is_none_is_refused(user: CliRunner, words: list[str]) -> None:
    assert user("extend", *words).code == ExitCode.USAGE


def test_a_lifetime_can_be_given_to_a_living_cluster(user: CliRunner, sandbox: Any) -> None:
    """By `create --ttl`, and by the key: nothing is launched, and every instance gets the end."""
    user.configure(nodes=4, regions=f"[{', '.join(REGIONS)}]")
    create(user)
    assert expiries(sandbox) == {""}
    user.configure(nodes=4, regions=f"[{', '.join(REGIONS)}]", more="ttl: 8h\n")
    create(user)
    (by_key,) = expiries(sandbox)
    create(user, "--ttl", "2d")
    (by_option,) = expiries(sandbox)
    assert "" < by_key < by_option
    assert running(sandbox) == 4


def test_nodes_are_not_launched_into_a_cluster_that_is_about_to_end(user: CliRunner, sandbox: Any) -> None:
    create(user)
    advance(sandbox, 7.9 * HOUR_S)
    user.configure(nodes=6, regions=f"[{', '.join(REGIONS)}]", more="ttl: 8h\n")
    refused = user("create", "--yes", "--wait", "running")
    assert refused.code == ExitCode.USAGE
    assert "--ttl" in refused.stderr
    create(user, "--ttl", "8h")
    assert running(sandbox) == 6
    assert len(expiries(sandbox)) == 1
