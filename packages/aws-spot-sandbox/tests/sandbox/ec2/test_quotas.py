"""Limits and collisions of networks. Source: VPC user guide, "Amazon VPC quotas"; EC2 API reference, error codes."""

from __future__ import annotations

from typing import Any

from sandbox.ec2.clusters import build_network, build_template, refused


def test_five_vpcs_the_default_one_included(sandbox: Any) -> None:
    ec2 = sandbox.client()
    for index in range(4):
        ec2.create_vpc(CidrBlock=f"10.{index}.0.0/16")
    with refused("VpcLimitExceeded"):
        ec2.create_vpc(CidrBlock="10.9.0.0/16")
    sandbox.world.settings.quotas = {"vpcs": 6}
    ec2.create_vpc(CidrBlock="10.9.0.0/16")
    sandbox.client(region="eu-west-1").create_vpc(CidrBlock="10.0.0.0/16")


def test_five_gateways_and_addresses(sandbox: Any) -> None:
    """The default VPC's internet gateway is one of the five."""
    ec2 = sandbox.client()
    for _ in range(4):
        ec2.create_internet_gateway()
    with refused("InternetGatewayLimitExceeded"):
        ec2.create_internet_gateway()
    for _ in range(5):
        ec2.allocate_address(Domain="vpc")
    with refused("AddressLimitExceeded"):
        ec2.allocate_address(Domain="vpc")


def test_groups_subnets_and_templates(sandbox: Any) -> None:
    ec2 = sandbox.client()
    net = build_network(ec2)
    build_template(ec2, net["group"])
    sandbox.world.settings.quotas = {"subnets_per_vpc": 2, "security_groups": 3, "launch_templates": 1}
    with refused("SubnetLimitExceeded"):
        ec2.create_subnet(VpcId=net["vpc"], CidrBlock="10.0.240.0/24", AvailabilityZone="us-east-1c")
    with refused("SecurityGroupLimitExceeded"):
        ec2.create_security_group(GroupName="more", Description="more", VpcId=net["vpc"])
    with refused("LaunchTemplateLimitExceeded"):
        build_template(ec2, net["group"], "another")


def test_ranges_collide_or_lie_outside(sandbox: Any) -> None:
    """InvalidSubnet.Conflict and InvalidSubnet.Range."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    with refused("InvalidSubnet.Conflict"):
        ec2.create_subnet(VpcId=net["vpc"], CidrBlock="10.0.0.128/25")
    with refused("InvalidSubnet.Range"):
        ec2.create_subnet(VpcId=net["vpc"], CidrBlock="10.7.0.0/24")


def test_groups_and_rules_are_made_once(sandbox: Any) -> None:
    """InvalidGroup.Duplicate within a VPC, InvalidPermission.Duplicate within a group."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    with refused("InvalidGroup.Duplicate"):
        ec2.create_security_group(GroupName="bacalhau-nodes", Description="again", VpcId=net["vpc"])
    rule = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "192.0.2.1/32"}]}]
    ec2.authorize_security_group_ingress(GroupId=net["group"], IpPermissions=rule)
    with refused("InvalidPermission.Duplicate"):
        ec2.authorize_security_group_ingress(GroupId=net["group"], IpPermissions=rule)


def test_group_texts_know_few_characters(sandbox: Any) -> None:
    """CreateSecurityGroup: letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*; a name must not start with sg-."""
    ec2 = sandbox.client()
    for name, text in (("sg-mine", "fine"), ("fine", "nobody's"), ("fine", "nœud")):
        with refused("InvalidParameterValue"):
            ec2.create_security_group(GroupName=name, Description=text)
    ec2.create_security_group(GroupName="fine (1)", Description="nodes, all of them")
