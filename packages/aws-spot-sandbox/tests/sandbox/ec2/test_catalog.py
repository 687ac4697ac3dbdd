"""Regions, instance types and their offerings. Source: EC2 API reference, the actions named in the tests."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.session import get_session

from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT, OPT_IN


def names(answer: Any) -> list[str]:
    return [row["InstanceType"] for row in answer["InstanceTypes"]]


def offerings(ec2: Any, **query: Any) -> set[tuple[str, str]]:
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(**query)
    return {
        (offering["Location"], offering["InstanceType"])
        for page in pages
        for offering in page["InstanceTypeOfferings"]
    }


def test_enabled_regions_only_unless_all_are_asked_for(sandbox: Any) -> None:
    """DescribeRegions: "If you don't specify AllRegions, only enabled regions are returned"."""
    sandbox.world.settings.opted_in = ["me-south-1"]
    ec2 = sandbox.client()
    enabled = {region["RegionName"]: region["OptInStatus"] for region in ec2.describe_regions()["Regions"]}
    assert enabled["us-east-1"] == "opt-in-not-required"
    assert enabled["me-south-1"] == "opted-in"
    assert "ap-east-1" not in enabled
    everything = {
        region["RegionName"]: region["OptInStatus"]
        for region in ec2.describe_regions(AllRegions=True)["Regions"]
    }
    assert everything["ap-east-1"] == "not-opted-in"
    closed = ec2.describe_regions(
        AllRegions=True, Filters=[{"Name": "opt-in-status", "Values": ["not-opted-in"]}]
    )
    assert "us-east-1" not in {region["RegionName"] for region in closed["Regions"]}
    assert [
        region["RegionName"] for region in ec2.describe_regions(RegionNames=["eu-west-1"])["Regions"]
    ] == ["eu-west-1"]
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ec2.describe_regions(RegionNames=["mars-1"])


def test_offerings_by_zone_leave_out_what_is_switched_off(sandbox: Any) -> None:
    """DescribeInstanceTypeOfferings with LocationType=availability-zone is the list of pools."""
    sandbox.world.settings.not_offered = ["us-east-1a/t3.medium"]
    query = {
        "LocationType": "availability-zone",
        "Filters": [{"Name": "instance-type", "Values": ["t3.medium"]}],
    }
    zones = {zone for zone, _ in offerings(sandbox.client(), **query)}
    assert "us-east-1b" in zones
    assert "us-east-1a" not in zones


def test_offerings_come_in_pages(sandbox: Any) -> None:
    """At most 1,000 rows and a token; without pagination a tool would get only part of the region."""
    ec2 = sandbox.client()
    first = ec2.describe_instance_type_offerings(LocationType="availability-zone")
    assert len(first["InstanceTypeOfferings"]) == 1000
    assert first["NextToken"]
    assert len(offerings(ec2, LocationType="availability-zone")) > 2000
    assert ("us-east-1", "m5.large") in offerings(ec2)


def test_a_region_without_data_offers_the_general_families(sandbox: Any) -> None:
    """Every AWS region has t3, m5 and the like."""
    sandbox.world.settings.opted_in = ["mx-central-1"]
    pairs = offerings(sandbox.client(region="mx-central-1"), LocationType="availability-zone")
    assert ("mx-central-1a", "t3.medium") in pairs
    assert ("mx-central-1c", "m6g.large") in pairs


def test_types_that_a_region_does_not_have_do_not_exist(sandbox: Any) -> None:
    """DescribeInstanceTypes returns InvalidInstanceType for unknown types and for types offered only in other regions."""
    ec2 = sandbox.client()
    answer = ec2.describe_instance_types(InstanceTypes=["t3.medium"])["InstanceTypes"]
    assert answer[0]["VCpuInfo"]["DefaultVCpus"] == 2
    assert answer[0]["MemoryInfo"]["SizeInMiB"] == 4096
    assert answer[0]["ProcessorInfo"]["SupportedArchitectures"] == ["x86_64"]
    with pytest.raises(ClientError, match="InvalidInstanceType"):
        ec2.describe_instance_types(InstanceTypes=["t3.enormous"])


def test_types_are_filtered_and_paged(sandbox: Any) -> None:
    """A filter omits unknown types instead of raising an error; pages have 100 types."""
    ec2 = sandbox.client()
    wanted = [{"Name": "instance-type", "Values": ["t3.*", "t3.enormous"]}]
    matches = names(ec2.describe_instance_types(Filters=wanted))
    assert {"t3.medium", "t3.large"} <= set(matches)
    wanted = [
        {"Name": "vcpu-info.default-vcpus", "Values": ["2"]},
        {"Name": "bare-metal", "Values": ["false"]},
    ]
    assert len(names(ec2.describe_instance_types(Filters=wanted))) > 50
    first = ec2.describe_instance_types()
    assert len(first["InstanceTypes"]) == 100
    assert first["NextToken"]


def test_types_by_attributes(sandbox: Any) -> None:
    """GetInstanceTypesFromInstanceRequirements: vCPUs, memory, architecture; burstable ones only if included."""
    ec2 = sandbox.client()
    wanted = {"VCpuCount": {"Min": 2, "Max": 2}, "MemoryMiB": {"Min": 8192, "Max": 8192}}
    query = {"ArchitectureTypes": ["x86_64"], "VirtualizationTypes": ["hvm"], "InstanceRequirements": wanted}
    matches = names(ec2.get_instance_types_from_instance_requirements(**query))
    assert "m5.large" in matches
    assert "m6g.large" not in matches
    assert "t3.large" not in matches
    wanted["BurstablePerformance"] = "included"  # type: ignore[assignment]
    wanted["ExcludedInstanceTypes"] = ["m5*"]  # type: ignore[assignment]
    matches = names(ec2.get_instance_types_from_instance_requirements(**query))
    assert "t3.large" in matches
    assert "m5.large" not in matches


def test_zones_of_a_region(sandbox: Any) -> None:
    """DescribeAvailabilityZones: names and zone ids."""
    zones = sandbox.client(region="eu-west-1").describe_availability_zones()["AvailabilityZones"]
    assert [zone["ZoneName"] for zone in zones] == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]


def test_a_type_is_offered_only_where_a_subnet_can_be(sandbox: Any) -> None:
    """DescribeInstanceTypeOfferings names zones of the region: "availability-zone - The Availability Zone"."""
    for region in ("us-east-1", "eu-west-2", "ap-southeast-3"):
        sandbox.world.settings.opted_in = ["ap-southeast-3"]
        ec2 = sandbox.client("ec2", region)
        zones = {zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]}
        assert {zone for zone, _ in offerings(ec2, LocationType="availability-zone")} <= zones


def test_the_regions_are_those_of_botocore() -> None:
    """Its endpoints.json lists the regions of the partition `aws` in which EC2 has an endpoint."""
    assert sorted((*ENABLED_BY_DEFAULT, *OPT_IN)) == sorted(get_session().get_available_regions("ec2"))
