"""What every region refuses to the caller is one error, and never an empty list."""

from __future__ import annotations

from typing import Any

import pytest

from support.cli_runner import CliRunner


@pytest.mark.parametrize(
    "command", ["list", "status", "cost", "destroy --yes", "destroy -n", "nuke --force", "nuke -n"]
)
def test_a_denial_in_every_region_is_one_error(sandbox: Any, program: CliRunner, command: str) -> None:
    """C2: `no instances of bad in 0 regions`, seventeen names twice, and exit 5."""
    sandbox.settings.deny = ["ec2:DescribeInstances", "ec2:DescribeTags"]
    result = program(*command.split())
    assert result.code == 4, result.stderr
    assert "in 0 regions" not in result.stdout + result.stderr
    assert "all 6 regions" in result.stderr
    assert "us-west-2" not in result.stderr


def test_a_throttled_service_quotas_keeps_nobody_waiting(sandbox: Any, program: CliRunner) -> None:
    """Complaint 14: a throttled Service Quotas made `offers` silent for a minute (dstack#2777)."""
    sandbox.settings.faults = [{"match": "servicequotas:*", "code": "ThrottlingException"}]
    begun = sandbox.clock.now()
    result = program("offers", "--region", "us-east-1")
    assert result.code == 0, result.stderr
    assert sandbox.clock.now() - begun < 30
    assert "(too many calls)" in result.stdout
