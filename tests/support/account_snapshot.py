"""Everything that an account shows, in full, by plain boto3: what was not ours must read the same afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# operation, key of the answer, key of the id
EC2 = (
    ("describe_instances", "Reservations", ""),
    ("describe_spot_instance_requests", "SpotInstanceRequests", "SpotInstanceRequestId"),
    ("describe_fleets", "Fleets", "FleetId"),
    ("describe_spot_fleet_requests", "SpotFleetRequestConfigs", "SpotFleetRequestId"),
    ("describe_volumes", "Volumes", "VolumeId"),
    ("describe_key_pairs", "KeyPairs", "KeyPairId"),
    ("describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    ("describe_placement_groups", "PlacementGroups", "GroupId"),
    ("describe_capacity_reservations", "CapacityReservations", "CapacityReservationId"),
    ("describe_flow_logs", "FlowLogs", "FlowLogId"),
    ("describe_nat_gateways", "NatGateways", "NatGatewayId"),
    ("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    ("describe_instance_connect_endpoints", "InstanceConnectEndpoints", "InstanceConnectEndpointId"),
    ("describe_vpc_peering_connections", "VpcPeeringConnections", "VpcPeeringConnectionId"),
    ("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
    ("describe_addresses", "Addresses", "AllocationId"),
    ("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    (
        "describe_egress_only_internet_gateways",
        "EgressOnlyInternetGateways",
        "EgressOnlyInternetGatewayId",
    ),
    ("describe_security_groups", "SecurityGroups", "GroupId"),
    ("describe_subnets", "Subnets", "SubnetId"),
    ("describe_route_tables", "RouteTables", "RouteTableId"),
    ("describe_network_acls", "NetworkAcls", "NetworkAclId"),
    ("describe_vpcs", "Vpcs", "VpcId"),
    ("describe_dhcp_options", "DhcpOptions", "DhcpOptionsId"),
    ("describe_vpn_gateways", "VpnGateways", "VpnGatewayId"),
    ("describe_customer_gateways", "CustomerGateways", "CustomerGatewayId"),
)
OURS_ALONE = (
    ("describe_images", "Images", "ImageId", {"Owners": ["self"]}),
    ("describe_snapshots", "Snapshots", "SnapshotId", {"OwnerIds": ["self"]}),
)
_DELETED_STATES = {
    "terminated",
    "cancelled",
    "closed",
    "failed",
    "deleted",
    "cancelled_terminating",
    "deleted_terminating",
}


def account_snapshot(client: Callable[..., Any], regions: Sequence[str]) -> dict[str, str]:
    """What and where -> its whole description, of all that has not ended."""
    return {
        key: json.dumps(row, sort_keys=True, default=str)
        for region in regions
        for key, row in _region(client, region)
    } | {key: json.dumps(row, sort_keys=True, default=str) for key, row in _iam(client("iam", "us-east-1"))}


def _region(client: Callable[..., Any], region: str) -> Iterator[tuple[str, Any]]:
    ec2 = client("ec2", region)
    for operation, key, id_key in EC2:
        for row in _rows(ec2, operation, key):
            yield from _entries(f"{region} {key}", row, id_key)
    for operation, key, id_key, only in OURS_ALONE:
        for row in _rows(ec2, operation, key, **only):
            yield from _entries(f"{region} {key}", row, id_key)
    yield from _services(client, region)


def _rows(ec2: Any, operation: str, key: str, **only: Any) -> list[Any]:
    rows = _all(ec2, operation, key, **only)
    return [instance for row in rows for instance in row["Instances"]] if key == "Reservations" else rows


def _all(client: Any, operation: str, key: str, **only: Any) -> list[Any]:
    """Of all pages."""
    if client.can_paginate(operation):
        reply = client.get_paginator(operation).paginate(**only).build_full_result()
    else:
        reply = getattr(client, operation)(**only)
    rows: list[Any] = reply.get(key, [])
    return rows


def _entries(prefix: str, row: Any, id_key: str) -> Iterator[tuple[str, Any]]:
    states = [row.get(name) for name in ("State", "Status", "FleetState", "SpotFleetRequestState")]
    texts = {
        state if isinstance(state, str) else (state or {}).get("Name") or (state or {}).get("Code")
        for state in states
    }
    if not texts & _DELETED_STATES:
        yield f"{prefix} {row[id_key or 'InstanceId']}", row


def _services(client: Callable[..., Any], region: str) -> Iterator[tuple[str, Any]]:
    for row in _all(client("autoscaling", region), "describe_auto_scaling_groups", "AutoScalingGroups"):
        yield f"{region} group {row['AutoScalingGroupName']}", row
    ssm = client("ssm", region)
    for row in _all(ssm, "describe_parameters", "Parameters"):
        tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=row["Name"])["TagList"]
        value = ssm.get_parameter(Name=row["Name"])["Parameter"]["Value"]
        yield f"{region} parameter {row['Name']}", [row, tags, value]
    for row in _all(client("secretsmanager", region), "list_secrets", "SecretList"):
        yield f"{region} secret {row['Name']}", row
    events = client("events", region)
    for row in _all(events, "list_rules", "Rules"):
        targets = events.list_targets_by_rule(Rule=row["Name"])["Targets"]
        yield f"{region} rule {row['Name']}", [row, targets]
    for row in _all(client("cloudwatch", region), "describe_alarms", "MetricAlarms"):
        yield f"{region} alarm {row['AlarmName']}", row
    sqs = client("sqs", region)
    for url in _all(sqs, "list_queues", "QueueUrls"):
        yield f"{region} queue {url}", sqs.list_queue_tags(QueueUrl=url).get("Tags")
    for row in _all(client("sns", region), "list_topics", "Topics"):
        yield f"{region} topic {row['TopicArn']}", row
    for row in _all(client("logs", region), "describe_log_groups", "logGroups"):
        yield f"{region} log group {row['logGroupName']}", row
    yield from _buckets(client("s3", region), region)


def _buckets(s3: Any, region: str) -> Iterator[tuple[str, Any]]:
    for row in s3.list_buckets()["Buckets"]:
        where = s3.get_bucket_location(Bucket=row["Name"]).get("LocationConstraint") or "us-east-1"
        if where != region:
            continue
        try:
            tags = s3.get_bucket_tagging(Bucket=row["Name"])["TagSet"]
        except ClientError:
            tags = []
        versions = s3.list_object_versions(Bucket=row["Name"]).get("Versions", [])
        yield (
            f"{region} bucket {row['Name']}",
            [tags, [(version["Key"], version["ETag"]) for version in versions]],
        )


def _iam(iam: Any) -> Iterator[tuple[str, Any]]:
    for row in _all(iam, "list_roles", "Roles"):
        inline = iam.list_role_policies(RoleName=row["RoleName"])["PolicyNames"]
        attached = iam.list_attached_role_policies(RoleName=row["RoleName"])["AttachedPolicies"]
        yield f"role {row['RoleName']}", [iam.get_role(RoleName=row["RoleName"])["Role"], inline, attached]
    for row in _all(iam, "list_instance_profiles", "InstanceProfiles"):
        yield f"profile {row['InstanceProfileName']}", row
    for row in _all(iam, "list_users", "Users"):
        attached = iam.list_attached_user_policies(UserName=row["UserName"])["AttachedPolicies"]
        yield f"user {row['UserName']}", [row, attached]
    for row in _all(iam, "list_policies", "Policies", Scope="Local"):
        yield f"policy {row['PolicyName']}", row
