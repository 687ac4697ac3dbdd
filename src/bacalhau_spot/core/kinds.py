"""The kinds of resources, in the words of AWS's ARNs."""

from __future__ import annotations

from enum import StrEnum

# Where the kinds live that are the same in all regions.
GLOBAL = "global"


class ResourceKind(StrEnum):
    """A resource type, in the words of EC2's tag specifications and of AWS's ARNs."""

    SCALING_GROUP = "auto-scaling-group"
    FLEET = "fleet"
    SPOT_FLEET = "spot-fleet-request"
    SPOT_REQUEST = "spot-instances-request"
    INSTANCE = "instance"
    VOLUME = "volume"
    IMAGE = "image"
    SNAPSHOT = "snapshot"
    KEY_PAIR = "key-pair"
    TEMPLATE = "launch-template"
    PLACEMENT_GROUP = "placement-group"
    RESERVATION = "capacity-reservation"
    FLOW_LOG = "vpc-flow-log"
    NAT_GATEWAY = "natgateway"
    ENDPOINT = "vpc-endpoint"
    CONNECT_ENDPOINT = "instance-connect-endpoint"
    PEERING = "vpc-peering-connection"
    INTERFACE = "network-interface"
    ADDRESS = "elastic-ip"
    GATEWAY = "internet-gateway"
    EGRESS_GATEWAY = "egress-only-internet-gateway"
    GROUP = "security-group"
    SUBNET = "subnet"
    ROUTE_TABLE = "route-table"
    ACL = "network-acl"
    VPC = "vpc"
    DHCP_OPTIONS = "dhcp-options"
    PARAMETER = "parameter"
    SECRET = "secret"  # noqa: S105 - a kind of resource
    RULE = "rule"
    ALARM = "alarm"
    QUEUE = "queue"
    TOPIC = "topic"
    BUCKET = "bucket"
    LOG_GROUP = "log-group"
    PROFILE = "instance-profile"
    ROLE = "role"
    POLICY = "policy"


# Prefixes of EC2's ids (EC2 API reference, "Resource IDs"), of the kinds that can depend on each other.
_PREFIXES = {
    "i": ResourceKind.INSTANCE,
    "eni": ResourceKind.INTERFACE,
    "nat": ResourceKind.NAT_GATEWAY,
    "subnet": ResourceKind.SUBNET,
    "vpc": ResourceKind.VPC,
    "sg": ResourceKind.GROUP,
    "vpce": ResourceKind.ENDPOINT,
    "eice": ResourceKind.CONNECT_ENDPOINT,
}


def kind_of_id(resource_id: str) -> str:
    """The kind of a resource id; the prefix for an unknown kind."""
    prefix = resource_id.partition("-")[0]
    return _PREFIXES[prefix].value if prefix in _PREFIXES else prefix
