"""Whether an EC2 resource exists, tagged or not, from the list call for its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cleanup.handler import is_gone_error
from bacalhau_spot.cloud.cloud_error import CloudError

if TYPE_CHECKING:
    from bacalhau_spot.cloud.session import Session

# Prefix of an id -> the describe call and its parameter (EC2 API reference, "Resource IDs").
_LISTS = {
    "i": ("describe_instances", "InstanceIds"),
    "vol": ("describe_volumes", "VolumeIds"),
    "eni": ("describe_network_interfaces", "NetworkInterfaceIds"),
    "eipalloc": ("describe_addresses", "AllocationIds"),
    "vpc": ("describe_vpcs", "VpcIds"),
    "subnet": ("describe_subnets", "SubnetIds"),
    "sg": ("describe_security_groups", "GroupIds"),
    "igw": ("describe_internet_gateways", "InternetGatewayIds"),
    "eigw": ("describe_egress_only_internet_gateways", "EgressOnlyInternetGatewayIds"),
    "nat": ("describe_nat_gateways", "NatGatewayIds"),
    "rtb": ("describe_route_tables", "RouteTableIds"),
    "acl": ("describe_network_acls", "NetworkAclIds"),
    "vpce": ("describe_vpc_endpoints", "VpcEndpointIds"),
    "eice": ("describe_instance_connect_endpoints", "InstanceConnectEndpointIds"),
    "pcx": ("describe_vpc_peering_connections", "VpcPeeringConnectionIds"),
    "dopt": ("describe_dhcp_options", "DhcpOptionsIds"),
    "fl": ("describe_flow_logs", "FlowLogIds"),
    "lt": ("describe_launch_templates", "LaunchTemplateIds"),
    "fleet": ("describe_fleets", "FleetIds"),
    "sfr": ("describe_spot_fleet_requests", "SpotFleetRequestIds"),
    "sir": ("describe_spot_instance_requests", "SpotInstanceRequestIds"),
    "ami": ("describe_images", "ImageIds"),
    "snap": ("describe_snapshots", "SnapshotIds"),
    "key": ("describe_key_pairs", "KeyPairIds"),
    "pg": ("describe_placement_groups", "GroupIds"),
    "cr": ("describe_capacity_reservations", "CapacityReservationIds"),
}
_MALFORMED = (".Malformed", "InvalidID", "InvalidParameterValue")


async def exists(session: Session, region: str, resource_id: str) -> bool:
    """False also for a text that is not an EC2 id. Raises CloudError if AWS returns another error."""
    kind = resource_id.partition("-")[0]
    if kind not in _LISTS:
        return False
    operation, parameter = _LISTS[kind]
    try:
        reply = await session.call("ec2", region, operation, **{parameter: [resource_id]})
    except CloudError as error:
        if is_gone_error(error) or error.code.endswith(_MALFORMED):
            return False
        raise
    return any(rows for key, rows in reply.items() if isinstance(rows, list) and key != "Errors")
