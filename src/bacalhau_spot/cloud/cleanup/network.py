"""VPCs and the resources in them.

Resources that AWS creates with a VPC (default group, default ACL, main route table) are deleted with it, not
separately. Resources that came with the account (the default VPC, its subnets and its gateway) are retained.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.cleanup.handler import (
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
from bacalhau_spot.cloud.port import Deletion
from bacalhau_spot.core.kinds import ResourceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bacalhau_spot.cloud.cleanup.handler import Delete
    from bacalhau_spot.cloud.session import Session
    from bacalhau_spot.core.model import Resource

_DetachCall = tuple[str, dict[str, Any]]

_WITH_ITS_VPC = "AWS created it with its VPC, and deletes it with the VPC"
_OF_THE_ACCOUNT = "it came with the account"
_OF_AWS = "AWS manages it"


def _vpcs_attached(row: Row) -> dict[str, Any]:
    vpcs = tuple(
        attachment["VpcId"] for attachment in row.get("Attachments") or () if attachment.get("VpcId")
    )
    return {"attached_to": vpcs, "used_by": vpcs}


_GATEWAYS = Ec2Listing(
    ResourceKind.GATEWAY,
    "describe_internet_gateways",
    "InternetGateways",
    "InternetGatewayId",
    more=_vpcs_attached,
)


_VPCS = Ec2Listing(
    ResourceKind.VPC,
    "describe_vpcs",
    "Vpcs",
    "VpcId",
    more=lambda row: {"retained": _OF_THE_ACCOUNT if row.get("IsDefault") else ""},
)


async def find_gateways(request: FindRequest) -> list[Resource]:
    resources = await _GATEWAYS(request)
    if not any(resource.attached_to for resource in resources):
        return resources
    default = await _default_vpcs(request)
    return [
        replace(resource, retained=_OF_THE_ACCOUNT)
        if default.intersection(resource.attached_to)
        else resource
        for resource in resources
    ]


async def find_vpcs(request: FindRequest) -> list[Resource]:
    """From the list of all VPCs, which a region has few of: it has the default one for the gateways, too."""
    loop = asyncio.get_running_loop()
    default: asyncio.Future[frozenset[str]] = loop.create_future()
    request.session.default_vpcs[request.region] = default
    try:
        rows = await request.session.pages("ec2", request.region, "describe_vpcs", "Vpcs")
    except BaseException:
        default.cancel()  # whoever waits for it asks AWS
        raise
    default.set_result(frozenset(row["VpcId"] for row in rows if row.get("IsDefault")))
    return _VPCS.resources(rows, request)


async def _default_vpcs(request: FindRequest) -> frozenset[str]:
    """The ids of the region's default VPC, from a list of its VPCs that is under way or was made."""
    known = request.session.default_vpcs.get(request.region)
    if known is not None:
        await asyncio.wait([known])
        if not known.cancelled():
            return known.result()
    await find_vpcs(request)
    return request.session.default_vpcs[request.region].result()


def _tables(row: Row) -> dict[str, Any]:
    associations = [
        association for association in row.get("Associations") or () if not association.get("Main")
    ]
    main = len(associations) != len(row.get("Associations") or ())
    return {
        "attached_to": tuple(association["RouteTableAssociationId"] for association in associations),
        "used_by": tuple(
            association["SubnetId"] for association in associations if association.get("SubnetId")
        ),
        "retained": _WITH_ITS_VPC if main else "",
    }


def _interface(row: Row) -> dict[str, Any]:
    attachment = row.get("Attachment") or {}
    instance = attachment.get("InstanceId")
    # The primary interface of an instance cannot be detached (EC2 API reference, DetachNetworkInterface).
    loose = instance and attachment.get("DeviceIndex") and attachment.get("AttachmentId")
    return {
        "attached_to": (attachment["AttachmentId"],) if loose else (),
        "used_by": (instance,) if instance else (),
        "retained": _OF_AWS if row.get("RequesterManaged") else "",
    }


def _address(row: Row) -> dict[str, Any]:
    user = row.get("InstanceId") or row.get("NetworkInterfaceId")
    return {
        "attached_to": (row["AssociationId"],) if row.get("AssociationId") else (),
        "used_by": (user,) if user and row.get("AssociationId") else (),
    }


_ADDRESSES = Ec2Listing(
    ResourceKind.ADDRESS,
    "describe_addresses",
    "Addresses",
    "AllocationId",
    more=_address,
)


def _let_go_first(delete: Ec2Delete, *, detach_call: Callable[[Resource, str], _DetachCall]) -> Delete:
    """Detach the resource, then delete it. `asked`: the call that removes one attachment."""

    async def act(session: Session, region: str, resources: Sequence[Resource]) -> Deletion:
        replies = []
        for resource in resources:
            for attachment in resource.attached_to:
                operation, arguments = detach_call(resource, attachment)
                try:
                    replies.append(await session.call("ec2", region, operation, **arguments))
                except CloudError as error:
                    # A resource that is already detached is deleted as well.
                    if not is_gone_error(error):
                        raise
        last = await delete(session, region, resources)
        return Deletion((*deletion(*replies).request_ids, *last.request_ids), last.failed)

    return act


_GATEWAY = Ec2Delete("delete_internet_gateway", "InternetGatewayId")
_TABLE = Ec2Delete("delete_route_table", "RouteTableId")
_INTERFACE = Ec2Delete("delete_network_interface", "NetworkInterfaceId")
_ADDRESS = Ec2Delete("release_address", "AllocationId")

HANDLERS: dict[ResourceKind, Handler] = {
    ResourceKind.NAT_GATEWAY: ec2(
        Ec2Listing(
            ResourceKind.NAT_GATEWAY,
            "describe_nat_gateways",
            "NatGateways",
            "NatGatewayId",
            gone=frozenset({"deleted"}),
            filters="Filter",
        ),
        Ec2Delete("delete_nat_gateway", "NatGatewayId"),
    ),
    ResourceKind.ENDPOINT: ec2(
        Ec2Listing(
            ResourceKind.ENDPOINT,
            "describe_vpc_endpoints",
            "VpcEndpoints",
            "VpcEndpointId",
            state=lambda row: str(row.get("State", "")).lower(),
            created_at=lambda row: row.get("CreationTimestamp"),
            more=lambda row: {"retained": _OF_AWS if row.get("RequesterManaged") else ""},
            gone=frozenset({"deleted", "rejected", "failed", "expired"}),
        ),
        Ec2Delete("delete_vpc_endpoints", "VpcEndpointIds", many=True, unsuccessful="Unsuccessful"),
    ),
    ResourceKind.CONNECT_ENDPOINT: ec2(
        Ec2Listing(
            ResourceKind.CONNECT_ENDPOINT,
            "describe_instance_connect_endpoints",
            "InstanceConnectEndpoints",
            "InstanceConnectEndpointId",
            created_at=lambda row: row.get("CreatedAt"),
            gone=frozenset({"delete-complete"}),
        ),
        Ec2Delete("delete_instance_connect_endpoint", "InstanceConnectEndpointId"),
    ),
    ResourceKind.INTERFACE: ec2(
        Ec2Listing(
            ResourceKind.INTERFACE,
            "describe_network_interfaces",
            "NetworkInterfaces",
            "NetworkInterfaceId",
            state=lambda row: str(row.get("Status", "")),
            more=_interface,
            tags_key="TagSet",
        ),
        _INTERFACE,
        act=_let_go_first(
            _INTERFACE,
            detach_call=lambda _resource, to: (
                "detach_network_interface",
                {"AttachmentId": to, "Force": True},
            ),
        ),
    ),
    ResourceKind.ADDRESS: ec2(
        _ADDRESSES,
        _ADDRESS,
        act=_let_go_first(
            _ADDRESS, detach_call=lambda _resource, to: ("disassociate_address", {"AssociationId": to})
        ),
    ),
    ResourceKind.GATEWAY: ec2(
        find_gateways,
        _GATEWAY,
        act=_let_go_first(
            _GATEWAY,
            detach_call=lambda gateway, to: (
                "detach_internet_gateway",
                {"InternetGatewayId": gateway.id, "VpcId": to},
            ),
        ),
    ),
    ResourceKind.EGRESS_GATEWAY: ec2(
        Ec2Listing(
            ResourceKind.EGRESS_GATEWAY,
            "describe_egress_only_internet_gateways",
            "EgressOnlyInternetGateways",
            "EgressOnlyInternetGatewayId",
            more=lambda row: {"used_by": _vpcs_attached(row)["used_by"]},
        ),
        Ec2Delete("delete_egress_only_internet_gateway", "EgressOnlyInternetGatewayId"),
    ),
    ResourceKind.GROUP: ec2(
        Ec2Listing(
            ResourceKind.GROUP,
            "describe_security_groups",
            "SecurityGroups",
            "GroupId",
            more=lambda row: {"retained": _WITH_ITS_VPC if row.get("GroupName") == "default" else ""},
        ),
        Ec2Delete("delete_security_group", "GroupId"),
    ),
    ResourceKind.SUBNET: ec2(
        Ec2Listing(
            ResourceKind.SUBNET,
            "describe_subnets",
            "Subnets",
            "SubnetId",
            more=lambda row: {"retained": _OF_THE_ACCOUNT if row.get("DefaultForAz") else ""},
        ),
        Ec2Delete("delete_subnet", "SubnetId"),
    ),
    ResourceKind.ROUTE_TABLE: ec2(
        Ec2Listing(
            ResourceKind.ROUTE_TABLE, "describe_route_tables", "RouteTables", "RouteTableId", more=_tables
        ),
        _TABLE,
        act=_let_go_first(
            _TABLE, detach_call=lambda _resource, to: ("disassociate_route_table", {"AssociationId": to})
        ),
    ),
    ResourceKind.ACL: ec2(
        Ec2Listing(
            ResourceKind.ACL,
            "describe_network_acls",
            "NetworkAcls",
            "NetworkAclId",
            more=lambda row: {
                "retained": _WITH_ITS_VPC if row.get("IsDefault") else "",
                "used_by": tuple(association["SubnetId"] for association in row.get("Associations") or ()),
            },
        ),
        Ec2Delete("delete_network_acl", "NetworkAclId"),
    ),
    ResourceKind.PEERING: ec2(
        Ec2Listing(
            ResourceKind.PEERING,
            "describe_vpc_peering_connections",
            "VpcPeeringConnections",
            "VpcPeeringConnectionId",
            state=lambda row: str(row.get("Status", {}).get("Code", "")),
            gone=frozenset({"deleted", "rejected", "failed", "expired"}),
        ),
        Ec2Delete("delete_vpc_peering_connection", "VpcPeeringConnectionId"),
    ),
    ResourceKind.DHCP_OPTIONS: ec2(
        Ec2Listing(ResourceKind.DHCP_OPTIONS, "describe_dhcp_options", "DhcpOptions", "DhcpOptionsId"),
        Ec2Delete("delete_dhcp_options", "DhcpOptionsId"),
    ),
    ResourceKind.FLOW_LOG: ec2(
        Ec2Listing(
            ResourceKind.FLOW_LOG,
            "describe_flow_logs",
            "FlowLogs",
            "FlowLogId",
            state=lambda row: str(row.get("FlowLogStatus", "")),
            created_at=lambda row: row.get("CreationTime"),
            filters="Filter",
        ),
        Ec2Delete("delete_flow_logs", "FlowLogIds", many=True, unsuccessful="Unsuccessful"),
    ),
    ResourceKind.VPC: ec2(find_vpcs, Ec2Delete("delete_vpc", "VpcId")),
}
