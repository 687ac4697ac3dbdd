"""A quota that stops a create is told with its number and what is taken of it: AWS's refusal has neither."""

from __future__ import annotations

from typing import Any

from support.cli_runner import CliRunner


def test_the_spot_quota(sandbox: Any, program: CliRunner) -> None:
    """In vCPUs, as AWS counts; in JSON too."""
    sandbox.world.settings.spot_vcpu_quota = {"*": 4}
    program.configure(nodes=4, regions="[us-east-1]")
    result = program("create", "--yes", "-o", "json")
    assert result.code == 1
    (warning,) = [warning for warning in result.envelope["warnings"] if "Standard" in warning]
    assert warning == (
        'us-east-1: the quota "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests" is 4 vCPUs now, '
        "of which 4 are in use"
    )


def test_the_quota_of_vpcs(sandbox: Any, program: CliRunner) -> None:
    """Regions with the same numbers are told together."""
    sandbox.world.settings.quotas = {"vpcs": 1}
    program.configure(nodes=2, regions="[us-east-1, eu-west-1]")
    result = program("create", "--yes")
    assert result.code == 1
    assert (
        'eu-west-1 and us-east-1: the quota "VPCs per Region" is 1 VPCs now, of which 1 are in use'
        in " ".join(result.stderr.split())
    )


def test_a_quota_that_aws_does_not_tell(sandbox: Any, program: CliRunner) -> None:
    """Nothing depends on it."""
    sandbox.world.settings.quotas = {"vpcs": 1}
    sandbox.world.settings.deny = ["servicequotas:*"]
    program.configure(nodes=1, regions="[us-east-1]")
    result = program("create", "--yes")
    assert result.code == 1
    assert "VpcLimitExceeded" in result.stderr
    assert "in use" not in result.stderr
