"""What becomes of the instances when their fleet cannot be deleted, or is still shown when they are not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aws_spot_sandbox.ec2 import fleets, machine
from support.cli_runner import CliRunner


@pytest.fixture
def cluster(sandbox: Any, program: CliRunner) -> CliRunner:
    program.configure(nodes=3, regions="[us-east-1]")
    assert program("create", "--yes").code == 0
    return program


def left(sandbox: Any) -> set[str]:
    return {line.split()[1] for line in sandbox.leftovers()}


@pytest.mark.parametrize("command", [("destroy", "--yes"), ("nuke", "--force")], ids=lambda row: row[0])
def test_instances_of_an_instant_fleet_end_whatever_becomes_of_the_fleet(
    sandbox: Any, cluster: CliRunner, command: tuple[str, ...]
) -> None:
    """F3: an instant fleet is "a synchronous one-time request" (EC2 user guide, "EC2 Fleet request types"): none replaces."""
    sandbox.settings.deny = ["ec2:DeleteFleets"]
    result = cluster(*command)
    assert left(sandbox) == set(), "the record of the fleet alone, which bills nothing"
    assert result.code == 4
    assert "LauncherLives" not in result.stderr
    assert "fleet-" in result.stdout
    assert "UnauthorizedOperation" in result.stderr
    sandbox.settings.deny = []
    assert cluster(*command).code == 0
    assert left(sandbox) == set()


def test_instances_of_one_time_requests_end_whatever_becomes_of_the_requests(
    sandbox: Any, cluster: CliRunner
) -> None:
    """F3: the spot requests of an instant fleet are one-time: refused CancelSpotInstanceRequests keeps no instance."""
    sandbox.settings.deny = ["ec2:DeleteFleets", "ec2:CancelSpotInstanceRequests"]
    assert cluster("destroy", "--yes").code == 4
    assert "instance" not in left(sandbox)


def test_a_fleet_with_too_many_instances_is_deleted_after_them(
    sandbox: Any, cluster: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S7: DeleteFleets "might fail" above 1,000 instances, which are then to be terminated first (DeleteFleets)."""
    monkeypatch.setattr(fleets, "DELETABLE_INSTANCES", 2)
    result = cluster("destroy", "--yes")
    assert result.code == 0, result.stdout + result.stderr
    assert left(sandbox) == set()


def test_a_fleet_that_hangs_in_deletion_is_deleted(sandbox: Any, cluster: CliRunner) -> None:
    """S6: `deleted_terminating` for hours (terraform-provider-aws#48836): it launches nothing, and nothing waits for it."""
    sandbox.settings.fleet_deletion_s = 86400
    before_s = sandbox.clock.now()
    result = cluster("destroy", "--yes")
    assert result.code == 0, result.stdout + result.stderr
    assert sandbox.clock.now() - before_s < 600
    assert cluster("destroy", "--yes").code == 0
    assert cluster("create", "--yes").code == 0


@pytest.mark.parametrize("command", [("destroy", "--yes"), ("nuke", "--force")], ids=lambda row: row[0])
def test_a_region_with_many_dead_members_is_seen_and_deleted(
    sandbox: Any, cluster: CliRunner, command: tuple[str, ...]
) -> None:
    """F4: the record of an instant fleet names them all; over 200 filter values EC2 answers FilterLimitExceeded."""
    fleet = next(iter(sandbox.server._ec2._regions["us-east-1"].fleets.values()))
    pool = next(pool for pool in fleet.pools if pool.machines)
    dead: list[Any] = [
        SimpleNamespace(
            id=f"i-{number:017x}", type=pool.machines[0].type, state=machine.TERMINATED, alive=False
        )
        for number in range(300)
    ]
    pool.machines = [*pool.machines, *dead]
    result = cluster(*command)
    assert result.code == 0, result.stdout + result.stderr
    assert left(sandbox) == set()
