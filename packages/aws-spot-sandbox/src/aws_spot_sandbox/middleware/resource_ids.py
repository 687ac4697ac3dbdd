"""EC2's ids, names and error codes, as far as read lag needs them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The id prefixes of the resources that an action creates. Its reply has other, older ids, too (a default VPC's).
MAKES: Mapping[str, tuple[str, ...]] = {
    "AllocateAddress": ("eipalloc",),
    "CreateFleet": ("fleet", "i"),
    "CreateInternetGateway": ("igw",),
    "CreateKeyPair": ("key",),
    "CreateLaunchTemplate": ("lt",),
    "CreateNatGateway": ("nat",),
    "CreateNetworkInterface": ("eni",),
    "CreateRouteTable": ("rtb",),
    "CreateSecurityGroup": ("sg",),
    "CreateSnapshot": ("snap",),
    "CreateSubnet": ("subnet",),
    "CreateVolume": ("vol",),
    "CreateVpc": ("vpc",),
    "CreateVpcEndpoint": ("vpce",),
    "ImportKeyPair": ("key",),
    "RequestSpotInstances": ("sir", "i"),
    "RunInstances": ("i", "eni", "vol", "sir"),
}

# The element with an item's own id
OWN_ID: Mapping[str, str] = {
    "DescribeAddresses": "allocationId",
    "DescribeFleetInstances": "instanceId",
    "DescribeFleets": "fleetId",
    "DescribeInstanceStatus": "instanceId",
    "DescribeInstances": "instanceId",
    "DescribeInternetGateways": "internetGatewayId",
    "DescribeKeyPairs": "keyPairId",
    "DescribeLaunchTemplates": "launchTemplateId",
    "DescribeLaunchTemplateVersions": "launchTemplateId",
    "DescribeNatGateways": "natGatewayId",
    "DescribeNetworkInterfaces": "networkInterfaceId",
    "DescribeRouteTables": "routeTableId",
    "DescribeSecurityGroups": "groupId",
    "DescribeSnapshots": "snapshotId",
    "DescribeSpotInstanceRequests": "spotInstanceRequestId",
    "DescribeSubnets": "subnetId",
    "DescribeTags": "resourceId",
    "DescribeVolumes": "volumeId",
    "DescribeVpcEndpoints": "vpcEndpointId",
    "DescribeVpcs": "vpcId",
}

# AWS: EC2 API Reference, "Error codes"
NOT_FOUND: Mapping[str, tuple[str, str]] = {
    "eipalloc": ("InvalidAllocationID.NotFound", "The allocation ID '{}' does not exist"),
    "eni": ("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '{}' does not exist"),
    "fleet": ("InvalidFleetId.NotFound", "The fleet ID '{}' does not exist"),
    "i": ("InvalidInstanceID.NotFound", "The instance ID '{}' does not exist"),
    "igw": ("InvalidInternetGatewayID.NotFound", "The internetGateway ID '{}' does not exist"),
    "key": ("InvalidKeyPair.NotFound", "The key pair '{}' does not exist"),
    "lt": (
        "InvalidLaunchTemplateId.NotFound",
        "The specified launch template, with template ID {}, does not exist.",
    ),
    "nat": ("NatGatewayNotFound", "The Nat Gateway {} was not found"),
    "rtb": ("InvalidRouteTableID.NotFound", "The routeTable ID '{}' does not exist"),
    "sg": ("InvalidGroup.NotFound", "The security group '{}' does not exist"),
    "sir": ("InvalidSpotInstanceRequestID.NotFound", "The spot instance request ID '{}' does not exist"),
    "snap": ("InvalidSnapshot.NotFound", "The snapshot '{}' does not exist."),
    "subnet": ("InvalidSubnetID.NotFound", "The subnet ID '{}' does not exist"),
    "vol": ("InvalidVolume.NotFound", "The volume '{}' does not exist."),
    "vpc": ("InvalidVpcID.NotFound", "The vpc ID '{}' does not exist"),
    "vpce": ("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '{}' does not exist"),
}
NAME_NOT_FOUND = (
    "InvalidLaunchTemplateName.NotFoundException",
    "The specified launch template, with template name {}, does not exist.",
)

_ID = re.compile(rb"\b([a-z]+)-[0-9a-f]{8}[0-9a-f-]*")


def made_by(action: str, body: bytes) -> set[str]:
    """The ids of the resources created, from the reply of a creating action."""
    prefixes = MAKES.get(action, ())
    return {match[0].decode() for match in _ID.finditer(body) if match[1].decode() in prefixes}


def is_id(value: str) -> bool:
    match = _ID.fullmatch(value.encode())
    return match is not None and match[1].decode() in NOT_FOUND


def not_found(names: Sequence[str]) -> tuple[str, str]:
    """Code and message for missing ids. A value in another form is a template name. Only instances are all listed."""
    first = names[0]
    if not is_id(first):
        code, message = NAME_NOT_FOUND
        return code, message.format(first)
    code, message = NOT_FOUND[first.partition("-")[0]]
    instances = [name for name in names if name.startswith("i-")]
    if first in instances and len(instances) > 1:
        return code, f"The instance IDs '{', '.join(instances)}' do not exist"
    return code, message.format(first)
