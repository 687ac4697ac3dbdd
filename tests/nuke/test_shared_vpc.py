"""A VPC of another account, shared with this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aws_spot_sandbox.ec2.sharing import OWNER
from sandbox.ec2.clusters import refused
from support.networks import Net

if TYPE_CHECKING:
    from support.cli_runner import CliRunner

REGION = "us-east-1"
OUR_TAGS = [
    {"Key": "bacalhau-cluster", "Value": "bacalhau-aws-spot"},
    {"Key": "CreatedBy", "Value": "bacalhau-aws-spot-script"},
]


@pytest.fixture
def net(sandbox: Any) -> Net:
    net = Net(sandbox)
    sandbox.settings.shared_vpcs = [net.vpc]
    return net


def test_a_participant_sees_the_owner_and_changes_nothing(net: Net) -> None:
    """VPC user guide, "Responsibilities and permissions for owners and participants"; Subnet and Vpc, OwnerId."""
    subnets = net.ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [net.vpc]}])["Subnets"]
    assert {row["OwnerId"] for row in (*subnets, *net.ec2.describe_vpcs(VpcIds=[net.vpc])["Vpcs"])} == {OWNER}
    for change, of in (
        (net.ec2.delete_subnet, {"SubnetId": net.public}),
        (net.ec2.delete_vpc, {"VpcId": net.vpc}),
        (net.ec2.create_subnet, {"VpcId": net.vpc, "CidrBlock": "10.8.64.0/20"}),
        (net.ec2.create_route_table, {"VpcId": net.vpc}),
    ):
        with refused("UnauthorizedOperation"):
            change(**of)
    reply = net.ec2.create_security_group(GroupName="ours", Description="ours", VpcId=net.vpc)
    assert net.ec2.describe_security_groups(GroupIds=[reply["GroupId"]])["SecurityGroups"]


@pytest.mark.parametrize(
    "command", [("destroy", "--yes"), ("nuke", "--force", "--region", REGION)], ids=lambda row: row[0]
)
def test_a_cluster_in_a_shared_vpc(
    sandbox: Any, program: CliRunner, net: Net, command: tuple[str, ...]
) -> None:
    """trust.md §8: nodes and a group of ours are all that is made there, and all that is deleted."""
    before = set(sandbox.leftovers())
    program.configure(nodes=1, regions=f"{{{REGION}: {{vpc_id: {net.vpc}}}}}")
    assert program("create", "--yes").code == 0
    result = program(*command)
    assert result.code == 0, result.stdout + result.stderr
    assert set(sandbox.leftovers()) == before


def test_a_shared_vpc_with_our_tag_stays(sandbox: Any, program: CliRunner, net: Net) -> None:
    """trust.md §8: whoever tagged it, it is the owner's; AWS refuses, and the run is not a success."""
    net.ec2.create_tags(Resources=[net.vpc, net.public], Tags=OUR_TAGS)
    before = set(sandbox.leftovers())
    program.configure(nodes=1, regions=f"[{REGION}]")
    result = program("nuke", "--force", "--region", REGION)
    assert result.code != 0, result.stdout
    assert set(sandbox.leftovers()) == before
    assert net.vpc in result.stdout and net.public in result.stdout
    assert "UnauthorizedOperation" in result.stdout + result.stderr


@pytest.mark.parametrize("whose", ["another account", "AWS's default"])
@pytest.mark.parametrize("command", [("create",), ("image", "bake")], ids=" ".join)
def test_a_vpc_with_our_tag_that_is_not_ours_is_not_used(
    sandbox: Any, program: CliRunner, net: Net, whose: str, command: tuple[str, ...]
) -> None:
    """Found by tests/trust/test_foreign.py: nodes were launched in it, and a second gateway was created for it."""
    vpc, subnet = net.vpc, net.public
    if whose == "AWS's default":
        sandbox.settings.shared_vpcs = []
        default = [{"Name": "default-for-az", "Values": ["true"]}]
        row = net.ec2.describe_subnets(Filters=default)["Subnets"][0]
        vpc, subnet = row["VpcId"], row["SubnetId"]
    net.ec2.create_tags(Resources=[vpc, subnet], Tags=OUR_TAGS)
    program.configure(nodes=1, regions=f"[{REGION}]")
    result = program(*command, "--yes")
    assert result.code == 0, result.stdout + result.stderr
    rows = net.ec2.describe_instances()["Reservations"]
    assert {row["Instances"][0]["VpcId"] for row in rows if row["Instances"][0].get("VpcId")} & {vpc} == set()
    inside = [{"Name": "vpc-id", "Values": [vpc]}]
    groups = net.ec2.describe_security_groups(Filters=inside)["SecurityGroups"]
    assert [group["GroupName"] for group in groups] == ["default"]
    gateways = net.ec2.describe_internet_gateways(Filters=[{"Name": "tag:bacalhau-cluster", "Values": ["*"]}])
    assert [row["Attachments"][0]["VpcId"] == vpc for row in gateways["InternetGateways"]] == [False]
