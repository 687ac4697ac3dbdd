"""Resources that moto lacks and that are a single row: placement groups, capacity reservations, Connect endpoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import filters, interfaces, paging
from aws_spot_sandbox.ec2.tags import tags_of
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_spot_sandbox.ec2.region import Answer, Args, Region


@dataclass
class Item:
    """A resource as its describe call returns it, without tags."""

    id: str
    kind: str
    row: dict[str, Any]
    interface_ids: list[str] = field(default_factory=list)


def put(region: Region, kind: str, item_id: str, row: dict[str, Any], args: Args) -> Item:
    """Raises AwsError for tags of another resource type, before anything is created."""
    tags = tags_of(args, kind)
    item = region.shelf[item_id] = Item(item_id, kind, row)
    region.set_tags(item_id, tags)
    return item


def drop(region: Region, item: Item) -> None:
    for interface_id in item.interface_ids:
        interfaces.remove(region, interface_id)
    region.shelf.pop(item.id, None)
    region.forget_tags(item.id)


def of(region: Region, kind: str) -> list[Item]:
    return [item for item in region.shelf.values() if item.kind == kind]


def shown(region: Region, item: Item) -> dict[str, Any]:
    return {**item.row, "Tags": region.tag_set(item.id) or None}


def listed(
    region: Region,
    items: Iterable[Item],
    args: Args,
    *,
    key: str,
    getters: dict[str, filters.Getter[Item]],
) -> Answer:
    selected = filters.select(items, args.get("Filters"), getters, lambda item: region.tags(item.id))
    page, token = paging.page(selected, args)
    return {key: [shown(region, item) for item in page], "NextToken": token}


def _field(name: str) -> filters.Getter[Item]:
    return lambda item: item.row.get(name)


# --- Placement groups. AWS: EC2 API Reference, CreatePlacementGroup, DeletePlacementGroup

_PLACEMENT = "placement-group"


def create_placement_group(region: Region, args: Args) -> Answer:
    name = str(args.get("GroupName") or "")
    if not name:
        raise AwsError("MissingParameter", "The request must contain the parameter groupName")
    if _placement(region, name) is not None:
        raise AwsError("InvalidPlacementGroup.Duplicate", f"The placement group '{name}' already exists.")
    strategy = str(args.get("Strategy") or "cluster")
    item_id = region.new_id("pg")
    row = {
        "GroupName": name,
        "GroupId": item_id,
        "Strategy": strategy,
        "State": "available",
        "PartitionCount": args.get("PartitionCount"),
        "GroupArn": f"arn:aws:ec2:{region.name}:{ACCOUNT_ID}:placement-group/{name}",
    }
    item = put(region, _PLACEMENT, item_id, row, args)
    return {"PlacementGroup": shown(region, item)}


def _placement(region: Region, name: str) -> Item | None:
    return next((item for item in of(region, _PLACEMENT) if item.row["GroupName"] == name), None)


def describe_placement_groups(region: Region, args: Args) -> Answer:
    items = of(region, _PLACEMENT)
    for name in args.get("GroupNames") or ():
        if _placement(region, name) is None:
            raise AwsError("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    named = args.get("GroupNames") or [item.row["GroupName"] for item in items]
    answer = listed(
        region,
        [item for item in items if item.row["GroupName"] in named],
        args,
        key="PlacementGroups",
        getters={"group-name": _field("GroupName"), "state": _field("State"), "strategy": _field("Strategy")},
    )
    answer.pop("NextToken")  # this call has no pagination
    return answer


def delete_placement_group(region: Region, args: Args) -> Answer:
    """Refused while an instance that is not terminated uses the group."""
    name = str(args.get("GroupName") or "")
    item = _placement(region, name)
    if item is None:
        raise AwsError("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    if any(machine.alive and machine.placement_group == name for machine in region.machines.values()):
        raise AwsError(
            "InvalidPlacementGroup.InUse", f"The placement group {name} is in use and may not be deleted."
        )
    drop(region, item)
    return {}


# --- Capacity reservations. AWS: EC2 API Reference, CreateCapacityReservation, CancelCapacityReservation

_RESERVATION = "capacity-reservation"


def create_reservation(region: Region, args: Args) -> Answer:
    for parameter in ("InstanceType", "InstancePlatform", "InstanceCount"):
        if not args.get(parameter):
            raise AwsError("MissingParameter", f"The request must contain the parameter {parameter}")
    item_id = region.new_id("cr")
    committed = args.get("CommitmentDuration")
    count = int(args["InstanceCount"])
    row = {
        "CapacityReservationId": item_id,
        "OwnerId": ACCOUNT_ID,
        "CapacityReservationArn": f"arn:aws:ec2:{region.name}:{ACCOUNT_ID}:capacity-reservation/{item_id}",
        "InstanceType": args["InstanceType"],
        "InstancePlatform": args["InstancePlatform"],
        "AvailabilityZone": args.get("AvailabilityZone"),
        "Tenancy": "default",
        "TotalInstanceCount": count,
        "AvailableInstanceCount": count,
        "EbsOptimized": False,
        "EphemeralStorage": False,
        "State": "active",
        "EndDateType": args.get("EndDateType") or "unlimited",
        "InstanceMatchCriteria": args.get("InstanceMatchCriteria") or "open",
        "CreateDate": region.now(),
        "CommitmentInfo": {"CommittedInstanceCount": count} if committed else None,
    }
    item = put(region, _RESERVATION, item_id, row, args)
    return {"CapacityReservation": shown(region, item)}


def describe_reservations(region: Region, args: Args) -> Answer:
    wanted = args.get("CapacityReservationIds")
    items = [_reservation(region, item_id) for item_id in wanted] if wanted else of(region, _RESERVATION)
    return listed(
        region,
        items,
        args,
        key="CapacityReservations",
        getters={
            "state": _field("State"),
            "instance-type": _field("InstanceType"),
            "availability-zone": _field("AvailabilityZone"),
        },
    )


def _reservation(region: Region, item_id: str) -> Item:
    item = region.shelf.get(item_id)
    if item is None or item.kind != _RESERVATION:
        raise AwsError(
            "InvalidCapacityReservationId.NotFound", f"The capacity reservation ID '{item_id}' does not exist"
        )
    return item


def cancel_reservation(region: Region, args: Args) -> Answer:
    """The reservation stays listed as `cancelled`. Within its commitment, cancellation has charges and is refused here."""
    item = _reservation(region, str(args.get("CapacityReservationId")))
    if item.row["CommitmentInfo"]:
        raise AwsError(
            "OperationNotPermitted",
            f"The Capacity Reservation '{item.id}' is in its commitment duration and cannot be cancelled.",
        )
    item.row["State"] = "cancelled"
    item.row["TotalInstanceCount"] = item.row["AvailableInstanceCount"] = 0
    region.later(region.world.settings.forget_s, lambda: drop(region, item))
    return {"Return": True}


# --- EC2 Instance Connect endpoints. AWS: EC2 API Reference, CreateInstanceConnectEndpoint, DeleteInstanceConnectEndpoint

_CONNECT = "instance-connect-endpoint"


def create_connect_endpoint(region: Region, args: Args) -> Answer:
    """The endpoint has an interface in the subnet, managed by AWS."""
    subnet = region.subnet(str(args.get("SubnetId")))
    item_id = region.new_id("eice")
    row = {
        "OwnerId": ACCOUNT_ID,
        "InstanceConnectEndpointId": item_id,
        "InstanceConnectEndpointArn": f"arn:aws:ec2:{region.name}:{ACCOUNT_ID}:{_CONNECT}/{item_id}",
        "State": "create-in-progress",
        "VpcId": subnet.vpc_id,
        "SubnetId": subnet.id,
        "AvailabilityZone": subnet.availability_zone,
        "CreatedAt": region.now(),
        "PreserveClientIp": False,
        "SecurityGroupIds": args.get("SecurityGroupIds") or [],
    }
    item = put(region, _CONNECT, item_id, row, args)
    interface_id = interfaces.managed(
        region,
        subnet,
        kind="ec2_instance_connect_endpoint",
        requester="amazon-ec2-instance-connect",
        description=f"EC2 Instance Connect Endpoint {item_id}",
        groups=args.get("SecurityGroupIds") or (),
    )
    item.interface_ids.append(interface_id)
    item.row["NetworkInterfaceIds"] = [interface_id]
    region.later(region.world.settings.pending_s, lambda: _settle(item))
    return {"InstanceConnectEndpoint": shown(region, item)}


def _settle(item: Item) -> None:
    if item.row["State"] == "create-in-progress":
        item.row["State"] = "create-complete"


def describe_connect_endpoints(region: Region, args: Args) -> Answer:
    wanted = args.get("InstanceConnectEndpointIds")
    items = [_connect(region, item_id) for item_id in wanted] if wanted else of(region, _CONNECT)
    return listed(
        region,
        items,
        args,
        key="InstanceConnectEndpoints",
        getters={"state": _field("State"), "vpc-id": _field("VpcId"), "subnet-id": _field("SubnetId")},
    )


def _connect(region: Region, item_id: str) -> Item:
    item = region.shelf.get(item_id)
    if item is None or item.kind != _CONNECT:
        raise AwsError(
            "InvalidInstanceConnectEndpointId.NotFound",
            f"The instance connect endpoint '{item_id}' does not exist",
        )
    return item


def delete_connect_endpoint(region: Region, args: Args) -> Answer:
    """Asynchronous: its interface uses the subnet until the deletion is complete."""
    item = _connect(region, str(args.get("InstanceConnectEndpointId")))
    if item.row["State"] != "delete-in-progress":
        item.row["State"] = "delete-in-progress"
        region.later(region.world.settings.terminate_s, lambda: drop(region, item))
    return {"InstanceConnectEndpoint": shown(region, item)}
