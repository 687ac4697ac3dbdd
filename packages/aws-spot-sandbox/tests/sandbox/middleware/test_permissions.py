"""The caller's permissions, per region, and their check by a dry run."""

from __future__ import annotations

from typing import Any

import pytest

from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT, OPT_IN
from sandbox.middleware.errors import refusal, refusal_in_full

REFUSED = ("UnauthorizedOperation", 403)
WOULD_DO = ("DryRunOperation", 412)


def test_a_denied_action(sandbox: Any) -> None:
    """EC2 names user, action and missing policy. AWS: EC2 API Reference, "Error codes", UnauthorizedOperation."""
    sandbox.settings.deny = ["ec2:CreateVpc"]
    code, status, message = refusal_in_full(sandbox.client().create_vpc, CidrBlock="10.0.0.0/16")
    assert (code, status) == REFUSED
    assert message.startswith(
        "You are not authorized to perform this operation. "
        "User: arn:aws:iam::000000000000:user/sandbox is not authorized to perform: ec2:CreateVpc on resource: "
    )
    assert "because no identity-based policy allows the ec2:CreateVpc action" in message
    assert "Encoded authorization failure message: " in message
    sandbox.client().describe_vpcs()


def test_denied_elsewhere(sandbox: Any) -> None:
    """The other services have their own codes. AWS: IAM User Guide, "Troubleshoot access denied error messages"."""
    sandbox.settings.deny = ["iam:*", "ssm:GetParameter"]
    assert refusal(sandbox.client("iam").list_account_aliases) == ("AccessDenied", 403)
    assert refusal(sandbox.client("ssm").get_parameter, Name="/x") == ("AccessDeniedException", 400)


def test_everybody_may_ask_who_they_are(sandbox: Any) -> None:
    """AWS: STS API Reference, GetCallerIdentity: no permissions are required, and a denial has no effect."""
    sandbox.settings.deny = ["*"]
    assert sandbox.client("sts").get_caller_identity()["Account"] == "000000000000"
    assert refusal(sandbox.client().describe_vpcs) == REFUSED


def test_seventeen_regions_are_on(sandbox: Any) -> None:
    """AWS: Account Management, "Enable or disable AWS Regions": those from before 2019 are enabled, the others are not."""
    assert len(ENABLED_BY_DEFAULT) == 17
    assert not set(ENABLED_BY_DEFAULT) & set(OPT_IN)
    regions = sandbox.client().describe_regions()["Regions"]
    assert {region["RegionName"] for region in regions} == set(ENABLED_BY_DEFAULT)


@pytest.mark.parametrize("region", ["af-south-1", "ap-east-1", "nowhere-1"])
def test_a_region_that_is_off_knows_nobody(sandbox: Any, region: str) -> None:
    """Credentials are not valid without an opt-in. AWS: IAM User Guide, "Managing AWS STS in a Region"."""
    assert refusal(sandbox.client("ec2", region).describe_vpcs) == ("AuthFailure", 401)
    assert refusal(sandbox.client("sts", region).get_caller_identity) == ("InvalidClientTokenId", 403)


def test_a_token_that_is_not_valid_in_a_region(sandbox: Any) -> None:
    """Some regions refuse tokens of the global endpoint. AWS: IAM User Guide, "Managing AWS STS in an AWS Region"."""
    sandbox.settings.tokens_not_valid = ["eu-west-1"]
    assert refusal(sandbox.client("ec2", "eu-west-1").describe_vpcs) == ("AuthFailure", 401)
    assert sandbox.client("sts", "us-east-1").get_caller_identity()["Account"] == "000000000000"
    sandbox.client("ec2", "us-east-1").describe_vpcs()


def test_opting_in(sandbox: Any) -> None:
    """After the opt-in the region works like any other. AWS: Account Management, "Enable or disable AWS Regions"."""
    sandbox.settings.opted_in = ["af-south-1"]
    sandbox.client("ec2", "af-south-1").describe_vpcs()
    regions = sandbox.client().describe_regions()["Regions"]
    assert "af-south-1" in {region["RegionName"] for region in regions}


def test_a_dry_run_does_nothing(sandbox: Any) -> None:
    """The reply is that it would succeed. AWS: EC2 API Reference, "Common query parameters", DryRun."""
    ec2 = sandbox.client()
    before = len(ec2.describe_vpcs()["Vpcs"])
    code, status, message = refusal_in_full(ec2.create_vpc, CidrBlock="10.0.0.0/16", DryRun=True)
    assert (code, status) == WOULD_DO
    assert message == "Request would have succeeded, but DryRun flag is set."
    assert refusal(ec2.delete_vpc, VpcId="vpc-00000000", DryRun=True) == WOULD_DO
    assert refusal(ec2.describe_instances, DryRun=True) == WOULD_DO
    assert len(ec2.describe_vpcs(DryRun=False)["Vpcs"]) == before


def test_a_dry_run_of_what_is_denied(sandbox: Any) -> None:
    """The reply is the error of a denial, which allows checking permissions. AWS: as above."""
    sandbox.settings.deny = ["ec2:RunInstances"]
    arguments = {"ImageId": "ami-00000000", "MinCount": 1, "MaxCount": 1, "DryRun": True}
    assert refusal(sandbox.client().run_instances, **arguments) == REFUSED
