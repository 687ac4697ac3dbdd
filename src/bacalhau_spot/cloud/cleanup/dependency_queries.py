"""EC2's list calls for dependencies: for each resource type, the lists that may contain them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bacalhau_spot.core.kinds import ResourceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bacalhau_spot.cloud.cleanup.handler import Row


@dataclass(frozen=True, slots=True)
class DependencyQuery:
    """A list call of EC2, filtered by the blocked resource.

    `fix_command`: an AWS CLI command with the placeholders {id} of the dependency, {value} of the filter, and {region}.
    `filter` is empty if EC2 has none; `belongs` then selects the rows. `by_handle`: filter by name.
    """

    kind: str
    operation: str
    key: str
    id_key: str
    filter: str
    fix_command: str
    filters: str = "Filters"
    counts: Callable[[Row], bool] = lambda _row: True
    belongs: Callable[[Row, str], bool] = lambda _row, _value: True
    by_handle: bool = False
    also: Mapping[str, Any] = field(default_factory=dict)


def _own(row: Row) -> bool:
    """False for AWS's own resources, which are created and deleted with the VPC."""
    main = any(association.get("Main") for association in row.get("Associations") or ())
    return not (row.get("GroupName") == "default" or row.get("IsDefault") or main)


def _not_ended(row: Row) -> bool:
    return str(row.get("State", "")).lower() not in {"deleted", "delete-complete", "rejected", "failed"}


def interfaces(by: str, counts: Callable[[Row], bool] = lambda _row: True) -> DependencyQuery:
    return DependencyQuery(
        ResourceKind.INTERFACE,
        "describe_network_interfaces",
        "NetworkInterfaces",
        "NetworkInterfaceId",
        by,
        "ec2 delete-network-interface --network-interface-id {id}",
        counts=counts,
    )


def _nats(by: str) -> DependencyQuery:
    return DependencyQuery(
        ResourceKind.NAT_GATEWAY,
        "describe_nat_gateways",
        "NatGateways",
        "NatGatewayId",
        by,
        "ec2 delete-nat-gateway --nat-gateway-id {id}",
        filters="Filter",
        counts=_not_ended,
    )


def _connect(by: str) -> DependencyQuery:
    return DependencyQuery(
        ResourceKind.CONNECT_ENDPOINT,
        "describe_instance_connect_endpoints",
        "InstanceConnectEndpoints",
        "InstanceConnectEndpointId",
        by,
        "ec2 delete-instance-connect-endpoint --instance-connect-endpoint-id {id}",
        counts=_not_ended,
    )


def _peerings(by: str) -> DependencyQuery:
    return DependencyQuery(
        ResourceKind.PEERING,
        "describe_vpc_peering_connections",
        "VpcPeeringConnections",
        "VpcPeeringConnectionId",
        by,
        "ec2 delete-vpc-peering-connection --vpc-peering-connection-id {id}",
        counts=lambda row: row.get("Status", {}).get("Code") in {"active", "pending-acceptance"},
    )


def _endpoints(by: str, belongs: Callable[[Row, str], bool] = lambda _row, _value: True) -> DependencyQuery:
    return DependencyQuery(
        ResourceKind.ENDPOINT,
        "describe_vpc_endpoints",
        "VpcEndpoints",
        "VpcEndpointId",
        by,
        "ec2 delete-vpc-endpoints --vpc-endpoint-ids {id}",
        counts=_not_ended,
        belongs=belongs,
    )


_IN_A_VPC = (
    interfaces("vpc-id"),
    _nats("vpc-id"),
    _peerings("requester-vpc-info.vpc-id"),
    _peerings("accepter-vpc-info.vpc-id"),
    _endpoints("vpc-id"),
    _connect("vpc-id"),
    DependencyQuery(
        ResourceKind.SUBNET,
        "describe_subnets",
        "Subnets",
        "SubnetId",
        "vpc-id",
        "ec2 delete-subnet --subnet-id {id}",
    ),
    DependencyQuery(
        ResourceKind.GROUP,
        "describe_security_groups",
        "SecurityGroups",
        "GroupId",
        "vpc-id",
        "ec2 delete-security-group --group-id {id}",
        counts=_own,
    ),
    DependencyQuery(
        ResourceKind.ROUTE_TABLE,
        "describe_route_tables",
        "RouteTables",
        "RouteTableId",
        "vpc-id",
        "ec2 delete-route-table --route-table-id {id}",
        counts=_own,
    ),
    DependencyQuery(
        ResourceKind.ACL,
        "describe_network_acls",
        "NetworkAcls",
        "NetworkAclId",
        "vpc-id",
        "ec2 delete-network-acl --network-acl-id {id}",
        counts=_own,
    ),
    DependencyQuery(
        ResourceKind.GATEWAY,
        "describe_internet_gateways",
        "InternetGateways",
        "InternetGatewayId",
        "attachment.vpc-id",
        "ec2 detach-internet-gateway --internet-gateway-id {id} --vpc-id {value}",
    ),
    DependencyQuery(
        ResourceKind.EGRESS_GATEWAY,
        "describe_egress_only_internet_gateways",
        "EgressOnlyInternetGateways",
        "EgressOnlyInternetGatewayId",
        "",
        "ec2 delete-egress-only-internet-gateway --egress-only-internet-gateway-id {id}",
        belongs=lambda row, vpc: any(
            attachment.get("VpcId") == vpc for attachment in row.get("Attachments") or ()
        ),
    ),
    DependencyQuery(
        "vpn-gateway",
        "describe_vpn_gateways",
        "VpnGateways",
        "VpnGatewayId",
        "attachment.vpc-id",
        "ec2 detach-vpn-gateway --vpn-gateway-id {id} --vpc-id {value}",
        belongs=lambda row, vpc: any(
            attachment.get("VpcId") == vpc and attachment.get("State") != "detached"
            for attachment in row.get("VpcAttachments") or ()
        ),
    ),
    DependencyQuery(
        "transit-gateway-attachment",
        "describe_transit_gateway_vpc_attachments",
        "TransitGatewayVpcAttachments",
        "TransitGatewayAttachmentId",
        "vpc-id",
        "ec2 delete-transit-gateway-vpc-attachment --transit-gateway-attachment-id {id}",
        counts=_not_ended,
    ),
)

DEPENDENCY_QUERIES: dict[ResourceKind, tuple[DependencyQuery, ...]] = {
    ResourceKind.VPC: _IN_A_VPC,
    ResourceKind.SUBNET: (interfaces("subnet-id"), _nats("subnet-id"), _connect("subnet-id")),
    ResourceKind.GROUP: (interfaces("group-id"),),
    # A gateway endpoint has routes in it.
    ResourceKind.ROUTE_TABLE: (
        _endpoints("", belongs=lambda row, table: table in (row.get("RouteTableIds") or ())),
    ),
    ResourceKind.DHCP_OPTIONS: (
        DependencyQuery(
            ResourceKind.VPC,
            "describe_vpcs",
            "Vpcs",
            "VpcId",
            "dhcp-options-id",
            "ec2 associate-dhcp-options --dhcp-options-id default --vpc-id {id}",
        ),
    ),
    ResourceKind.SNAPSHOT: (
        DependencyQuery(
            ResourceKind.IMAGE,
            "describe_images",
            "Images",
            "ImageId",
            "block-device-mapping.snapshot-id",
            "ec2 deregister-image --image-id {id}",
            also={"Owners": ["self"]},
        ),
    ),
}
