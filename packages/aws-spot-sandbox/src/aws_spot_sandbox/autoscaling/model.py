"""The state of Auto Scaling in a region: groups, their members, and the records of what was done."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region

NAME_TAG = "aws:autoscaling:groupName"
DELETING = "Delete in progress"
PENDING, IN_SERVICE, TERMINATING = "Pending", "InService", "Terminating"
HEALTHY, UNHEALTHY = "Healthy", "Unhealthy"
IN_PROGRESS, SUCCESSFUL, FAILED = "InProgress", "Successful", "Failed"
LAUNCH_KEYS = ("LaunchTemplate", "MixedInstancesPolicy")  # one of them
# Auto Scaling user guide, "Suspend and resume processes".
PROCESSES = (
    "Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh",
    "ReplaceUnhealthy", "ScheduledActions",
)  # fmt: skip
# "You have a record of scaling activities that dates back 6 weeks" (user guide, "Troubleshooting").
KEPT_S = 6 * 7 * 86400.0


@dataclass
class Activity:
    """A scaling activity, with the fields that DescribeScalingActivities returns."""

    id: str
    group: str
    arn: str
    description: str
    cause: str
    started: float
    details: str
    status: str = IN_PROGRESS
    progress: int = 30
    message: str = ""
    ended: float | None = None
    deleted: bool = False  # whether its group is

    def end(self, now: float, *, status: str = SUCCESSFUL, message: str = "") -> None:
        self.status, self.progress, self.message, self.ended = status, 100, message, now


@dataclass
class Member:
    """An instance of a group."""

    machine: Machine
    template: dict[str, str] = field(default_factory=dict)  # LaunchTemplateSpecification with the number
    weight: int = 1
    weighted: bool = False
    state: str = PENDING
    health: str = HEALTHY
    protected: bool = False
    in_service_at: float | None = None
    replaces: str = ""  # the member that ends when this one is in service
    at_risk: bool = False  # AWS recommends to replace it
    moving: bool = False  # to a zone with fewer instances
    launch: Activity | None = None  # while it is pending

    @property
    def id(self) -> str:
        return self.machine.id

    @property
    def counts(self) -> bool:
        """Whether it counts towards the desired capacity."""
        return self.state != TERMINATING


@dataclass
class Group:
    """A group. `config` has the parameters as CreateAutoScalingGroup and UpdateAutoScalingGroup name them."""

    name: str
    arn: str
    created: float
    config: dict[str, Any]
    minimum: int
    maximum: int
    desired: int
    members: dict[str, Member] = field(default_factory=dict)  # by instance id
    tags: dict[str, tuple[str, bool]] = field(default_factory=dict)  # key -> value, propagated at launch
    suspended: dict[str, str] = field(default_factory=dict)  # process -> reason
    activities: list[Activity] = field(default_factory=list)  # oldest first
    schedules: dict[str, Any] = field(default_factory=dict)  # by the name of the scheduled action
    refreshes: list[Any] = field(default_factory=list)  # oldest first
    status: str = ""
    cause: str = ""  # of the next launches and terminations
    scaled_at: float | None = None  # end of the last scaling, for the cooldown
    failures: int = 0  # failed launches in a row
    retry_at: float = 0.0
    balance_at: float = 0.0  # no earlier attempt to balance the zones
    refresh_config: dict[str, Any] | None = (
        None  # the desired configuration of the instance refresh in progress
    )
    follower: Callable[[Region, Group], None] | None = None  # called when a member begins or ends its service

    @property
    def deleting(self) -> bool:
        return self.status == DELETING

    @property
    def capacity(self) -> int:
        """Units that count towards the desired capacity. A replacement counts from the end of the member it replaces."""
        return sum(
            member.weight for member in self.members.values() if member.counts and not self.surplus(member)
        )

    @property
    def launch_config(self) -> dict[str, Any]:
        """The parameters of new instances: during an instance refresh those of its desired configuration."""
        if self.refresh_config is None:
            return self.config
        kept = {key: value for key, value in self.config.items() if key not in LAUNCH_KEYS}
        return {**kept, **self.refresh_config}

    def changed(self, region: Region) -> None:
        if self.follower is not None:
            self.follower(region, self)

    def surplus(self, member: Member) -> bool:
        """Whether the member is there in addition, until the one that it replaces ends."""
        replaced = self.members.get(member.replaces)
        return replaced is not None and replaced.counts

    def runs(self, process: str) -> bool:
        return process not in self.suspended and not self.deleting

    def plain_tags(self) -> dict[str, str]:
        return {key: value for key, (value, _) in self.tags.items()}


@dataclass
class Scaling:
    """Auto Scaling in a region."""

    groups: dict[str, Group] = field(default_factory=dict)
    ended: list[Activity] = field(default_factory=list)  # activities of deleted groups
    launches: dict[str, tuple[dict[str, Any], dict[str, Any]]] = field(
        default_factory=dict
    )  # client token -> parameters and answer of LaunchInstances


def of(region: Region) -> Scaling:
    """The region's state, created on demand. IAM reads the tags of groups from moto's backend."""
    if region.scaling is None:
        region.scaling = Scaling()
        region.backend.scaling_groups = region.scaling.groups
    state: Scaling = region.scaling
    return state


def find(region: Region, name: object) -> Group:
    group = of(region).groups.get(str(name))
    if group is None:
        raise invalid(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return group


def find_living(region: Region, name: object) -> Group:
    """Raises AwsError for a group that is being deleted, as for an unknown one."""
    group = find(region, name)
    if group.deleting:
        raise AwsError(
            "ScalingActivityInProgress",
            f"AutoScalingGroup '{name}' is pending delete: the operation can't be performed.",
        )
    return group


def group_of(region: Region, instance: Machine) -> Group | None:
    state: Scaling | None = region.scaling
    return state.groups.get(instance.scaling_group) if state is not None else None


def managed(region: Region, instance_id: str) -> tuple[Group, Member]:
    """The group and the member with this id. Raises AwsError."""
    for group in of(region).groups.values():
        if instance_id in group.members:
            return group, group.members[instance_id]
    raise invalid(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")


def invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)


def gap(what: str) -> AwsError:
    """Status 501, because clients retry 500."""
    return AwsError("NotImplemented", f"the sandbox does not implement {what}", status=501)


def moment(now: float) -> str:
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%SZ}"


def arn(region: Region, kind: str, name: str) -> str:
    digits = "".join(region.world.random.choices("0123456789abcdef", k=32))
    return f"arn:aws:autoscaling:{region.name}:{ACCOUNT_ID}:{kind}:{uuid(digits)}:{name}"


def uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"


def new_uuid(region: Region) -> str:
    return uuid("".join(region.world.random.choices("0123456789abcdef", k=32)))
