"""EC2 Fleet of type instant. Source: EC2 API reference, CreateFleet, DescribeFleets, DeleteFleets."""

from __future__ import annotations

from typing import Any

import pytest

from aws_spot_sandbox.ec2 import fleets
from sandbox.ec2.clusters import (
    AMI_PARAMETER,
    TAGS,
    build_fleet,
    build_network,
    build_template,
    codes,
    fleet_ids,
    instances,
    overrides,
    refused,
    spec,
    states,
)


def prepare(sandbox: Any) -> tuple[Any, dict[str, Any], str]:
    ec2 = sandbox.client()
    net = build_network(ec2)
    return ec2, net, build_template(ec2, net["group"])


def price(sandbox: Any, zone: str, name: str = "t3.medium") -> float:
    rows = sandbox.client().describe_spot_price_history(
        AvailabilityZone=zone, InstanceTypes=[name], ProductDescriptions=["Linux/UNIX"], MaxResults=1
    )
    return float(rows["SpotPriceHistory"][0]["SpotPrice"])


def test_the_cheapest_pool_is_used_first(sandbox: Any) -> None:
    """price-capacity-optimized, as modelled: the cheapest of the pools with capacity."""
    ec2, net, template = prepare(sandbox)
    fleet = build_fleet(ec2, template, overrides(net["subnets"]), 4)
    cheapest = min(net["subnets"], key=lambda zone: price(sandbox, zone))
    granted = fleet["Instances"][0]
    assert len(fleet["Instances"]) == 1
    assert granted["Lifecycle"] == "spot"
    assert granted["InstanceType"] == "t3.medium"
    assert granted["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"] == cheapest
    assert (
        granted["LaunchTemplateAndOverrides"]["LaunchTemplateSpecification"]["LaunchTemplateId"] == template
    )


def test_several_pools_fill_one_fleet(sandbox: Any) -> None:
    """If one pool lacks capacity, the next one provides the rest, and the error is returned alongside the full number.

    AWS: osbuild-composer#4507, an instance and InsufficientInstanceCapacity in the reply to a capacity of one.
    """
    sandbox.world.settings.capacity = {"us-east-1a/t3.medium": 2, "us-east-1b": 5}
    ec2, net, template = prepare(sandbox)
    fleet = build_fleet(ec2, template, overrides(net["subnets"]), 6)
    assert len(fleet_ids(fleet)) == 6
    assert len(fleet["Instances"]) == 2
    assert {error["ErrorCode"] for error in fleet["Errors"]} == {"InsufficientInstanceCapacity"}


def test_a_shortfall_names_every_pool(sandbox: Any) -> None:
    """Errors alongside instances: one per override that granted less than requested."""
    sandbox.world.settings.capacity = {"us-east-1a": 0, "us-east-1b": 2}
    ec2, net, template = prepare(sandbox)
    fleet = build_fleet(ec2, template, overrides(net["subnets"], ("t3.medium", "t3a.medium")), 5)
    assert len(fleet_ids(fleet)) == 2
    assert codes(fleet) == {"InsufficientInstanceCapacity"}
    assert len(fleet["Errors"]) == 4
    error = fleet["Errors"][0]
    assert error["Lifecycle"] == "spot"
    assert error["ErrorMessage"] == "There is no Spot capacity available that matches your request."
    assert error["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"]


def test_room_comes_back_when_instances_end(sandbox: Any) -> None:
    sandbox.world.settings.capacity = {"us-east-1": 2}
    ec2, net, template = prepare(sandbox)
    first = build_fleet(ec2, template, overrides(net["subnets"]), 3)
    assert len(fleet_ids(first)) == 2
    ec2.terminate_instances(InstanceIds=fleet_ids(first))
    assert fleet_ids(build_fleet(ec2, template, overrides(net["subnets"]), 1)) == []
    sandbox.clock.advance(5)
    assert len(fleet_ids(build_fleet(ec2, template, overrides(net["subnets"]), 2))) == 2


def test_each_refusal_has_its_code(sandbox: Any) -> None:
    """Quota, price, architecture, type not offered, unknown subnet: different codes, each with its override."""
    sandbox.world.settings.not_offered = ["us-east-1b/t3.medium"]
    ec2, net, template = prepare(sandbox)
    here, zone_b = net["subnets"]["us-east-1a"], net["subnets"]["us-east-1b"]
    arm = f"resolve:ssm:{AMI_PARAMETER.format('arm64')}"
    x86 = f"resolve:ssm:{AMI_PARAMETER.format('amd64')}"
    pools = [
        {"InstanceType": "t3.medium", "SubnetId": here, "ImageId": arm},
        {"InstanceType": "t3.medium", "SubnetId": zone_b, "ImageId": x86},
        {"InstanceType": "t3.small", "SubnetId": here, "ImageId": x86, "MaxPrice": "0.0011"},
        {"InstanceType": "t3.large", "SubnetId": "subnet-00000000000000000", "ImageId": x86},
    ]
    fleet = build_fleet(ec2, template, pools, 1)
    assert fleet["Instances"] == []
    assert [error["ErrorCode"] for error in fleet["Errors"]] == [
        "InvalidParameterValue",
        "InvalidFleetConfiguration",  # karpenter-provider-aws#2243: RunInstances returns Unsupported
        "SpotMaxPriceTooLow",
        "InvalidSubnetID.NotFound",
        "UnfulfillableCapacity",  # karpenter-provider-aws#3051: additionally, if nothing was launched
    ]
    text = fleet["Errors"][0]["ErrorMessage"]
    assert (
        "'x86_64' of the specified instance type does not match the architecture 'arm64' of the specified AMI"
        in text
    )


def test_the_quota_counts_vcpus(sandbox: Any) -> None:
    """Spot quotas are vCPUs: two t3.medium are four of them."""
    sandbox.world.settings.spot_vcpu_quota = {"us-east-1": 5}
    ec2, net, template = prepare(sandbox)
    fleet = build_fleet(ec2, template, overrides(net["subnets"]), 4)
    assert len(fleet_ids(fleet)) == 2
    assert codes(fleet) == {"MaxSpotInstanceCountExceeded"}
    assert fleet["Errors"][0]["ErrorMessage"] == "Max spot instance count exceeded"


def test_all_or_nothing(sandbox: Any) -> None:
    """MinTargetCapacity: "if the minimum target capacity is not reached, the fleet launches no instances"."""
    sandbox.world.settings.capacity = {"us-east-1": 2}
    ec2, net, template = prepare(sandbox)
    options = {
        "AllocationStrategy": "price-capacity-optimized",
        "SingleInstanceType": True,
        "MinTargetCapacity": 3,
    }
    fleet = build_fleet(ec2, template, overrides(net["subnets"]), 3, SpotOptions=options)
    assert fleet["Instances"] == []
    assert fleet["Errors"]
    assert instances(ec2) == []


def test_types_by_attributes(sandbox: Any) -> None:
    """InstanceRequirements in an override match every type with these attributes."""
    ec2, net, template = prepare(sandbox)
    wanted = {"VCpuCount": {"Min": 2, "Max": 2}, "MemoryMiB": {"Min": 4096, "Max": 4096}}
    pools = [
        {
            "InstanceRequirements": wanted | {"AllowedInstanceTypes": ["c6i.*", "c5.*"]},
            "SubnetId": net["subnets"]["us-east-1a"],
            "ImageId": f"resolve:ssm:{AMI_PARAMETER.format('amd64')}",
        }
    ]
    fleet = build_fleet(ec2, template, pools, 1)
    assert fleet["Instances"][0]["InstanceType"] in {"c5.large", "c6i.large"}


def test_unknown_templates_refuse_the_whole_call(sandbox: Any) -> None:
    ec2, net, _ = prepare(sandbox)
    with refused("InvalidLaunchTemplateId.NotFound"):
        build_fleet(ec2, "lt-00000000000000000", overrides(net["subnets"]), 1)
    config = {"LaunchTemplateSpecification": {"LaunchTemplateName": "nobody", "Version": "$Latest"}}
    with refused("InvalidLaunchTemplateName.NotFoundException"):
        build_fleet(ec2, "", [], 1, LaunchTemplateConfigs=[config])


def test_which_kinds_a_fleet_tags(sandbox: Any) -> None:
    """Instant: fleet, instance, volume, network-interface. The others: only the fleet."""
    ec2, net, template = prepare(sandbox)
    for kinds, options in ((["spot-instances-request"], {}), (["instance"], {"Type": "maintain"})):
        with refused("InvalidParameterValue"):
            build_fleet(
                ec2, template, overrides(net["subnets"]), 1, TagSpecifications=spec(*kinds), **options
            )
    allowed = spec("fleet", "instance", "volume", "network-interface")
    build_fleet(ec2, template, overrides(net["subnets"]), 1, TagSpecifications=allowed)


def test_an_instant_fleet_is_shown_only_by_id(sandbox: Any) -> None:
    """DescribeFleets: "If a fleet is of type instant, you must specify the fleet ID, otherwise it does not appear"."""
    ec2, net, template = prepare(sandbox)
    fleet = build_fleet(ec2, template, overrides(net["subnets"]), 2)
    assert ec2.describe_fleets()["Fleets"] == []
    shown = ec2.describe_fleets(FleetIds=[fleet["FleetId"]])["Fleets"][0]
    assert (shown["Type"], shown["FleetState"], shown["FulfilledCapacity"]) == ("instant", "active", 2.0)
    assert shown["Tags"] == TAGS
    with refused("Unsupported"):  # boto3 issue 4005
        ec2.describe_fleet_instances(FleetId=fleet["FleetId"])
    with refused("InvalidFleetId.NotFound"):
        ec2.describe_fleets(FleetIds=["fleet-00000000-0000-0000-0000-000000000000"])


def test_a_maintain_fleet_is_listed(sandbox: Any) -> None:
    ec2, net, template = prepare(sandbox)
    tags = spec("fleet")
    fleet = build_fleet(ec2, template, overrides(net["subnets"]), 2, Type="maintain", TagSpecifications=tags)
    assert "Instances" not in fleet
    assert [fleet["FleetId"] for fleet in ec2.describe_fleets()["Fleets"]] == [fleet["FleetId"]]
    assert len(ec2.describe_fleet_instances(FleetId=fleet["FleetId"])["ActiveInstances"]) == 2


def test_deleting_an_instant_fleet_ends_its_instances(sandbox: Any) -> None:
    """DeleteFleets: instant fleets only with TerminateInstances; failures are in a successful reply."""
    ec2, net, template = prepare(sandbox)
    fleet = build_fleet(ec2, template, overrides(net["subnets"]), 2)
    unknown = "fleet-00000000-0000-0000-0000-000000000000"
    answer = ec2.delete_fleets(FleetIds=[fleet["FleetId"], unknown], TerminateInstances=False)
    assert answer["SuccessfulFleetDeletions"] == []
    assert [deletion["Error"]["Code"] for deletion in answer["UnsuccessfulFleetDeletions"]] == [
        "unexpectedError",
        "fleetIdDoesNotExist",
    ]
    answer = ec2.delete_fleets(FleetIds=[fleet["FleetId"]], TerminateInstances=True)
    assert answer["SuccessfulFleetDeletions"][0]["CurrentFleetState"] == "deleted_terminating"
    assert states(ec2, fleet_ids(fleet)) == {"shutting-down"}
    assert ec2.describe_tags(Filters=[{"Name": "resource-type", "Values": ["fleet"]}])["Tags"] == []
    sandbox.clock.advance(5)
    assert ec2.describe_fleets(FleetIds=[fleet["FleetId"]])["Fleets"][0]["FleetState"] == "deleted"


def test_an_instant_fleet_with_many_instances_is_not_deleted(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S7: "more than 1000 instances, the deletion request might fail. … first terminate most of the instances" (DeleteFleets)."""
    assert fleets.DELETABLE_INSTANCES == 1000
    monkeypatch.setattr(fleets, "DELETABLE_INSTANCES", 1)
    ec2, net, template = prepare(sandbox)
    fleet = build_fleet(ec2, template, overrides(net["subnets"]), 2)
    ids = [fleet["FleetId"]]
    answer = ec2.delete_fleets(FleetIds=ids, TerminateInstances=True)
    assert [deletion["Error"]["Code"] for deletion in answer["UnsuccessfulFleetDeletions"]] == [
        "unexpectedError"
    ]
    assert states(ec2, fleet_ids(fleet)) == {"pending"}
    ec2.terminate_instances(InstanceIds=fleet_ids(fleet)[:1])
    assert len(ec2.delete_fleets(FleetIds=ids, TerminateInstances=True)["SuccessfulFleetDeletions"]) == 1


def test_a_deleted_fleet_may_take_longer_than_its_instances(sandbox: Any) -> None:
    """S6: fleets stay deleted_terminating for minutes to days (terraform-provider-aws#48836, runs-on#217)."""
    sandbox.settings.fleet_deletion_s = 3600
    ec2, net, template = prepare(sandbox)
    fleet = build_fleet(ec2, template, overrides(net["subnets"]), 1)
    ids = [fleet["FleetId"]]
    ec2.delete_fleets(FleetIds=ids, TerminateInstances=True)
    sandbox.clock.advance(1800)
    assert ec2.describe_fleets(FleetIds=ids)["Fleets"][0]["FleetState"] == "deleted_terminating"
    assert states(ec2, fleet_ids(fleet)) == {"terminated"}
    sandbox.clock.advance(1802)
    assert ec2.describe_fleets(FleetIds=ids)["Fleets"][0]["FleetState"] == "deleted"


def test_at_most_twenty_five_instant_fleets_in_a_call(sandbox: Any) -> None:
    ec2, net, template = prepare(sandbox)
    ids = [build_fleet(ec2, template, overrides(net["subnets"]), 0)["FleetId"] for _ in range(26)]
    with refused("InvalidParameterValue"):
        ec2.delete_fleets(FleetIds=ids, TerminateInstances=True)
    assert (
        len(ec2.delete_fleets(FleetIds=ids[:25], TerminateInstances=True)["SuccessfulFleetDeletions"]) == 25
    )


def test_weights_count_capacity(sandbox: Any) -> None:
    """WeightedCapacity: an instance counts as several units; the last one may exceed the target."""
    ec2, net, template = prepare(sandbox)
    pools = [pool | {"WeightedCapacity": 2.0} for pool in overrides(net["subnets"])]
    assert len(fleet_ids(build_fleet(ec2, template, pools, 5))) == 3


def test_a_subnet_runs_out_of_addresses(sandbox: Any) -> None:
    """A /28 has eleven: AWS reserves five of sixteen (VPC user guide, "Subnet sizing"). Further launches fail."""
    ec2, net, template = prepare(sandbox)
    subnet = ec2.create_subnet(VpcId=net["vpc"], CidrBlock="10.0.200.0/28", AvailabilityZone="us-east-1a")[
        "Subnet"
    ]
    pools = overrides({"us-east-1a": subnet["SubnetId"]})
    fleet = build_fleet(ec2, template, pools, 12)
    assert len(fleet_ids(fleet)) == 11
    assert codes(fleet) == {"InsufficientFreeAddressesInSubnet"}
    ec2.terminate_instances(InstanceIds=fleet_ids(fleet))
    sandbox.clock.advance(5)
    assert len(fleet_ids(build_fleet(ec2, template, pools, 11))) == 11


def test_what_is_not_sold_as_spot_has_no_price(sandbox: Any) -> None:
    """AWS: offered in a zone but not as spot (karpenter-provider-aws#2243, #6483): no row in the price history."""
    sandbox.world.settings.no_spot = ["us-east-1b/t3.medium"]
    rows = sandbox.client().describe_spot_price_history(
        InstanceTypes=["t3.medium"], ProductDescriptions=["Linux/UNIX"], MaxResults=100
    )["SpotPriceHistory"]
    zones = {row["AvailabilityZone"] for row in rows}
    assert "us-east-1a" in zones
    assert "us-east-1b" not in zones


def test_a_fresh_subnet_is_refused_pool_by_pool(sandbox: Any) -> None:
    """AWS: a fleet's errors include RunInstances' (karpenter's "with fleet error(s)" list); the fleet is created."""
    sandbox.world.settings.read_lag_s = 0
    ec2, net, template = prepare(sandbox)
    sandbox.world.settings.read_lag_s = 10
    fresh = ec2.create_subnet(
        VpcId=ec2.describe_subnets(SubnetIds=[net["subnets"]["us-east-1a"]])["Subnets"][0]["VpcId"],
        CidrBlock="10.0.99.0/24",
        AvailabilityZone="us-east-1c",
    )["Subnet"]["SubnetId"]
    pools = overrides({"us-east-1c": fresh})
    fleet = build_fleet(ec2, template, pools, 1)
    assert {error["ErrorCode"] for error in fleet["Errors"]} == {
        "InvalidSubnetID.NotFound",
        "UnfulfillableCapacity",
    }
    sandbox.clock.advance(11)
    assert len(fleet_ids(build_fleet(ec2, template, pools, 1))) == 1


@pytest.mark.parametrize("price", ["0.001", "0.0005", "0"])
def test_a_highest_price_of_a_tenth_of_a_cent_is_refused(sandbox: Any, price: str) -> None:
    """EC2 API reference, FleetLaunchTemplateOverridesRequest: "it must be more than USD $0.001"."""
    ec2, net, template = prepare(sandbox)
    pools = [{**override, "MaxPrice": price} for override in overrides(net["subnets"])]
    with refused("InvalidParameterValue"):
        build_fleet(ec2, template, pools, 1)


def test_a_fleet_is_forgotten_two_days_after_its_end(sandbox: Any) -> None:
    """S9: runs-on#217: deleted fleets, and those without remaining instances, are no longer listed after some 48 h."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    template = build_template(ec2, net["group"])
    fleets = [build_fleet(ec2, template, overrides(net["subnets"]), 1) for _ in range(3)]
    deleted, ended, alive = (row["FleetId"] for row in fleets)
    ec2.delete_fleets(FleetIds=[deleted], TerminateInstances=True)
    ec2.terminate_instances(InstanceIds=fleet_ids(fleets[1]))
    sandbox.clock.sleep(47 * 3600)
    assert len(ec2.describe_fleets(FleetIds=[deleted, ended, alive])["Fleets"]) == 3
    sandbox.clock.sleep(2 * 3600)
    for fleet_id in (deleted, ended):
        with refused("InvalidFleetId.NotFound"):
            ec2.describe_fleets(FleetIds=[fleet_id])
    assert len(ec2.describe_fleets(FleetIds=[alive])["Fleets"]) == 1


def test_a_slow_fleet_is_older_than_its_answer(sandbox: Any) -> None:
    """S11, F10: karpenter-provider-aws#3922: 41 s until the errors; the fleet exists before its pools are tried."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    template = build_template(ec2, net["group"])
    sandbox.settings.fleet_s = 40
    before_s = sandbox.clock.now()
    reply = build_fleet(ec2, template, overrides(net["subnets"]), 1)
    assert sandbox.clock.now() - before_s >= 40
    (fleet,) = ec2.describe_fleets(FleetIds=[reply["FleetId"]])["Fleets"]
    assert fleet["CreateTime"].timestamp() <= before_s + 1


def test_lagging_parts_are_refused_by_the_pools(sandbox: Any) -> None:
    """S8, F6: lagging subnets and groups are errors per pool in a successful reply; a lagging template fails the call."""
    ec2 = sandbox.client()
    sandbox.settings.read_lag_s = 10
    fresh = build_template(ec2, "sg-0123456789abcdef0")
    with refused("InvalidLaunchTemplateId.NotFound"):
        build_fleet(ec2, fresh, overrides({"us-east-1a": "subnet-0123456789abcdef0"}), 1)
    sandbox.settings.read_lag_s = 0
    net = build_network(ec2)
    template = build_template(ec2, net["group"], "settled")
    sandbox.clock.sleep(60)
    sandbox.settings.read_lag_s = 10
    reply = ec2.create_subnet(VpcId=net["vpc"], CidrBlock="10.0.64.0/20", AvailabilityZone="us-east-1b")
    pools = {"us-east-1a": net["subnets"]["us-east-1a"], "us-east-1b": reply["Subnet"]["SubnetId"]}
    fleet = build_fleet(ec2, template, overrides({"us-east-1b": pools["us-east-1b"]}), 1)
    assert codes(fleet) == {"InvalidSubnetID.NotFound", "UnfulfillableCapacity"}
    assert len(fleet_ids(build_fleet(ec2, template, overrides(pools), 1))) == 1
