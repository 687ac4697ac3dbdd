"""How to list and how to delete each kind of resource: one row per kind.

A listing filters by tag at AWS and again here, on the live resource: EC2's filters have wildcards and their index lags.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.port import CloudError, TaggedId
from bacalhau_spot.cloud.shapes import escape, tag_filter, tags_of
from bacalhau_spot.core.model import Resource
from bacalhau_spot.core.tags import NAME_KEY, ours
from bacalhau_spot.core.teardown import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bacalhau_spot.cloud.session import Session

Row = dict[str, Any]
Delete = Callable[["Session", str, "Sequence[Resource]"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Listing:
    """How EC2 lists a kind. `gone`: states in which a resource no longer counts, though EC2 still shows it."""

    operation: str
    key: str
    id_key: str
    delete: Delete
    state: Callable[[Row], str] = lambda row: str(row.get("State", ""))
    attached_to: Callable[[Row], tuple[str, ...]] = lambda _row: ()
    created_at: Callable[[Row], datetime | None] = lambda row: row.get("CreateTime")
    tags_key: str = "Tags"
    gone: frozenset[str] = field(default_factory=frozenset)
    # The parameter that takes ids, for kinds that EC2 lists by id only and does not filter by tag.
    only_by: str | None = None


# Tag specifications say `spot-instances-request`; ARNs, and tag indexes made from them, say it in the singular.
_SPELLINGS = {"spot-instance-request": Kind.SPOT_REQUEST.value}


class AwsCleaning:
    """`port.Cleaning` over boto3."""

    _session: Session

    async def tagged(self, region: str, *, key: str, value: str) -> tuple[TaggedId, ...]:
        rows = await self._session.pages(
            "ec2",
            region,
            "describe_tags",
            "Tags",
            Filters=[{"Name": "key", "Values": [escape(key)]}, {"Name": "value", "Values": [escape(value)]}],
        )
        return tuple(
            TaggedId(kind=_SPELLINGS.get(row["ResourceType"], row["ResourceType"]), id=row["ResourceId"])
            for row in rows
            if row["Key"] == key and row["Value"] == value
        )

    async def find(
        self, region: str, kind: Kind, *, key: str, value: str, ids: Sequence[str] = ()
    ) -> tuple[Resource, ...]:
        listing = LISTINGS[kind]
        if listing.only_by is None:
            rows = await self._session.pages(
                "ec2", region, listing.operation, listing.key, Filters=tag_filter(key, value)
            )
        else:
            rows = await self._by_id(region, listing, ids)
        if kind is Kind.INSTANCE:
            rows = [row for reservation in rows for row in reservation["Instances"]]
        resources = [_resource(kind, listing, row, region) for row in rows]
        return tuple(
            resource
            for resource in resources
            if ours(resource.tags, key=key, value=value) and resource.state not in listing.gone
        )

    async def delete(self, region: str, kind: Kind, resources: Sequence[Resource]) -> None:
        try:
            await LISTINGS[kind].delete(self._session, region, resources)
        except CloudError as error:
            if not _gone_already(error):
                raise

    async def _by_id(self, region: str, listing: Listing, ids: Sequence[str]) -> list[Row]:
        if not ids or listing.only_by is None:
            return []
        try:
            return await self._session.pages(
                "ec2", region, listing.operation, listing.key, **{listing.only_by: list(ids)}
            )
        except CloudError as error:
            if not _gone_already(error):
                raise
        if len(ids) == 1:
            return []
        # One unknown id fails the whole call: ask for each alone.
        return [row for one in ids for row in await self._by_id(region, listing, [one])]


def _gone_already(error: CloudError) -> bool:
    return error.code.endswith((".NotFound", ".NotFoundException", "NotFound"))


def _resource(kind: Kind, listing: Listing, row: Row, region: str) -> Resource:
    tags = tags_of({"Tags": row.get(listing.tags_key, ())})
    return Resource(
        kind=kind.value,
        id=row[listing.id_key],
        region=region,
        name=tags.get(NAME_KEY, ""),
        state=listing.state(row),
        tags=tags,
        created_at=listing.created_at(row),
        attached_to=listing.attached_to(row),
    )


def _each(operation: str, parameter: str) -> Delete:
    async def delete(session: Session, region: str, resources: Sequence[Resource]) -> None:
        for resource in resources:
            await session.call("ec2", region, operation, **{parameter: resource.id})

    return delete


def _all(operation: str, parameter: str) -> Delete:
    async def delete(session: Session, region: str, resources: Sequence[Resource]) -> None:
        await session.call("ec2", region, operation, **{parameter: [resource.id for resource in resources]})

    return delete


async def _delete_fleets(session: Session, region: str, resources: Sequence[Resource]) -> None:
    # An instant fleet can only be deleted together with its instances (EC2 API reference, DeleteFleets).
    ids = [resource.id for resource in resources]
    reply = await session.call("ec2", region, "delete_fleets", FleetIds=ids, TerminateInstances=True)
    for row in reply.get("UnsuccessfulFleetDeletions", ()):
        error = row.get("Error", {})
        if error.get("Code") != "fleetIdDoesNotExist":
            raise CloudError(
                str(error.get("Code", "Unknown")),
                str(error.get("Message", "")),
                operation="DeleteFleets",
                region=region,
            )


async def _delete_gateways(session: Session, region: str, resources: Sequence[Resource]) -> None:
    for resource in resources:
        for vpc_id in resource.attached_to:
            await session.call(
                "ec2", region, "detach_internet_gateway", InternetGatewayId=resource.id, VpcId=vpc_id
            )
        await session.call("ec2", region, "delete_internet_gateway", InternetGatewayId=resource.id)


async def _delete_route_tables(session: Session, region: str, resources: Sequence[Resource]) -> None:
    for resource in resources:
        for association_id in resource.attached_to:
            await session.call("ec2", region, "disassociate_route_table", AssociationId=association_id)
        await session.call("ec2", region, "delete_route_table", RouteTableId=resource.id)


def _attached_vpcs(row: Row) -> tuple[str, ...]:
    return tuple(to["VpcId"] for to in row.get("Attachments", ()) if to.get("VpcId"))


def _associations(row: Row) -> tuple[str, ...]:
    return tuple(to["RouteTableAssociationId"] for to in row.get("Associations", ()) if not to.get("Main"))


LISTINGS: dict[Kind, Listing] = {
    Kind.FLEET: Listing(
        "describe_fleets",
        "Fleets",
        "FleetId",
        _delete_fleets,
        state=lambda row: str(row.get("FleetState", "")),
        gone=frozenset({"deleted", "deleted_running", "deleted_terminating", "failed"}),
        only_by="FleetIds",
    ),
    Kind.SPOT_REQUEST: Listing(
        "describe_spot_instance_requests",
        "SpotInstanceRequests",
        "SpotInstanceRequestId",
        _all("cancel_spot_instance_requests", "SpotInstanceRequestIds"),
        gone=frozenset({"closed", "cancelled", "failed"}),
    ),
    Kind.INSTANCE: Listing(
        "describe_instances",
        "Reservations",
        "InstanceId",
        _all("terminate_instances", "InstanceIds"),
        state=lambda row: str(row["State"]["Name"]),
        created_at=lambda row: row.get("LaunchTime"),
        gone=frozenset({"terminated"}),
    ),
    Kind.VOLUME: Listing(
        "describe_volumes",
        "Volumes",
        "VolumeId",
        _each("delete_volume", "VolumeId"),
        gone=frozenset({"deleted"}),
    ),
    Kind.INTERFACE: Listing(
        "describe_network_interfaces",
        "NetworkInterfaces",
        "NetworkInterfaceId",
        _each("delete_network_interface", "NetworkInterfaceId"),
        state=lambda row: str(row.get("Status", "")),
        tags_key="TagSet",
    ),
    Kind.TEMPLATE: Listing(
        "describe_launch_templates",
        "LaunchTemplates",
        "LaunchTemplateId",
        _each("delete_launch_template", "LaunchTemplateId"),
    ),
    Kind.GATEWAY: Listing(
        "describe_internet_gateways",
        "InternetGateways",
        "InternetGatewayId",
        _delete_gateways,
        attached_to=_attached_vpcs,
    ),
    Kind.GROUP: Listing(
        "describe_security_groups", "SecurityGroups", "GroupId", _each("delete_security_group", "GroupId")
    ),
    Kind.SUBNET: Listing("describe_subnets", "Subnets", "SubnetId", _each("delete_subnet", "SubnetId")),
    Kind.ROUTE_TABLE: Listing(
        "describe_route_tables",
        "RouteTables",
        "RouteTableId",
        _delete_route_tables,
        attached_to=_associations,
    ),
    Kind.VPC: Listing("describe_vpcs", "Vpcs", "VpcId", _each("delete_vpc", "VpcId")),
}
