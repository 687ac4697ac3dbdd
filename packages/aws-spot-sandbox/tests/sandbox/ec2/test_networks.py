"""Errors of an account's networks. Each test names its source."""

from __future__ import annotations

from typing import Any

from sandbox.ec2.clusters import refused


def test_a_zone_that_is_offered_and_takes_no_subnet(sandbox: Any) -> None:
    """Recorded: boto#1904, terraform#3434, ecs-refarch-continuous-deployment#12. The zone is still listed as available."""
    ec2 = sandbox.client()
    sandbox.settings.zones_without_subnets = ["us-east-1b"]
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    with refused("InvalidParameterValue") as refusal:
        ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/20", AvailabilityZone="us-east-1b")
    assert "Subnets can currently only be created in the following availability zones: us-east-1a," in str(
        refusal.value
    )
    ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.16.0/20", AvailabilityZone="us-east-1a")
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    assert "us-east-1b" in {zone["ZoneName"] for zone in zones if zone["State"] == "available"}
