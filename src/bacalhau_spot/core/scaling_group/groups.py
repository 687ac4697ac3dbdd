"""An Auto Scaling group of a cluster, as AWS lists it.

Sources: Auto Scaling API reference, AutoScalingGroup, Instance, Activity; user guide, "Instance lifecycle".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bacalhau_spot.core.tags import EXPIRES_KEY, NODE_SPEC_KEY, template_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from bacalhau_spot.core.model import Instance, Naming

# The tag that AWS gives to every instance of a group.
GROUP_TAG = "aws:autoscaling:groupName"
# The processes of groups that bacalhau-spot stops (user guide, "Suspend and resume processes").
REBALANCE_ZONES, LAUNCH = "AZRebalance", "Launch"

# The scheduled action that sets a group to no node at the end of its cluster's lifetime.
EXPIRY_ACTION = "bacalhau-spot-expiry"

_LEAVING = ("Terminating", "Terminated", "Detach", "EnteringStandby", "Standby", "Quarantined")
_IN_SERVICE = "InService"
_PENDING = "Pending"
_FAILED = frozenset({"Failed"})
# States in which an activity still may launch.
_OPEN = frozenset(
    {
        *("PendingSpotBidPlacement", "WaitingForSpotInstanceRequestId", "WaitingForSpotInstanceId"),
        *("WaitingForInstanceId", "PreInService", "InProgress", "WaitingForInstanceWarmup"),
    }
)

# The calls that make a group as planned.
GROUP_CHANGES = frozenset(
    {
        *("AttachInstances", "CreateAutoScalingGroup", "CreateOrUpdateTags", "DeleteAutoScalingGroup"),
        *("DetachInstances", "PutScheduledUpdateGroupAction", "ResumeProcesses", "SuspendProcesses"),
        "UpdateAutoScalingGroup",
    }
)


@dataclass(frozen=True, slots=True)
class GroupMember:
    """An instance of a group. `state`: in the words of Auto Scaling."""

    id: str
    type: str
    zone: str
    state: str
    healthy: bool = True

    @property
    def in_service(self) -> bool:
        return self.state == _IN_SERVICE

    @property
    def pending(self) -> bool:
        return self.state.startswith(_PENDING)

    @property
    def counts(self) -> bool:
        """Whether it counts towards the desired capacity."""
        return not self.state.startswith(_LEAVING)


@dataclass(frozen=True, slots=True)
class ScalingGroup:
    """A group. `suspended`: its stopped processes; `deleting`: AWS no longer changes it.

    `propagated`: the keys of the tags that new instances get; `ends_at`: when EXPIRY_ACTION sets it to no node, None without
    this action.
    """

    name: str
    region: str
    desired: int
    maximum: int
    members: tuple[GroupMember, ...] = ()
    zones: tuple[str, ...] = ()
    suspended: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    deleting: bool = False
    propagated: frozenset[str] = frozenset()
    ends_at: datetime | None = None

    @property
    def in_service(self) -> int:
        return sum(member.in_service for member in self.members)

    @property
    def size(self) -> int:
        """Instances that count towards the desired capacity, replacements ahead of their time included."""
        return sum(member.counts for member in self.members)

    @property
    def member_ids(self) -> frozenset[str]:
        """Also of those that are being terminated."""
        return frozenset(member.id for member in self.members)

    @property
    def node_spec(self) -> str:
        """The launch values of its new nodes; empty for a group that was never completed."""
        return self.tags.get(NODE_SPEC_KEY, "")

    @property
    def expiry(self) -> str:
        """The tag with the end of the lifetime, as new instances get it; empty for none."""
        return self.tags.get(EXPIRES_KEY, "") if EXPIRES_KEY in self.propagated else ""


@dataclass(frozen=True, slots=True)
class ScalingActivity:
    """What AWS did to a group: one launch or one termination. `code`, `message`: AWS's reason for a failure."""

    id: str
    description: str
    status: str
    started_at: datetime
    code: str = ""
    message: str = ""
    zone: str = ""

    @property
    def failed(self) -> bool:
        return self.status in _FAILED

    @property
    def open(self) -> bool:
        return self.status in _OPEN

    @property
    def launches(self) -> bool:
        return self.description.startswith("Launching")


def group_of(instance: Instance) -> str:
    """The name of the instance's group; empty without one."""
    return instance.tags.get(GROUP_TAG, "")


def without_group(instance: Instance) -> Instance:
    """The instance after it has left its group: AWS then removes the tag."""
    return replace(instance, tags={key: value for key, value in instance.tags.items() if key != GROUP_TAG})


def is_member(group: ScalingGroup, instance: Instance) -> bool:
    """By the list of the group and that of the instances: each may lag."""
    return instance.region == group.region and (
        instance.id in group.member_ids or group_of(instance) == group.name
    )


def regions_of_groups(instances: Iterable[Instance], naming: Naming) -> set[str]:
    """The regions in which a living or ended instance is a member of the cluster's own group."""
    return {instance.region for instance in instances if group_of(instance) == template_name(naming)}


@dataclass(frozen=True, slots=True)
class RefusedLaunch:
    """AWS's reason, with the code that a fleet would have had, and the zone if AWS names one."""

    zone: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group with its present trouble: why AWS refused its last launch, if it lacks nodes."""

    group: ScalingGroup
    refusal: RefusedLaunch | None = None

    @property
    def missing(self) -> int:
        return max(0, self.group.desired - self.group.in_service)
