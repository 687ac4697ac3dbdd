"""Auto Scaling groups over botocore.

AWS: Auto Scaling API reference; user guide, "Auto Scaling groups with multiple instance types and purchase options".
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.aws_errors import split
from bacalhau_spot.cloud.ec2_params import tags_of
from bacalhau_spot.core.scaling_group.groups import (
    EXPIRY_ACTION,
    GroupMember,
    ScalingActivity,
    ScalingGroup,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.cloud.scaling_groups import GroupLaunch
    from bacalhau_spot.cloud.session import Session

# Newest first; as many as one page has (DescribeScalingActivities, MaxRecords).
_LATEST_ACTIVITIES = 100

# AWS returns the reason of a failed launch as text only (Auto Scaling user guide, "Troubleshoot Amazon EC2 Auto Scaling",
# "EC2 instance launch failure"; cortexlabs/cortex#1258; buildkite/elastic-ci-stack-for-aws#851). With a mixed instances
# policy it begins with the code of the fleet.
_CODE = re.compile(r"Could not launch [\w-]+ Instances\.\s+([A-Z][\w.]+)\s+-\s+(.*)", re.DOTALL)
_ENDING = re.compile(r"\s*Launching EC2 instance failed\.?\s*$")
# A part of the text -> the code with which EC2 refuses the same.
_TEXTS = (
    ("do not have sufficient", "InsufficientInstanceCapacity"),
    ("no Spot capacity available", "UnfulfillableCapacity"),
    ("Max spot instance count exceeded", "MaxSpotInstanceCountExceeded"),
    ("more vCPU capacity", "VcpuLimitExceeded"),
    ("price is lower than", "SpotMaxPriceTooLow"),
    ("not authorized", "UnauthorizedOperation"),
)
_NO_CODE = "Unknown"


class AwsScalingGroups:
    """`ScalingGroups` over botocore."""

    _session: Session

    async def scaling_groups(self, region: str, *, key: str, value: str) -> tuple[ScalingGroup, ...]:
        reply = await self._session.all_pages(
            "autoscaling",
            region,
            "describe_auto_scaling_groups",
            Filters=[{"Name": f"tag:{key}", "Values": [value]}],
        )
        rows = (_group(row, region) for row in reply.get("AutoScalingGroups", ()))
        # The filter's treatment of wildcards is not documented: the tags decide.
        found = [group for group in rows if group.tags.get(key) == value]
        return tuple(sorted(found, key=lambda group: group.name))

    async def named_scaling_group(self, region: str, name: str) -> ScalingGroup | None:
        reply = await self._session.call(
            "autoscaling", region, "describe_auto_scaling_groups", AutoScalingGroupNames=[name]
        )
        rows = (_group(row, region) for row in reply.get("AutoScalingGroups", ()))
        return next((group for group in rows if group.name == name), None)

    async def scaling_activities(self, region: str, name: str) -> tuple[ScalingActivity, ...]:
        reply = await self._session.call(
            "autoscaling",
            region,
            "describe_scaling_activities",
            AutoScalingGroupName=name,
            MaxRecords=_LATEST_ACTIVITIES,
        )
        return tuple(_activity(row) for row in reply["Activities"])

    async def create_scaling_group(
        self,
        region: str,
        name: str,
        *,
        launch: GroupLaunch,
        tags: Mapping[str, str],
        instance_tags: Mapping[str, str],
    ) -> None:
        await self._session.call(
            "autoscaling",
            region,
            "create_auto_scaling_group",
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=0,
            DesiredCapacity=0,
            # Before an interruption, where EC2 recommends it. The group may then exceed its maximum by 10 %, at least by
            # one instance (user guide, "Capacity Rebalancing").
            CapacityRebalance=True,
            # As bacalhau-spot removes nodes: the newest have the least work to lose.
            TerminationPolicies=["NewestInstance"],
            Tags=[*_tag_rows(name, tags), *_tag_rows(name, instance_tags, propagate=True)],
            **_launch(launch),
        )

    async def update_scaling_group(
        self, region: str, name: str, *, desired: int, maximum: int, launch: GroupLaunch | None = None
    ) -> None:
        await self._session.call(
            "autoscaling",
            region,
            "update_auto_scaling_group",
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=maximum,
            DesiredCapacity=desired,
            **(_launch(launch) if launch is not None else {}),
        )

    async def tag_scaling_group(
        self, region: str, name: str, *, tags: Mapping[str, str], propagate: bool = False
    ) -> None:
        rows = _tag_rows(name, tags, propagate=propagate)
        await self._session.call("autoscaling", region, "create_or_update_tags", Tags=rows)

    async def scheduled_group_end(self, region: str, name: str) -> datetime | None:
        reply = await self._session.call(
            "autoscaling",
            region,
            "describe_scheduled_actions",
            AutoScalingGroupName=name,
            ScheduledActionNames=[EXPIRY_ACTION],
        )
        times = [row["StartTime"] for row in reply["ScheduledUpdateGroupActions"] if row.get("StartTime")]
        return times[0] if times else None

    async def schedule_group_end(self, region: str, name: str, *, at: datetime) -> None:
        await self._session.call(
            "autoscaling",
            region,
            "put_scheduled_update_group_action",
            AutoScalingGroupName=name,
            ScheduledActionName=EXPIRY_ACTION,
            StartTime=at,
            MinSize=0,
            MaxSize=0,
            DesiredCapacity=0,
        )

    async def unschedule_group_end(self, region: str, name: str) -> None:
        await self._session.call(
            "autoscaling",
            region,
            "delete_scheduled_action",
            AutoScalingGroupName=name,
            ScheduledActionName=EXPIRY_ACTION,
        )

    async def suspend_scaling(self, region: str, name: str, *, process: str) -> None:
        await self._session.call(
            "autoscaling", region, "suspend_processes", AutoScalingGroupName=name, ScalingProcesses=[process]
        )

    async def resume_scaling(self, region: str, name: str, *, process: str) -> None:
        await self._session.call(
            "autoscaling", region, "resume_processes", AutoScalingGroupName=name, ScalingProcesses=[process]
        )

    async def attach_instances(self, region: str, name: str, ids: Sequence[str]) -> None:
        await self._session.call(
            "autoscaling", region, "attach_instances", AutoScalingGroupName=name, InstanceIds=list(ids)
        )

    async def detach_instances(
        self, region: str, name: str, ids: Sequence[str], *, replace: bool = False
    ) -> None:
        await self._session.call(
            "autoscaling",
            region,
            "detach_instances",
            AutoScalingGroupName=name,
            InstanceIds=list(ids),
            ShouldDecrementDesiredCapacity=not replace,
        )

    async def terminate_member(self, region: str, instance_id: str) -> None:
        await self._session.call(
            "autoscaling",
            region,
            "terminate_instance_in_auto_scaling_group",
            InstanceId=instance_id,
            ShouldDecrementDesiredCapacity=True,
        )

    async def report_unhealthy(self, region: str, instance_id: str) -> None:
        await self._session.call(
            "autoscaling",
            region,
            "set_instance_health",
            InstanceId=instance_id,
            HealthStatus="Unhealthy",
            ShouldRespectGracePeriod=False,
        )

    async def delete_scaling_group(self, region: str, name: str) -> None:
        await self._session.call(
            "autoscaling", region, "delete_auto_scaling_group", AutoScalingGroupName=name, ForceDelete=False
        )


def _group(row: dict[str, Any], region: str) -> ScalingGroup:
    return ScalingGroup(
        name=row["AutoScalingGroupName"],
        region=region,
        desired=int(row["DesiredCapacity"]),
        maximum=int(row["MaxSize"]),
        members=tuple(
            GroupMember(
                id=member["InstanceId"],
                type=member.get("InstanceType", ""),
                zone=member.get("AvailabilityZone", ""),
                state=member["LifecycleState"],
                healthy=member.get("HealthStatus", "Healthy") == "Healthy",
            )
            for member in row.get("Instances") or ()
        ),
        zones=tuple(row.get("AvailabilityZones") or ()),
        suspended=frozenset(process["ProcessName"] for process in row.get("SuspendedProcesses") or ()),
        tags=tags_of(row),
        deleting=bool(row.get("Status")),
        propagated=frozenset(tag["Key"] for tag in row.get("Tags") or () if tag.get("PropagateAtLaunch")),
    )


def _activity(row: dict[str, Any]) -> ScalingActivity:
    code, message = _reason(row.get("StatusMessage") or "")
    return ScalingActivity(
        id=row["ActivityId"],
        description=row.get("Description", ""),
        status=row["StatusCode"],
        started_at=row["StartTime"],
        code=code,
        message=message,
        zone=_zone(row.get("Details") or ""),
    )


def _reason(text: str) -> tuple[str, str]:
    """AWS's code and message for a failure; no code for text of an unknown form."""
    text = _ENDING.sub("", text).strip()
    named = _CODE.search(text)
    if named is not None:
        return split(named[1], named[2]), named[2].strip()
    found = next((code for part, code in _TEXTS if part.lower() in text.lower()), _NO_CODE)
    return split(found, text), text


def _zone(details: str) -> str:
    """AWS returns the zone only in this text: `{"Subnet ID":"subnet-1","Availability Zone":"us-east-1a"}`."""
    try:
        found = json.loads(details or "{}")
    except ValueError:
        return ""
    return str(found.get("Availability Zone", "")) if isinstance(found, dict) else ""


def _tag_rows(name: str, tags: Mapping[str, str], *, propagate: bool = False) -> list[dict[str, Any]]:
    """A group overwrites the tags of new and of attached instances with those that it propagates."""
    return [
        {
            "ResourceId": name,
            "ResourceType": "auto-scaling-group",
            "Key": key,
            "Value": value,
            "PropagateAtLaunch": propagate,
        }
        for key, value in sorted(tags.items())
    ]


def _launch(launch: GroupLaunch) -> dict[str, Any]:
    """All spot. The template's version of most types is the group's; the others name theirs."""
    numbers = sorted(launch.versions.values())
    main = max(numbers, key=numbers.count)
    price = "" if launch.max_usd_per_hour is None else format(launch.max_usd_per_hour, "f")
    return {
        "VPCZoneIdentifier": ",".join(launch.subnets),
        "MixedInstancesPolicy": {
            "LaunchTemplate": {
                "LaunchTemplateSpecification": _version(launch, main),
                "Overrides": [
                    {
                        "InstanceType": name,
                        **(
                            {"LaunchTemplateSpecification": _version(launch, number)}
                            if number != main
                            else {}
                        ),
                    }
                    for name, number in sorted(launch.versions.items())
                ],
            },
            "InstancesDistribution": {
                "OnDemandBaseCapacity": 0,
                "OnDemandPercentageAboveBaseCapacity": 0,
                "SpotAllocationStrategy": "price-capacity-optimized",
                "SpotMaxPrice": price,  # empty: no maximum (InstancesDistribution)
            },
        },
    }


def _version(launch: GroupLaunch, number: int) -> dict[str, str]:
    return {"LaunchTemplateId": launch.template_id, "Version": str(number)}
