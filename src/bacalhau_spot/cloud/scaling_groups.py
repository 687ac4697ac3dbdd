"""The part of the port for Auto Scaling groups. The docstrings are the contract, as in port.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from bacalhau_spot.core.scaling_group.groups import ScalingActivity, ScalingGroup

# "You can specify up to 20 instances" (AttachInstances, DetachInstances).
MAX_INSTANCES_A_CALL = 20


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

    async def named_scaling_group(self, region: str, name: str) -> ScalingGroup | None:
        """The group of this name, whatever its tags; None if AWS does not list it."""

    async def scaling_activities(self, region: str, name: str) -> tuple[ScalingActivity, ...]:
        """The latest activities of a group, the newest first."""

    async def create_scaling_group(
        self,
        region: str,
        name: str,
        *,
        launch: GroupLaunch,
        tags: Mapping[str, str],
        instance_tags: Mapping[str, str],
    ) -> None:
        """Create a group that launches nothing yet. An existing name raises AlreadyExists.

        The tags are those of the group. Its new instances have those of the launch template and `instance_tags`, which the
        group has, too.
        """

    async def update_scaling_group(
        self, region: str, name: str, *, desired: int, maximum: int, launch: GroupLaunch | None = None
    ) -> None:
        """Set the desired capacity and the maximum, and with `launch` the way to launch."""

    async def tag_scaling_group(
        self, region: str, name: str, *, tags: Mapping[str, str], propagate: bool = False
    ) -> None:
        """Add or overwrite tags of the group, and with `propagate` those of its new and newly attached instances."""

    async def scheduled_group_end(self, region: str, name: str) -> datetime | None:
        """The time of the group's EXPIRY_ACTION; None without one, and after it has run."""

    async def schedule_group_end(self, region: str, name: str, *, at: datetime) -> None:
        """Create or move EXPIRY_ACTION, which sets the group to no instance. A time in the past raises ValidationError."""

    async def unschedule_group_end(self, region: str, name: str) -> None:
        """Delete EXPIRY_ACTION. An unknown one raises ValidationError."""

    async def suspend_scaling(self, region: str, name: str, *, process: str) -> None:
        """Stop a process of the group; a stopped one is not an error."""

    async def resume_scaling(self, region: str, name: str, *, process: str) -> None: ...

    async def attach_instances(self, region: str, name: str, ids: Sequence[str]) -> None:
        """Attach running instances, at most 20, and raise the desired capacity by their number: all or none."""

    async def detach_instances(
        self, region: str, name: str, ids: Sequence[str], *, replace: bool = False
    ) -> None:
        """Detach instances in service, at most 20: all or none. They keep running.

        The desired capacity falls by their number; with `replace` it stays, and the group launches others.
        """

    async def terminate_member(self, region: str, instance_id: str) -> None:
        """Terminate an instance of a group, and lower the desired capacity."""

    async def report_unhealthy(self, region: str, instance_id: str) -> None:
        """Report the instance to its group, which terminates and replaces it."""

    async def delete_scaling_group(self, region: str, name: str) -> None:
        """Delete a group without instances. One with instances raises ResourceInUse; an unknown one is not an error."""
