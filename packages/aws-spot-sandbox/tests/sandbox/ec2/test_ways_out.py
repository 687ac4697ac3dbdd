"""Whether the sandbox blocks an instance's internet access as AWS's documentation describes."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.ec2.clusters import refused
from support.networks import BLOCK_ALL, BLOCK_INGRESS, Net


@pytest.fixture
def net(sandbox: Any) -> Net:
    return Net(sandbox)


def test_an_internet_gateway_is_blocked_in_both_modes(net: Net) -> None:
    """EC2 API reference, VpcBlockPublicAccessOptions; VPC user guide, "VPC BPA basics": internet gateway."""
    assert net.reaches(net.public, public_ip=True)
    assert not net.reaches(net.public, public_ip=False), (
        "an internet gateway translates public addresses alone"
    )
    for modes in (BLOCK_ALL, BLOCK_INGRESS):
        net.sandbox.settings.block_public_access = modes
        assert not net.reaches(net.public, public_ip=True)


def test_a_nat_gateway_is_blocked_in_one_mode(net: Net) -> None:
    """VPC user guide, "VPC BPA basics": "NAT gateways require an internet gateway"; block-ingress lets them through."""
    assert not net.reaches(net.private, public_ip=False), "the main route table leads nowhere"
    net.nat()
    for modes, through in (({}, True), (BLOCK_INGRESS, True), (BLOCK_ALL, False)):
        net.sandbox.settings.block_public_access = modes
        assert net.reaches(net.private, public_ip=False) is through


def test_a_transit_gateway_is_not_blocked(net: Net) -> None:
    """F13: VPC user guide, "VPC BPA basics": traffic that crosses no internet gateway is not impacted."""
    gateway = net.ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
    net.route(net.private, TransitGatewayId=gateway)
    net.sandbox.settings.block_public_access = BLOCK_ALL
    assert net.reaches(net.private, public_ip=False)


def test_an_exclusion_of_a_subnet_or_its_vpc(net: Net) -> None:
    """EC2 API reference, VpcBlockPublicAccessExclusion: "applied to a single VPC or subnet that exempts it"; Subnet and Vpc."""
    net.sandbox.settings.block_public_access = BLOCK_ALL
    assert set(net.modes().values()) == {"block-bidirectional"}
    excluded = net.exclude(SubnetId=net.public)
    assert net.modes() == {net.public: "off", net.private: "block-bidirectional"}
    assert net.reaches(net.public, public_ip=True)
    net.ec2.delete_vpc_block_public_access_exclusion(ExclusionId=excluded)
    net.sandbox.clock.sleep(5)
    assert not net.reaches(net.public, public_ip=True)
    net.exclude(VpcId=net.vpc)
    assert set(net.modes().values()) == {"off"}
    (vpc,) = net.ec2.describe_vpcs(VpcIds=[net.vpc])["Vpcs"]
    assert vpc["BlockPublicAccessStates"]["InternetGatewayBlockMode"] == "off"
    (row,) = net.ec2.describe_vpc_block_public_access_exclusions()["VpcBlockPublicAccessExclusions"]
    assert row["State"] == "create-complete" and row["ResourceArn"].endswith(f"vpc/{net.vpc}")


def test_an_exclusion_counts_in_the_subnet_of_the_nat_gateway(net: Net) -> None:
    """VPC user guide, "VPC BPA basics": NAT traffic is blocked at the internet gateway, by the NAT subnet's mode."""
    net.nat()
    net.sandbox.settings.block_public_access = BLOCK_ALL
    own = net.exclude(SubnetId=net.private)
    assert not net.reaches(net.private, public_ip=False)
    net.ec2.delete_vpc_block_public_access_exclusion(ExclusionId=own)
    net.exclude("allow-egress", SubnetId=net.public)
    assert net.reaches(net.private, public_ip=False)
    assert net.modes()[net.public] == "block-ingress"
    assert not net.reaches(net.public, public_ip=True), "not documented otherwise: docs/unproven.md"


def test_an_exclusion_is_of_one_existing_thing(net: Net) -> None:
    """EC2 API reference, CreateVpcBlockPublicAccessExclusion: "a single VPC or subnet"; allow-egress and -bidirectional."""
    for where, code in (
        ({}, "InvalidParameterCombination"),
        ({"VpcId": net.vpc, "SubnetId": net.public}, "InvalidParameterCombination"),
        ({"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound"),
        ({"VpcId": "vpc-0123456789abcdef0"}, "InvalidVpcID.NotFound"),
    ):
        with refused(code):
            net.exclude(**where)
    with refused("InvalidParameterValue"):
        net.exclude("allow-all", VpcId=net.vpc)
