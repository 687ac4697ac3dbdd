"""The lists of groups and of their instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.autoscaling import model
from aws_spot_sandbox.autoscaling.pages import page
from aws_spot_sandbox.ec2 import filters
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.autoscaling.model import Group, Member
    from aws_spot_sandbox.ec2.region import Answer, Args, Region

ROLE = (
    f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
)
# Parameters that are returned as they were sent.
_SHOWN = (
    "AvailabilityZoneDistribution", "CapacityRebalance", "Context", "DefaultCooldown", "DefaultInstanceWarmup",
    "DeletionProtection", "DesiredCapacityType", "HealthCheckGracePeriod", "HealthCheckType", "InstanceMaintenancePolicy",
    "LaunchTemplate", "MixedInstancesPolicy", "NewInstancesProtectedFromScaleIn", "ServiceLinkedRoleARN",
    "TerminationPolicies",
)  # fmt: skip
LAG = "lag_s"
_FILTERS = ("tag-key", "tag-value", "tag:<key>")


def visible(region: Region, group: Group, args: Args) -> bool:
    """Whether a list has the group already. api.py adds the lag of the list to the parameters."""
    return bool(region.now() >= group.created + args.get(LAG, 0.0))


def describe_groups(region: Region, args: Args) -> Answer:
    names = args.get("AutoScalingGroupNames") or ()
    groups = [
        group
        for name, group in sorted(model.of(region).groups.items())
        if (not names or name in names) and visible(region, group, args)
    ]
    for condition in args.get("Filters") or ():
        name, values = str(condition.get("Name")), list(condition.get("Values") or ())
        if name not in _FILTERS and not name.startswith("tag:"):
            raise model.invalid(
                f"Filter '{name}' is not supported. Supported filters: {', '.join(_FILTERS)}."
            )
        groups = [group for group in groups if filters.tags_pass(name, values, group.plain_tags())]
    shown, token = page(groups, args)
    members = args.get("IncludeInstances", True)
    return {"AutoScalingGroups": [_group(group, members=members) for group in shown], "NextToken": token}


def _group(group: Group, *, members: bool) -> dict[str, Any]:
    instances = [_instance(member) for member in group.members.values()] if members else []
    return {
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        **{key: group.config.get(key) for key in _SHOWN},
        "ServiceLinkedRoleARN": group.config.get("ServiceLinkedRoleARN") or ROLE,
        "MinSize": group.minimum,
        "MaxSize": group.maximum,
        "DesiredCapacity": group.desired,
        "AvailabilityZones": group.config["zones"],
        "LoadBalancerNames": [],
        "TargetGroupARNs": [],
        "TrafficSources": [],
        "Instances": instances,
        "CreatedTime": group.created,
        "SuspendedProcesses": [
            {"ProcessName": name, "SuspensionReason": reason} for name, reason in group.suspended.items()
        ],
        "VPCZoneIdentifier": group.config.get("VPCZoneIdentifier") or "",
        "EnabledMetrics": [],
        "Status": group.status or None,
        "Tags": tag_rows(group),
    }


def tag_rows(group: Group) -> list[dict[str, Any]]:
    return [
        {
            "ResourceId": group.name,
            "ResourceType": "auto-scaling-group",
            "Key": key,
            "Value": value,
            "PropagateAtLaunch": propagated,
        }
        for key, (value, propagated) in sorted(group.tags.items())
    ]


def _instance(member: Member) -> dict[str, Any]:
    return {
        "InstanceId": member.id,
        "InstanceType": member.machine.type,
        "AvailabilityZone": member.machine.zone,
        "LifecycleState": member.state,
        "HealthStatus": member.health,
        "LaunchTemplate": member.template or None,
        "ProtectedFromScaleIn": member.protected,
        "WeightedCapacity": str(member.weight) if member.weighted else None,
    }


def describe_instances(region: Region, args: Args) -> Answer:
    """All instances of all groups; unknown ids are ignored. The health status is in capitals."""
    ids = args.get("InstanceIds") or ()
    rows = [
        {**_instance(member), "AutoScalingGroupName": group.name, "HealthStatus": member.health.upper()}
        for _, group in sorted(model.of(region).groups.items())
        if visible(region, group, args)
        for member in group.members.values()
        if not ids or member.id in ids
    ]
    shown, token = page(rows, args, most=50)
    return {"AutoScalingInstances": shown, "NextToken": token}
