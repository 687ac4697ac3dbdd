"""What launches instances, and the instances."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.cleaning.handler import (
    DENIED,
    Ec2Delete,
    Ec2Listing,
    Handler,
    Look,
    Row,
    done,
    ec2,
    gone_already,
)
from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.cloud.shapes import scope_filter, tags_of
from bacalhau_spot.core.model import Resource
from bacalhau_spot.core.teardown import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cloud.port import Deletion
    from bacalhau_spot.cloud.session import Session

# Of EC2's launchers only these replace an instance that has ended; an instant fleet, and a one-time request, launch once
# (EC2 user guide, "EC2 Fleet request types", "Spot Instance request types").
_MAINTAIN, _PERSISTENT = "maintain", "persistent"

_FLEETS = Ec2Listing(
    Kind.FLEET,
    "describe_fleets",
    "Fleets",
    "FleetId",
    state=lambda row: str(row.get("FleetState", "")),
    gone=frozenset({"deleted", "deleted_running", "deleted_terminating", "failed"}),
    parent=True,
    more=lambda row: {
        "children": tuple(
            one for group in row.get("Instances") or () for one in group.get("InstanceIds", ())
        ),
        "relaunches": row.get("Type", _MAINTAIN) == _MAINTAIN,
    },
)


async def find_fleets(look: Look) -> list[Resource]:
    """AWS lists fleets without a tag filter, and instant ones only by id (EC2 API reference, DescribeFleets)."""
    rows = await look.session.pages("ec2", look.region, "describe_fleets", "Fleets")
    there = {row["FleetId"] for row in rows}
    rows += await _fleets_by_id(look, [one for one in look.ids if one not in there])
    return await _with_members(look, _FLEETS.resources(rows, look), "aws:ec2:fleet-id")


async def _with_members(look: Look, fleets: list[Resource], tag: str) -> list[Resource]:
    """AWS names the instances of instant fleets only; all of them carry a tag of AWS's (EC2 user guide, "Tag an EC2 Fleet")."""
    ids = [one.id for one in fleets if not one.children]
    if not ids:
        return fleets
    members: dict[str, list[str]] = {}
    for row in await _instances(look, [{"Name": f"tag:{tag}", "Values": ids}]):
        members.setdefault(tags_of(row).get(tag, ""), []).append(row["InstanceId"])
    return [replace(one, children=one.children or tuple(members.get(one.id, ()))) for one in fleets]


async def _fleets_by_id(look: Look, ids: Sequence[str]) -> list[Row]:
    if not ids:
        return []
    try:
        return await look.session.pages("ec2", look.region, "describe_fleets", "Fleets", FleetIds=list(ids))
    except CloudError as error:
        if not gone_already(error):
            raise
    if len(ids) == 1:
        return []
    # One unknown id fails the whole call: ask for each alone.
    return [row for one in ids for row in await _fleets_by_id(look, [one])]


_SPOT_FLEETS = Ec2Listing(
    Kind.SPOT_FLEET,
    "describe_spot_fleet_requests",
    "SpotFleetRequestConfigs",
    "SpotFleetRequestId",
    state=lambda row: str(row.get("SpotFleetRequestState", "")),
    gone=frozenset({"cancelled", "cancelled_running", "cancelled_terminating", "failed"}),
    parent=True,
    more=lambda row: {
        "relaunches": (row.get("SpotFleetRequestConfig") or {}).get("Type", _MAINTAIN) == _MAINTAIN
    },
)


async def find_spot_fleets(look: Look) -> list[Resource]:
    """The call knows no filter at all (EC2 API reference, DescribeSpotFleetRequests)."""
    rows = await look.session.pages("ec2", look.region, _SPOT_FLEETS.operation, _SPOT_FLEETS.key)
    return await _with_members(look, _SPOT_FLEETS.resources(rows, look), "aws:ec2spot:fleet-request-id")


async def find_groups(look: Look) -> list[Resource]:
    """Auto Scaling groups; their instances carry the tags only where the group says so."""
    scope = look.scope
    only = (
        {"Name": f"tag:{scope.key}", "Values": [scope.value]}
        if scope.creator is None
        else {"Name": "tag-key", "Values": [scope.key]}
    )
    reply = await look.session.everything(
        "autoscaling", look.region, "describe_auto_scaling_groups", Filters=[only]
    )
    return [
        _group(row, look.region) for row in reply.get("AutoScalingGroups", ()) if scope.takes(tags_of(row))
    ]


def _group(row: Row, region: str) -> Resource:
    protection = str(row.get("DeletionProtection") or "none")
    return Resource(
        kind=Kind.SCALING_GROUP.value,
        id=row["AutoScalingGroupName"],
        region=region,
        state=str(row.get("Status") or ""),
        tags=tags_of(row),
        created_at=row.get("CreatedTime"),
        children=tuple(one["InstanceId"] for one in row.get("Instances") or ()),
        relaunches=True,
        protection="" if protection == "none" else "deletion protection",
    )


async def delete_groups(session: Session, region: str, resources: Sequence[Resource]) -> Deletion:
    replies = [
        await session.call(
            "autoscaling",
            region,
            "delete_auto_scaling_group",
            AutoScalingGroupName=one.id,
            ForceDelete=True,
        )
        for one in resources
    ]
    return done(*replies)


async def unprotect_group(session: Session, region: str, resource: Resource) -> None:
    await session.call(
        "autoscaling",
        region,
        "update_auto_scaling_group",
        AutoScalingGroupName=resource.id,
        DeletionProtection="none",
    )


_REQUESTS = Ec2Listing(
    Kind.SPOT_REQUEST,
    "describe_spot_instance_requests",
    "SpotInstanceRequests",
    "SpotInstanceRequestId",
    gone=frozenset({"closed", "cancelled", "failed"}),
    parent=True,
    more=lambda row: {
        "children": (row["InstanceId"],) if row.get("InstanceId") else (),
        "relaunches": row.get("Type") == _PERSISTENT,
    },
)

_INSTANCES = Ec2Listing(
    Kind.INSTANCE,
    "describe_instances",
    "Reservations",
    "InstanceId",
    state=lambda row: str(row["State"]["Name"]),
    created_at=lambda row: row.get("LaunchTime"),
    gone=frozenset({"terminated"}),
    more=lambda row: {
        "type": str(row.get("InstanceType", "")),
        "zone": str(row.get("Placement", {}).get("AvailabilityZone", "")),
    },
)


async def find_instances(look: Look) -> list[Resource]:
    """Instances with the tag, and those among `ids`, tagged or not: what a launcher of ours names as its own."""
    rows = await _instances(look, scope_filter(look.scope))
    rows = [row for row in rows if look.scope.takes(_INSTANCES.tags(row))]
    there = {row["InstanceId"] for row in rows}
    if children := [one for one in look.ids if one not in there]:
        # To a filter unknown ids are no error.
        rows += await _instances(look, [{"Name": "instance-id", "Values": children}])
    return [await _instance(look, row) for row in rows if _INSTANCES.state(row) not in _INSTANCES.gone]


async def _instances(look: Look, filters: list[dict[str, Any]]) -> list[Row]:
    groups = await look.session.pages(
        "ec2", look.region, "describe_instances", "Reservations", Filters=filters
    )
    return [row for group in groups for row in group["Instances"]]


async def _instance(look: Look, row: Row) -> Resource:
    found = _INSTANCES.resource(row, look.region)
    # Spot instances know neither protection (EC2 user guide, as below).
    if row.get("InstanceLifecycle") == "spot" or found.state == "shutting-down":
        return found
    protections = []
    for name, key in _PROTECTIONS.items():
        try:
            reply = await look.session.call(
                "ec2",
                look.region,
                "describe_instance_attribute",
                InstanceId=found.id,
                Attribute=key[0].lower() + key[1:],
            )
        except CloudError as error:
            # Of an instance without our tag the printed policy does not let us know it: then it is told when it stays.
            unknown = error.code in DENIED and not look.scope.takes(found.tags)
            if not gone_already(error) and not unknown:
                raise
            return found
        if reply.get(key, {}).get("Value", False):
            protections.append(name)
    return replace(found, protection=" and ".join(protections))


# Either keeps an instance from being terminated (EC2 user guide, "Change instance termination protection", "Enable stop
# protection"): the name that the report has, and the attribute, of which one call changes one.
_PROTECTIONS = {"termination protection": "DisableApiTermination", "stop protection": "DisableApiStop"}


async def unprotect_instance(session: Session, region: str, resource: Resource) -> None:
    for name, key in _PROTECTIONS.items():
        if name in resource.protection:
            await session.call(
                "ec2", region, "modify_instance_attribute", InstanceId=resource.id, **{key: {"Value": False}}
            )


HANDLERS: dict[Kind, Handler] = {
    Kind.SCALING_GROUP: Handler(find=find_groups, delete=delete_groups, lift=unprotect_group),
    # An instant fleet can only be deleted together with its instances (EC2 API reference, DeleteFleets).
    Kind.FLEET: ec2(
        find_fleets,
        Ec2Delete(
            "delete_fleets",
            "FleetIds",
            many=True,
            unsuccessful="UnsuccessfulFleetDeletions",
            extra={"TerminateInstances": True},
            harmless=frozenset({"fleetIdDoesNotExist", "fleetNotInDeletableState"}),
        ),
    ),
    Kind.SPOT_FLEET: ec2(
        find_spot_fleets,
        Ec2Delete(
            "cancel_spot_fleet_requests",
            "SpotFleetRequestIds",
            many=True,
            unsuccessful="UnsuccessfulFleetRequests",
            extra={"TerminateInstances": True},
            harmless=frozenset({"fleetRequestIdDoesNotExist", "fleetRequestNotInCancellableState"}),
        ),
    ),
    Kind.SPOT_REQUEST: ec2(
        _REQUESTS, Ec2Delete("cancel_spot_instance_requests", "SpotInstanceRequestIds", many=True)
    ),
    Kind.INSTANCE: ec2(
        find_instances,
        Ec2Delete("terminate_instances", "InstanceIds", many=True),
        lift=unprotect_instance,
    ),
}
