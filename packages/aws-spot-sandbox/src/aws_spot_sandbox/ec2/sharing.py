"""VPCs of another account whose subnets are shared with this account, and the actions refused to a participant.

Source: VPC user guide, "Share your VPC subnets with other accounts", "Responsibilities and permissions for owners and
participants": a participant launches into the subnets and has its own groups; only the owner can change the VPC,
subnets, route tables, ACLs and gateways.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.region import Args, Region
    from aws_spot_sandbox.http_types import Reply

OWNER = "111111111111"
LISTS = frozenset({"DescribeVpcs", "DescribeSubnets"})
_OWNERS_ONLY = frozenset(
    {
        *("AssociateDhcpOptions", "AssociateRouteTable", "AttachInternetGateway", "AttachVpnGateway"),
        *("CreateNatGateway", "CreateNetworkAcl", "CreateRoute", "CreateRouteTable", "CreateSubnet"),
        *("DeleteNetworkAcl", "DeleteRoute", "DeleteRouteTable", "DeleteSubnet", "DeleteVpc"),
        *("DetachInternetGateway", "ModifySubnetAttribute", "ModifyVpcAttribute", "ReplaceRoute"),
    }
)


def check(region: Region, action: str, args: Args) -> None:
    """Raises AwsError for actions reserved to the owner."""
    shared = region.world.settings.shared_vpcs
    if shared and action in _OWNERS_ONLY and _vpc_of(region, args) in shared:
        raise AwsError("UnauthorizedOperation", "You are not authorized to perform this operation.")


def _vpc_of(region: Region, args: Args) -> str:
    backend: Any = region.backend
    subnets = {subnet.id: subnet.vpc_id for subnet in region.subnets()}
    tables = {route_table.id: route_table.vpc_id for route_table in backend.route_tables.values()}
    acls = {network_acl.id: network_acl.vpc_id for network_acl in backend.network_acls.values()}
    return str(
        args.get("VpcId")
        or subnets.get(args.get("SubnetId"))
        or tables.get(args.get("RouteTableId"))
        or acls.get(args.get("NetworkAclId"))
        or ""
    )


def with_owners(region: Region, reply: Reply) -> Reply:
    """EC2 API reference, Vpc and Subnet, OwnerId."""
    shared = region.world.settings.shared_vpcs
    if not shared:
        return reply
    root = ET.fromstring(reply.body)  # noqa: S314 - our own answer
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    for row in root.iter(f"{space}item"):
        vpc, owner = row.find(f"{space}vpcId"), row.find(f"{space}ownerId")
        if vpc is not None and owner is not None and vpc.text in shared:
            owner.text = OWNER
    body = ET.tostring(root, encoding="UTF-8", xml_declaration=True, default_namespace=space[1:-1] or None)
    return replace(reply, body=bytes(body))
