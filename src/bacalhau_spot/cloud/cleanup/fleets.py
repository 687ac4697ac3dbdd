"""Instances, and the fleets, groups and requests that launch them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.cleanup.handler import (
    DENIED,
    Ec2Delete,
    Ec2Listing,
    FindRequest,
    Handler,
    Row,
    deletion,
    ec2,
    is_gone_error,
)
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.ec2_params import scope_filter, tags_of
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import Resource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cloud.port import Deletion
    from bacalhau_spot.cloud.session import Session

# Only these replace a terminated instance; an instant fleet and a one-time request launch once (EC2 user guide, "EC2
# Fleet request types", "Spot Instance request types").
_MAINTAIN, _PERSISTENT = "maintain", "persistent"

_FLEETS = Ec2Listing(
    ResourceKind.FLEET,
    "describe_fleets",
    "Fleets",
    "FleetId",
    state=lambda row: str(row.get("FleetState", "")),
    gone=frozenset({"deleted", "deleted_running", "deleted_terminating", "failed"}),
    parent=True,
    more=lambda row: {
        "children": tuple(
            instance_id
            for group in row.get("Instances") or ()
            for instance_id in group.get("InstanceIds", ())
        ),
        "relaunches": row.get("Type", _MAINTAIN) == _MAINTAIN,
    },
)


async def find_fleets(request: FindRequest) -> list[Resource]:
    """AWS lists fleets without a tag filter, and instant ones only by id (EC2 API reference, DescribeFleets).

    With ids, only those: another one is in the tag index when it has caught up, which a later scan reads.
    """
    if request.ids:
        rows = await _fleets_by_id(request, request.ids)
    else:
        rows = await request.session.pages("ec2", request.region, "describe_fleets", "Fleets")
    return await _with_members(request, _FLEETS.resources(rows, request), "aws:ec2:fleet-id")


async def _with_members(request: FindRequest, fleets: list[Resource], tag: str) -> list[Resource]:
    """AWS lists the instances of instant fleets only, but tags those of all (EC2 user guide, "Tag an EC2 Fleet")."""
    ids = [resource.id for resource in fleets if not resource.children]
    if not ids:
        return fleets
    members: dict[str, list[str]] = {}
    for row in await _instances(request, [{"Name": f"tag:{tag}", "Values": ids}]):
        members.setdefault(tags_of(row).get(tag, ""), []).append(row["InstanceId"])
    return [
        replace(resource, children=resource.children or tuple(members.get(resource.id, ())))
        for resource in fleets
    ]


async def _fleets_by_id(request: FindRequest, ids: Sequence[str]) -> list[Row]:
    if not ids:
        return []
    try:
        return await request.session.pages(
            "ec2", request.region, "describe_fleets", "Fleets", FleetIds=list(ids)
        )
    except CloudError as error:
        if not is_gone_error(error):
            raise
    if len(ids) == 1:
        return []
    # One unknown id fails the whole call: query each separately.
    return [row for resource_id in ids for row in await _fleets_by_id(request, [resource_id])]


_SPOT_FLEETS = Ec2Listing(
    ResourceKind.SPOT_FLEET,
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


async def find_spot_fleets(request: FindRequest) -> list[Resource]:
    """The call has no filters (EC2 API reference, DescribeSpotFleetRequests)."""
    rows = await request.session.pages("ec2", request.region, _SPOT_FLEETS.operation, _SPOT_FLEETS.key)
    return await _with_members(request, _SPOT_FLEETS.resources(rows, request), "aws:ec2spot:fleet-request-id")


async def find_groups(request: FindRequest) -> list[Resource]:
    """Auto Scaling groups; their instances have the tags only if the group propagates them."""
    scope = request.scope
    only = (
        {"Name": f"tag:{scope.key}", "Values": [scope.value]}
        if scope.one_cluster
        else {"Name": "tag-key", "Values": [scope.key]}
    )
    reply = await request.session.all_pages(
        "autoscaling", request.region, "describe_auto_scaling_groups", Filters=[only]
    )
    return [
        _group(row, request.region)
        for row in reply.get("AutoScalingGroups", ())
        if scope.matches(tags_of(row))
    ]


def _group(row: Row, region: str) -> Resource:
    protection = str(row.get("DeletionProtection") or "none")
    return Resource(
        kind=ResourceKind.SCALING_GROUP.value,
        id=row["AutoScalingGroupName"],
        region=region,
        state=str(row.get("Status") or ""),
        tags=tags_of(row),
        created_at=row.get("CreatedTime"),
        children=tuple(instance["InstanceId"] for instance in row.get("Instances") or ()),
        relaunches=True,
        protection="" if protection == "none" else "deletion protection",
    )


async def delete_groups(session: Session, region: str, resources: Sequence[Resource]) -> Deletion:
    replies = [
        await session.call(
            "autoscaling",
            region,
            "delete_auto_scaling_group",
            AutoScalingGroupName=resource.id,
            ForceDelete=True,
        )
        for resource in resources
    ]
    return deletion(*replies)


async def unprotect_group(session: Session, region: str, resource: Resource) -> None:
    await session.call(
        "autoscaling",
        region,
        "update_auto_scaling_group",
        AutoScalingGroupName=resource.id,
        DeletionProtection="none",
    )


_REQUESTS = Ec2Listing(
    ResourceKind.SPOT_REQUEST,
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
    ResourceKind.INSTANCE,
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


async def find_instances(request: FindRequest) -> list[Resource]:
    """Instances with the tag, and those in `ids`, tagged or not: launched by managed fleets, groups and spot requests."""
    rows = await _instances(request, scope_filter(request.scope))
    rows = [row for row in rows if request.scope.matches(_INSTANCES.tags(row))]
    listed = {row["InstanceId"] for row in rows}
    if children := [resource_id for resource_id in request.ids if resource_id not in listed]:
        # A filter ignores unknown ids.
        rows += await _instances(request, [{"Name": "instance-id", "Values": children}])
    return [await _instance(request, row) for row in rows if _INSTANCES.state(row) not in _INSTANCES.gone]


async def _instances(request: FindRequest, filters: list[dict[str, Any]]) -> list[Row]:
    groups = await request.session.pages(
        "ec2", request.region, "describe_instances", "Reservations", Filters=filters
    )
    return [row for group in groups for row in group["Instances"]]


async def _instance(request: FindRequest, row: Row) -> Resource:
    resource = _INSTANCES.resource(row, request.region)
    # Spot instances have neither protection (EC2 user guide, as below).
    if row.get("InstanceLifecycle") == "spot" or resource.state == "shutting-down":
        return resource
    protections = []
    for name, key in _PROTECTIONS.items():
        try:
            reply = await request.session.call(
                "ec2",
                request.region,
                "describe_instance_attribute",
                InstanceId=resource.id,
                Attribute=key[0].lower() + key[1:],
            )
        except CloudError as error:
            # The documented policy does not allow this call for an instance without the tag: a protection is reported
            # when the deletion fails.
            unknown = error.code in DENIED and not request.scope.matches(resource.tags)
            if not is_gone_error(error) and not unknown:
                raise
            return resource
        if reply.get(key, {}).get("Value", False):
            protections.append(name)
    return replace(resource, protection=" and ".join(protections))


# Either blocks the termination of an instance (EC2 user guide, "Change instance termination protection", "Enable stop
# protection"): the name in the report, and the attribute; one call changes one attribute.
_PROTECTIONS = {"termination protection": "DisableApiTermination", "stop protection": "DisableApiStop"}


async def unprotect_instance(session: Session, region: str, resource: Resource) -> None:
    for name, key in _PROTECTIONS.items():
        if name in resource.protection:
            await session.call(
                "ec2", region, "modify_instance_attribute", InstanceId=resource.id, **{key: {"Value": False}}
            )


HANDLERS: dict[ResourceKind, Handler] = {
    ResourceKind.SCALING_GROUP: Handler(find=find_groups, delete=delete_groups, unprotect=unprotect_group),
    # An instant fleet can only be deleted together with its instances (EC2 API reference, DeleteFleets).
    ResourceKind.FLEET: ec2(
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
    ResourceKind.SPOT_FLEET: ec2(
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
    ResourceKind.SPOT_REQUEST: ec2(
        _REQUESTS, Ec2Delete("cancel_spot_instance_requests", "SpotInstanceRequestIds", many=True)
    ),
    ResourceKind.INSTANCE: ec2(
        find_instances,
        Ec2Delete("terminate_instances", "InstanceIds", many=True),
        unprotect=unprotect_instance,
    ),
}
