"""What was created a moment ago is not shown yet: nothing is called absent after one look."""

from __future__ import annotations

from typing import Any

import pytest

from support.cli_runner import CliRunner


@pytest.mark.parametrize("command", [("destroy", "--yes"), ("nuke", "--force")], ids=lambda row: row[0])
def test_absence_takes_two_looks(sandbox: Any, program: CliRunner, command: tuple[str, ...]) -> None:
    """T3: "nothing to delete" with exit 0, while a VPC and its parts were there; it is said that the command waits."""
    program.configure(nodes=2, regions="[us-east-1, eu-west-1]")
    assert program("create", "--yes").code == 0
    assert program("destroy", "--yes").code == 0
    before = sandbox.leftovers()
    sandbox.settings.read_lag_s = 10.0
    sandbox.settings.deny = ["ec2:CreateFleet", "ec2:CreateLaunchTemplate"]
    tags = [{"Key": "bacalhau-cluster", "Value": "bacalhau-aws-spot"}]
    for region in ("us-east-1", "eu-west-1"):
        sandbox.client(region=region).create_vpc(
            CidrBlock="10.9.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}]
        )
    result = program(*command)
    assert result.code == 0, result.stdout + result.stderr
    assert "checking again in 12 s" in result.stderr
    assert sandbox.leftovers() == before


def test_nothing_that_shows_late_is_deleted_unasked(sandbox: Any, program: CliRunner) -> None:
    """T3: the second look comes before the question."""
    sandbox.settings.read_lag_s = 10.0
    tags = [{"Key": "bacalhau-cluster", "Value": "bacalhau-aws-spot"}]
    sandbox.client().create_vpc(
        CidrBlock="10.9.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}]
    )
    before = sandbox.leftovers()
    assert program("nuke").code == 3
    assert program("destroy").code == 3
    assert sandbox.leftovers() == before
