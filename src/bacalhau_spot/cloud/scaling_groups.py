"""Auto Scaling groups: the part of the port, and its implementation over boto3.

AWS: Auto Scaling API reference; user guide, "Auto Scaling groups with multiple instance types and purchase options".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bacalhau_spot.cloud.ec2_params import tags_of
from bacalhau_spot.core.scaling_group.model import GroupMember, ScalingActivity, ScalingGroup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from bacalhau_spot.cloud.session import Session

# "You can specify up to 20 instances" (AttachInstances, DetachInstances).
MAX_INSTANCES_A_CALL = 20
# Newest first; as many as one page has (DescribeScalingActivities, MaxRecords).
_LATEST_ACTIVITIES = 100


@dataclass(frozen=True, slots=True)
class GroupLaunch:
    """How a group launches. `versions`: of the template, by instance type; `subnets`: one for each zone.

    `max_usd_per_hour`: of one instance; None: up to the on-demand price.
    """

    template_id: str
    versions: Mapping[str, int]
    subnets: tuple[str, ...]
    max_usd_per_hour: Decimal | None = None


class ScalingGroups(Protocol):
    """Auto Scaling groups of spot instances. An unknown group or instance raises ValidationError."""

    async def scaling_groups(self, region: str, *, key: str, value: str) -> tuple[ScalingGroup, ...]:
        """All groups with the tag, also those that AWS is deleting, by name."""

    async def scaling_activities(self, region: str, name: str) -> tuple[ScalingActivity, ...]:
        """The latest activities of a group, the newest first."""

    async def create_scaling_group(
        self, region: str, name: str, *, launch: GroupLaunch, tags: Mapping[str, str]
    ) -> None:
        """Create a group that launches nothing yet. An existing name raises AlreadyExists.

        The tags are those of the group: its instances have those of the launch template.
        """

    async def update_scaling_group(
        self, region: str, name: str, *, desired: int, maximum: int, launch: GroupLaunch | None = None
    ) -> None:
        """Set the desired capacity and the maximum, and with `launch` the way to launch."""

    async def tag_scaling_group(self, region: str, name: str, *, tags: Mapping[str, str]) -> None:
        """Add or overwrite tags of the group alone."""

    async def suspend_scaling(self, region: str, name: str, *, process: str) -> None:
        """Stop a process of the group; a stopped one is not an error."""

    async def resume_scaling(self, region: str, name: str, *, process: str) -> None: ...

    async def attach_instances(self, region: str, name: str, ids: Sequence[str]) -> None:
        """Attach running instances, at most 20, and raise the desired capacity by their number: all or none."""

    async def detach_instances(self, region: str, name: str, ids: Sequence[str]) -> None:
        """Detach instances in service, at most 20, and lower the desired capacity: all or none. They keep running."""

    async def terminate_member(self, region: str, instance_id: str) -> None:
        """Terminate an instance of a group, and lower the desired capacity."""

    async def report_unhealthy(self, region: str, instance_id: str) -> None:
        """Report the instance to its group, which terminates and replaces it."""

    async def delete_scaling_group(self, region: str, name: str) -> None:
        """Delete a group without instances. One with instances raises ResourceInUse; an unknown one is not an error."""


class AwsScalingGroups:
    """`ScalingGroups` over boto3."""

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
        self, region: str, name: str, *, launch: GroupLaunch, tags: Mapping[str, str]
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
            Tags=_tag_rows(name, tags),
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

    async def tag_scaling_group(self, region: str, name: str, *, tags: Mapping[str, str]) -> None:
        await self._session.call("autoscaling", region, "create_or_update_tags", Tags=_tag_rows(name, tags))

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

    async def detach_instances(self, region: str, name: str, ids: Sequence[str]) -> None:
        await self._session.call(
            "autoscaling",
            region,
            "detach_instances",
            AutoScalingGroupName=name,
            InstanceIds=list(ids),
            ShouldDecrementDesiredCapacity=True,
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
    )


def _activity(row: dict[str, Any]) -> ScalingActivity:
    return ScalingActivity(
        id=row["ActivityId"],
        description=row.get("Description", ""),
        status=row["StatusCode"],
        started_at=row["StartTime"],
        message=row.get("StatusMessage") or "",
        zone=_zone(row.get("Details") or ""),
    )


def _zone(details: str) -> str:
    """AWS returns the zone only in this text: `{"Subnet ID":"subnet-1","Availability Zone":"us-east-1a"}`."""
    try:
        found = json.loads(details or "{}")
    except ValueError:
        return ""
    return str(found.get("Availability Zone", "")) if isinstance(found, dict) else ""


def _tag_rows(name: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Not propagated: a group overwrites the tags of attached instances with those that it propagates."""
    return [
        {
            "ResourceId": name,
            "ResourceType": "auto-scaling-group",
            "Key": key,
            "Value": value,
            "PropagateAtLaunch": False,
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
