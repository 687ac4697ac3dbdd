"""Lifecycle and listing of instances. Source: EC2 user guide, "Instance lifecycle"; API reference."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sandbox.ec2.clusters import (
    build_fleet,
    build_network,
    build_template,
    fleet_ids,
    image,
    instances,
    overrides,
    refused,
    states,
)


def launch(ec2: Any, count: int = 1, **options: Any) -> list[str]:
    instances = ec2.run_instances(
        ImageId=image(ec2), InstanceType="t3.micro", MinCount=count, MaxCount=count, **options
    )["Instances"]
    return [row["InstanceId"] for row in instances]


def by(name: str, *values: str) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": list(values)}]


def test_pending_takes_its_time(sandbox: Any) -> None:
    sandbox.world.settings.pending_s = 30
    ec2 = sandbox.client()
    ids = launch(ec2)
    sandbox.clock.advance(29)
    assert states(ec2, ids) == {"pending"}
    assert ec2.describe_instance_status(InstanceIds=ids)["InstanceStatuses"] == []
    everything = ec2.describe_instance_status(InstanceIds=ids, IncludeAllInstances=True)["InstanceStatuses"]
    assert everything[0]["InstanceState"]["Name"] == "pending"
    sandbox.clock.advance(1)
    assert states(ec2, ids) == {"running"}
    assert len(ec2.describe_instance_status(InstanceIds=ids)["InstanceStatuses"]) == 1


def test_ending_takes_its_time_and_leaves_a_row_for_an_hour(sandbox: Any) -> None:
    """shutting-down, then terminated without network and disks, then no longer listed."""
    sandbox.world.settings.terminate_s = 60
    ec2 = sandbox.client()
    ids = launch(ec2)
    sandbox.clock.advance(5)
    answer = ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"][0]
    assert (answer["PreviousState"]["Name"], answer["CurrentState"]["Name"]) == ("running", "shutting-down")
    sandbox.clock.advance(59)
    ending = instances(ec2, InstanceIds=ids)[0]
    assert ending["State"]["Name"] == "shutting-down"
    assert ending["NetworkInterfaces"]
    sandbox.clock.advance(1)
    ended = instances(ec2, InstanceIds=ids)[0]
    assert ended["State"] == {"Code": 48, "Name": "terminated"}
    assert ended["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert ended["StateTransitionReason"].startswith("User initiated (20")
    assert "PublicIpAddress" not in ended
    assert "VpcId" not in ended
    assert ended["NetworkInterfaces"] == ended["BlockDeviceMappings"] == []
    assert ec2.describe_volumes()["Volumes"] == []
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    sandbox.clock.advance(3600)
    with refused("InvalidInstanceID.NotFound"):
        instances(ec2, InstanceIds=ids)


def test_one_unknown_id_and_none_ends(sandbox: Any) -> None:
    """TerminateInstances: "if any ID is not valid, none of them are terminated"; a second call is harmless."""
    ec2 = sandbox.client()
    ids = launch(ec2)
    with refused("InvalidInstanceID.NotFound"):
        ec2.terminate_instances(InstanceIds=[*ids, "i-00000000000000000"])
    sandbox.clock.advance(5)
    assert states(ec2, ids) == {"running"}
    ec2.terminate_instances(InstanceIds=ids)
    sandbox.clock.advance(5)
    answer = ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"][0]
    assert (answer["PreviousState"]["Name"], answer["CurrentState"]["Name"]) == ("terminated", "terminated")


def test_a_protected_instance_does_not_end(sandbox: Any) -> None:
    """DisableApiTermination: OperationNotPermitted."""
    ec2 = sandbox.client()
    ids = launch(ec2, DisableApiTermination=True)
    with refused("OperationNotPermitted"):
        ec2.terminate_instances(InstanceIds=ids)
    ec2.modify_instance_attribute(InstanceId=ids[0], DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=ids)


def test_a_disk_that_is_not_deleted_stays(sandbox: Any) -> None:
    """DeleteOnTermination=false: the volume becomes available."""
    ec2 = sandbox.client()
    disk = {"VolumeSize": 30, "VolumeType": "gp3", "DeleteOnTermination": False}
    ids = launch(ec2, BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": disk}])
    assert len(ec2.describe_volumes()["Volumes"]) == 2
    ec2.terminate_instances(InstanceIds=ids)
    sandbox.clock.advance(5)
    left = ec2.describe_volumes()["Volumes"]
    assert [(volume["Size"], volume["State"]) for volume in left] == [(30, "available")]
    ec2.delete_volume(VolumeId=left[0]["VolumeId"])


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (by("instance-lifecycle", "spot"), 2),
        (by("instance-state-name", "pending", "running"), 3),
        (by("instance-state-name", "terminated"), 0),
        (by("tag:bacalhau-cluster", "one"), 2),
        (by("tag:bacalhau-cluster", "o*"), 2),
        (by("tag:Bacalhau-cluster", "one"), 0),
        (by("tag-key", "extra"), 2),
        (by("instance-type", "t3.micro"), 1),
        (by("availability-zone", "us-east-1*"), 3),
        (by("tag:bacalhau-cluster", "one") + by("instance-type", "t3.micro"), 0),
    ],
)
def test_filters(sandbox: Any, filters: list[dict[str, Any]], count: int) -> None:
    """AND between filters, OR between values, wildcards, case-sensitive (EC2 user guide, "Filter your resources")."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    build_fleet(ec2, build_template(ec2, net["group"]), overrides(net["subnets"]), 2)
    launch(ec2)
    assert len(instances(ec2, Filters=filters)) == count


def test_an_unknown_filter_is_refused(sandbox: Any) -> None:
    with refused("InvalidParameterValue"):
        instances(sandbox.client(), Filters=by("colour", "red"))


def test_pages_count_instances(sandbox: Any) -> None:
    """MaxResults counts instances, between 5 and 1,000; a reservation may continue on the next page."""
    ec2 = sandbox.client()
    ids = launch(ec2, 12)
    first = ec2.describe_instances(MaxResults=5)
    assert len(first["Reservations"][0]["Instances"]) == 5
    assert first["NextToken"]
    listed = instances(ec2, PaginationConfig={"PageSize": 5})
    assert [row["InstanceId"] for row in listed] == ids
    for size in (4, 1001):
        with refused("InvalidParameterValue"):
            ec2.describe_instances(MaxResults=size)
    with refused("InvalidParameterCombination"):
        ec2.describe_instances(MaxResults=5, InstanceIds=ids)


def test_fleets_instances_are_ordinary_ones(sandbox: Any) -> None:
    """TerminateInstances terminates a fleet's instances like any others."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    fleet = build_fleet(ec2, build_template(ec2, net["group"]), overrides(net["subnets"]), 2)
    ec2.terminate_instances(InstanceIds=fleet_ids(fleet))
    sandbox.clock.advance(5)
    assert states(ec2, fleet_ids(fleet)) == {"terminated"}
    assert ec2.describe_fleets(FleetIds=[fleet["FleetId"]])["Fleets"][0]["FulfilledCapacity"] == 0.0


def test_a_one_time_spot_instance_is_not_stopped(sandbox: Any) -> None:
    """StopInstances: UnsupportedOperation for spot; on-demand instances are stopped."""
    ec2 = sandbox.client()
    with refused("UnsupportedOperation"):
        ec2.stop_instances(InstanceIds=launch(ec2, InstanceMarketOptions={"MarketType": "spot"}))
    ids = launch(ec2)
    sandbox.clock.advance(5)
    ec2.stop_instances(InstanceIds=ids)
    assert states(ec2, ids) == {"stopped"}


def test_an_elastic_address_outlives_its_instance(sandbox: Any) -> None:
    """The association is deleted with the instance; the address stays allocated."""
    ec2 = sandbox.client()
    ids = launch(ec2)
    address = ec2.allocate_address(Domain="vpc")
    sandbox.clock.advance(5)
    ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=ids[0])
    assert instances(ec2, InstanceIds=ids)[0]["PublicIpAddress"] == address["PublicIp"]
    ec2.terminate_instances(InstanceIds=ids)
    sandbox.clock.advance(5)
    assert not ec2.describe_addresses()["Addresses"][0].get("InstanceId")
    ec2.release_address(AllocationId=address["AllocationId"])


def test_many_callers_never_get_more_than_there_is(sandbox: Any) -> None:
    """Capacity is granted once, even to concurrent calls."""
    sandbox.world.settings.capacity = {"us-east-1": 10}
    ec2 = sandbox.client()
    net = build_network(ec2)
    template, pools = build_template(ec2, net["group"]), overrides(net["subnets"])
    with ThreadPoolExecutor(8) as threads:
        fleets = list(threads.map(lambda _: build_fleet(ec2, template, pools, 3), range(8)))
    ids = [instance_id for fleet in fleets for instance_id in fleet_ids(fleet)]
    assert len(ids) == len(set(ids)) == 10
    addresses = {instance["PublicIpAddress"] for instance in instances(ec2, InstanceIds=ids)}
    assert len(addresses) == 10
