"""An account in which much is going on: three clusters, one of each kind beside them, and other people's things everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.long_tests import ALL
from support.one_of_each import ResourceFixture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.cli_runner import CliRunner

REGIONS = (
    *("us-west-2", "us-east-1", "eu-west-1", "ap-southeast-1", "us-east-2"),
    *("us-west-1", "ca-central-1", "eu-west-3", "eu-central-1", "ap-northeast-1"),
)
# Where much is going on: a sample, and with `make long` everywhere.
BUSY = REGIONS if ALL else REGIONS[:4]
# An account has five VPCs a region unless AWS was asked: the beasts bring their own two.
BEASTS_IN = "us-west-2"
BESIDE_BEASTS = tuple(region for region in BUSY if region != BEASTS_IN)
OURS = {"bacalhau-cluster": "bacalhau-aws-spot", "CreatedBy": "bacalhau-aws-spot-script", "Name": "beast"}
SECOND = "\ncluster:\n  tag_value: second\n  resource_prefix: second-\n"
STRANGERS = "\ncluster:\n  tag_value: third\n  creator: somebody-else\n  resource_prefix: third-\n"


def bystanders(sandbox: Any, regions: Sequence[str]) -> None:
    """What nobody of ours made: names and tags like ours, a VPC with machines in it, machines in the default VPC."""
    for region in regions:
        ec2 = sandbox.client("ec2", region)
        near = [
            {"Key": "Name", "Value": "bacalhau-vpc"},
            {"Key": "bacalhau-cluster-2", "Value": "bacalhau-aws-spot"},
            {"Key": "cluster", "Value": "bacalhau-cluster=bacalhau-aws-spot"},
        ]
        vpc = ec2.create_vpc(
            CidrBlock="10.200.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": near}]
        )["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.200.1.0/24", AvailabilityZone=f"{region}a")[
            "Subnet"
        ]["SubnetId"]
        group = ec2.create_security_group(GroupName="corp-db", Description="theirs", VpcId=vpc)["GroupId"]
        image = ResourceFixture(sandbox.client, region, {}, "x").image_id()
        default = ec2.describe_subnets(
            Filters=[
                {"Name": "availability-zone", "Values": [f"{region}a"]},
                {"Name": "default-for-az", "Values": ["true"]},
            ]
        )["Subnets"][0]["SubnetId"]
        for place in ({"SubnetId": subnet, "SecurityGroupIds": [group]}, {"SubnetId": default}):
            ec2.run_instances(ImageId=image, InstanceType="t3.small", MinCount=1, MaxCount=1, **place)
        ec2.create_volume(AvailabilityZone=f"{region}a", Size=1, TagSpecifications=_tagged("volume", near))
        ec2.allocate_address(Domain="vpc")
        ec2.create_key_pair(KeyName="bacalhau-node")
        sandbox.client("logs", region).create_log_group(logGroupName="/bacalhau-aws-spot/theirs")
    iam = sandbox.client("iam", "us-east-1")
    iam.create_role(
        RoleName="bacalhau-theirs",
        Path="/bacalhau-spot/theirs/",
        AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}',
    )
    sandbox.clock.advance(10)


def _tagged(kind: str, tags: list[dict[str, str]]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": tags}]


def beasts(sandbox: Any, region: str = BEASTS_IN) -> ResourceFixture:
    """One of every kind, of ours."""
    resources = ResourceFixture(sandbox.client, region, OURS, "beast").everything()
    resources.identities()
    sandbox.clock.advance(10)
    return resources


def cluster(program: CliRunner, more: str = "", *, nodes: int, regions: Sequence[str] = BUSY) -> None:
    """A cluster of this program's own making; the configuration stays."""
    program.configure(nodes=nodes, regions=f"[{', '.join(regions)}]", more=more)
    result = program("create", "--yes")
    assert result.code == 0, result.stdout + result.stderr
