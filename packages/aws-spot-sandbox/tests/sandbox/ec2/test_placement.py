"""Spot placement scores. Source: EC2 API reference, GetSpotPlacementScores; EC2 user guide, "Spot placement score"."""

from __future__ import annotations

from typing import Any

from sandbox.ec2.clusters import refused

THREE = ["t3.medium", "t3a.medium", "m6a.large"]


def scores(sandbox: Any, **query: Any) -> list[Any]:
    row: dict[str, Any] = {"InstanceTypes": THREE, "TargetCapacity": 10}
    return list(sandbox.client().get_spot_placement_scores(**row | query)["SpotPlacementScores"])


def test_regions_and_zones(sandbox: Any) -> None:
    """The ten best, in descending order, from 1 to 10; zones by their ids."""
    regions = scores(sandbox)
    assert len(regions) == 10
    values = [row["Score"] for row in regions]
    assert values == sorted(values, reverse=True)
    assert 1 <= values[-1] < values[0] <= 10
    assert "AvailabilityZoneId" not in regions[0]
    zones = scores(sandbox, SingleAvailabilityZone=True, RegionNames=["us-east-1", "eu-west-1"])
    assert {row["Region"] for row in zones} == {"us-east-1", "eu-west-1"}
    assert all(row["AvailabilityZoneId"].startswith(("use1-az", "euw1-az")) for row in zones)
    assert scores(sandbox) == regions


def test_few_types_score_low(sandbox: Any) -> None:
    """Fewer than three, or variations of one: m5d.large is m5.large with a disk."""
    regions = ["us-east-1", "us-west-2", "eu-west-1"]
    for few in (THREE[:2], ["m5.large", "m5d.large", "m5.large"], ["t3.medium"]):
        assert max(row["Score"] for row in scores(sandbox, InstanceTypes=few, RegionNames=regions)) <= 3
    assert max(row["Score"] for row in scores(sandbox, RegionNames=regions)) > 3


def test_no_room_no_score(sandbox: Any) -> None:
    """No capacity in the switch `capacity` means the lowest score; larger targets score lower."""
    request = {"RegionNames": ["us-east-1", "us-west-2"]}
    few = {row["Region"]: row["Score"] for row in scores(sandbox, **request)}
    sandbox.settings.capacity = {"us-east-1": 0, "us-west-2": 5}
    after = {row["Region"]: row["Score"] for row in scores(sandbox, **request)}
    assert after["us-east-1"] == 1
    assert after["us-west-2"] < few["us-west-2"]
    sandbox.settings.capacity = {}
    many = {row["Region"]: row["Score"] for row in scores(sandbox, TargetCapacity=100_000, **request)}
    assert many["us-west-2"] < few["us-west-2"]
    assert scores(sandbox, **request) != []


def test_new_questions_are_limited(sandbox: Any) -> None:
    """Beyond the limit: MaxConfigLimitExceeded in any region; repeated requests succeed; the limit ends after a day."""
    sandbox.settings.placement_configurations = 2
    first = scores(sandbox)
    scores(sandbox, TargetCapacity=20)
    with refused("MaxConfigLimitExceeded"):
        scores(sandbox, TargetCapacity=30)
    with refused("MaxConfigLimitExceeded"):
        sandbox.client(region="eu-west-1").get_spot_placement_scores(InstanceTypes=THREE, TargetCapacity=30)
    assert scores(sandbox) == first
    sandbox.clock.advance(86400)
    scores(sandbox, TargetCapacity=30)


def test_requirements_instead_of_types(sandbox: Any) -> None:
    """Attribute-based: EC2 finds the types. Exactly one of the two is required."""
    wanted = {
        "ArchitectureTypes": ["x86_64"],
        "InstanceRequirements": {"VCpuCount": {"Min": 2, "Max": 4}, "MemoryMiB": {"Min": 4096}},
    }
    ec2 = sandbox.client()
    spot_placement_scores = ec2.get_spot_placement_scores(
        InstanceRequirementsWithMetadata=wanted, TargetCapacity=64, TargetCapacityUnitType="vcpu"
    )["SpotPlacementScores"]
    assert spot_placement_scores[0]["Score"] > 3
    with refused("InvalidParameterCombination"):
        scores(sandbox, InstanceRequirementsWithMetadata=wanted)
    with refused("MissingParameter"):
        ec2.get_spot_placement_scores(TargetCapacity=1)
    with refused("InvalidParameterValue"):
        scores(sandbox, RegionNames=["ap-east-1"])
    with refused("InvalidParameterValue"):
        scores(sandbox, InstanceTypes=["t3.enormous"])
