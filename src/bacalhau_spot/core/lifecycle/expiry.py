"""The end of a cluster's lifetime, which the tag EXPIRES_KEY of its instances holds.

Rules:
1. A cluster has one expiry: the latest among its living nodes and groups. A failed change may leave an earlier one on some of
   them. The orchestrator's counts only without these.
2. An instance without the tag, or with an unreadable one, says nothing about the cluster's expiry.
3. NEVER is later than every time: somebody has removed the expiry.
4. An Auto Scaling group ends at the time of its scheduled action, whatever the tags of its nodes are. New nodes get its tag.
5. A group that has ended, at no node, is not living. `create` begins another lifetime.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.model import State
from bacalhau_spot.core.scaling_group.groups import group_of, is_member
from bacalhau_spot.core.tags import EXPIRES_KEY, tag_time, time_in_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import ClusterSpec, Instance
    from bacalhau_spot.core.scaling_group.groups import ScalingGroup

# The value of the tag after `extend --never`.
NEVER: Final = "never"
# A node boots and joins in minutes; one that ends sooner than this would only cost money.
SHORTEST: Final = timedelta(minutes=15)
# A year is more than any spot cluster lasts: a longer time is a mistake.
LONGEST_S: Final = 366 * 86400
# A node announces its end on the console this long before.
WARNING_TIME: Final = timedelta(minutes=10)
# A node reads the tag once a minute, three times before it ends, and then lets jobs finish (interruption.grace_s: at most 100 s).
TOLERANCE: Final = timedelta(minutes=10)
_NAMED: Final = 3  # instances in a warning
_SHOWN: Final = 40  # characters of an unreadable value
_STOPPED: Final = frozenset({State.STOPPED, State.STOPPING})
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ClusterExpiry:
    """The expiry of a cluster. `value`: of the tag; empty without an expiry. `at`: None without one, or after `--never`.

    `differing`: living instances with another value or none; `unreadable`: those with a value that is neither a time nor NEVER.
    `held_by`: instances with the value; `groups`: Auto Scaling groups that end at that time; `open_groups`: those that do not,
    or whose new nodes would not.
    """

    value: str = ""
    at: datetime | None = None
    differing: tuple[Instance, ...] = ()
    unreadable: tuple[Instance, ...] = ()
    held_by: tuple[Instance, ...] = ()
    groups: tuple[ScalingGroup, ...] = ()
    open_groups: tuple[ScalingGroup, ...] = ()

    def has_passed(self, now: datetime) -> bool:
        return self.at is not None and self.at <= now


class ExpiryKind(StrEnum):
    """Why a cluster ends."""

    LIFETIME = "lifetime"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class ExpiryReason:
    """`since`: the end of the lifetime, or of the last job."""

    kind: ExpiryKind
    since: datetime


@dataclass(frozen=True, slots=True)
class ExpiryPlan:
    """The change of an expiry. `value`: of the tag from now on; empty: no instance gets one.

    `living`: the cluster's instances; `retag`: existing instances to change; `groups`: Auto Scaling groups to change.
    `chosen`: whether `create --ttl` or `extend` asked for it; otherwise it is the existing or the configured one.
    """

    before: ClusterExpiry
    now: datetime
    value: str = ""
    living: tuple[Instance, ...] = ()
    at: datetime | None = None
    retag: tuple[Instance, ...] = ()
    groups: tuple[ScalingGroup, ...] = ()
    chosen: bool = False

    @property
    def changes(self) -> bool:
        """Whether an existing instance or group gets another expiry."""
        return bool(self.retag or self.groups)

    def group_in(self, region: str) -> ScalingGroup | None:
        """The group of the region, if it changes."""
        return next((group for group in self.groups if group.region == region), None)

    @property
    def regions(self) -> tuple[str, ...]:
        """Those with a change."""
        groups = {group.region for group in self.groups}
        return tuple(sorted({instance.region for instance in self.retag} | groups))

    @property
    def left(self) -> timedelta | None:
        """Until the end, which may have passed; None without one."""
        return None if self.at is None else self.at - self.now

    @property
    def is_near(self) -> bool:
        """Whether the rest is too short for a new node."""
        return self.left is not None and self.left < SHORTEST

    @property
    def is_new(self) -> bool:
        """Whether the cluster had none."""
        return bool(self.value) and not self.before.value

    @property
    def moves(self) -> bool:
        return bool(self.before.value) and self.value != self.before.value

    @property
    def shortens(self) -> bool:
        """Whether the cluster ends earlier than before; one without an expiry never ends."""
        return self.at is not None and (self.before.at is None or self.at < self.before.at)


def expiry_value(at: datetime | None) -> str:
    """The tag's value for the end of a lifetime; None: NEVER. Rounded up to a minute.

    Then it is the time that is shown, and one that the scheduled action of a group can have.
    """
    if at is None:
        return NEVER
    past = timedelta(seconds=at.second, microseconds=at.microsecond)
    return tag_time(at - past + (timedelta(minutes=1) if past else timedelta()))


def expiry_time(value: str) -> datetime | None:
    """The time in a tag's value; None for NEVER and for unreadable text."""
    return time_in_tag(value) if _TIME.fullmatch(value) else None


def expires_at(instances: Iterable[Instance]) -> datetime | None:
    """The end of the cluster of these instances; None without one."""
    return cluster_expiry(instances).at


def cluster_expiry(instances: Iterable[Instance], groups: Iterable[ScalingGroup] = ()) -> ClusterExpiry:
    """The expiry of the cluster of these instances, the orchestrator's among them, and Auto Scaling groups."""
    living, existing = _alive(instances), _existing(groups)
    value = _latest(living, existing)
    return _with_holders(
        ClusterExpiry(
            value=value,
            at=expiry_time(value),
            differing=tuple(instance for instance in living if _tag(instance) != value),
            unreadable=tuple(
                instance for instance in living if _tag(instance) and not _is_readable(_tag(instance))
            ),
        ),
        living,
        existing,
    )


def _with_holders(
    expiry: ClusterExpiry, living: Sequence[Instance], groups: Sequence[ScalingGroup]
) -> ClusterExpiry:
    if not expiry.value:
        return expiry
    return replace(
        expiry,
        held_by=tuple(instance for instance in living if _tag(instance) == expiry.value),
        groups=tuple(group for group in groups if group_ends(group, expiry.value)),
        open_groups=tuple(group for group in groups if not group_ends(group, expiry.value)),
    )


def _alive(instances: Iterable[Instance]) -> list[Instance]:
    return [instance for instance in instances if instance.alive]


def _existing(groups: Iterable[ScalingGroup]) -> list[ScalingGroup]:
    """Without those that AWS is deleting."""
    return [group for group in groups if not group.deleting]


def _latest(living: Sequence[Instance], groups: Sequence[ScalingGroup]) -> str:
    """The value of the cluster's expiry; empty without one."""
    present = _present(groups, living)
    nodes = [_own_value(node, groups) for node in living if not node.is_orchestrator]
    return (
        _max([*nodes, *map(group_value, present)])
        or _max(group_value(group) for group in groups)
        or _max(_tag(instance) for instance in living if instance.is_orchestrator)
    )


def _present(groups: Sequence[ScalingGroup], living: Sequence[Instance]) -> list[ScalingGroup]:
    return [group for group in groups if not _has_ended(group, living)]


def _max(values: Iterable[str]) -> str:
    return max(filter(_is_readable, values), key=_order, default="")


def _own_value(node: Instance, groups: Sequence[ScalingGroup]) -> str:
    """The tag; empty where the scheduled action of the node's group decides."""
    bound = any(group.ends_at is not None and is_member(group, node) for group in groups)
    return "" if bound else _tag(node)


def group_value(group: ScalingGroup) -> str:
    """The value of the time at which the group ends: of its scheduled action, else of its tag."""
    if group.ends_at is None or _is_minute(group.expiry, group.ends_at):
        return group.expiry
    return expiry_value(group.ends_at)


def group_ends(group: ScalingGroup, value: str) -> bool:
    """Whether the group and its new nodes end at the time of the value. One that may have no node needs no scheduled action."""
    if group.expiry != value:
        return False
    if group.ends_at is not None:
        return _is_minute(value, group.ends_at)
    return expiry_time(value) is None or group.maximum == 0


def _has_ended(group: ScalingGroup, living: Iterable[Instance]) -> bool:
    """Whether the group is at no node, and its scheduled action has run or was never made."""
    return (
        group.maximum == 0
        and group.ends_at is None
        and not any(is_member(group, instance) for instance in living)
    )


def _is_minute(value: str, at: datetime) -> bool:
    """Whether the value is in the same minute as the time of a scheduled action."""
    own = expiry_time(value)
    return own is not None and own.replace(second=0) == at.replace(second=0, microsecond=0)


def plan_expiry(
    spec: ClusterSpec,
    existing: Sequence[Instance],
    *,
    now: datetime,
    groups: Iterable[ScalingGroup] = (),
) -> ExpiryPlan:
    """The expiry after a `create`: the chosen one, else that of the living instances and groups, else the configured one."""
    found = _existing(groups)
    before = cluster_expiry(existing, _present(found, _alive(existing)))
    at = None if spec.ttl_s is None else now + timedelta(seconds=spec.ttl_s)
    if before.value and not spec.ttl_is_chosen:
        return _with_expiry(before, before.value, existing, found, now=now)
    if (
        at is None and not before.value and not _is_any_stopped(existing) and not _is_any_stale(found)
    ):  # there is none to remove
        return ExpiryPlan(before, now)  # without its living instances: nothing concerns them
    return _with_expiry(before, expiry_value(at), existing, found, now=now, chosen=spec.ttl_is_chosen)


def move_expiry(
    existing: Sequence[Instance],
    at: datetime | None,
    *,
    now: datetime,
    groups: Sequence[ScalingGroup] = (),
) -> ExpiryPlan:
    """Another expiry for all instances and groups of a cluster, as `extend` asks for it; None: NEVER."""
    before = cluster_expiry(existing, groups)
    return _with_expiry(before, expiry_value(at), existing, groups, now=now, chosen=True)


def keep_expiry(
    existing: Sequence[Instance], groups: Sequence[ScalingGroup], *, now: datetime
) -> ExpiryPlan | None:
    """The repair of the Auto Scaling groups and nodes with another expiry than their cluster; None if there is none."""
    expiry = cluster_expiry(existing, groups)
    if not expiry.value or expiry.has_passed(now):
        return None
    grouped = [instance for instance in existing if any(is_member(group, instance) for group in groups)]
    planned = _with_expiry(expiry, expiry.value, grouped, groups, now=now)
    return planned if planned.changes else None


def _with_expiry(
    before: ClusterExpiry,
    value: str,
    existing: Sequence[Instance],
    groups: Sequence[ScalingGroup],
    *,
    now: datetime,
    chosen: bool = False,
) -> ExpiryPlan:
    return ExpiryPlan(
        before,
        now,
        value,
        living=tuple(_alive(existing)),
        at=expiry_time(value),
        retag=tuple(instance for instance in existing if _exists(instance) and _tag(instance) != value),
        groups=tuple(group for group in _existing(groups) if not group_ends(group, value)),
        chosen=chosen,
    )


def _exists(instance: Instance) -> bool:
    """A stopped orchestrator can start again, and would stop at once with a past expiry."""
    return instance.alive or instance.state in _STOPPED


def _is_any_stopped(existing: Sequence[Instance]) -> bool:
    """Whether an instance would stop again after its next start."""
    return any(instance.state in _STOPPED and _tag(instance) not in {"", NEVER} for instance in existing)


def _is_any_stale(groups: Iterable[ScalingGroup]) -> bool:
    """Whether new nodes of an ended group would end themselves at once."""
    return any(expiry_time(group_value(group)) for group in groups)


def ends_itself(instance: Instance) -> bool:
    """Whether the instance reads its expiry: only if its metadata service returns tags, which it does from the launch on."""
    return instance.metadata_tags


def expiry_warnings(planned: ExpiryPlan) -> tuple[str, ...]:
    """Instances whose tag cannot be read, those that do not end by it, and groups without their scheduled action."""
    unreadable = [
        f"the expiry of {instance.id} in {instance.region} cannot be read and does not count: {EXPIRES_KEY} is "
        f"{_tag(instance)[:_SHOWN]!r}"
        for instance in planned.before.unreadable
    ]
    return (*unreadable, *_unscheduled(planned.before), *_deaf(planned))


def _unscheduled(before: ClusterExpiry) -> list[str]:
    if before.at is None:
        return []
    return [
        f"the Auto Scaling group in {group.region} has no scheduled action for the expiry {before.value}"
        for group in before.open_groups
        if group.ends_at is None
    ]


def _deaf(planned: ExpiryPlan) -> list[str]:
    """Without members of groups, which AWS ends."""
    alone = [instance for instance in planned.living if not group_of(instance)]
    deaf = [instance.id for instance in alone if not ends_itself(instance)] if planned.at else []
    if not deaf:
        return []
    named = ", ".join(deaf[:_NAMED]) + (f" and {len(deaf) - _NAMED} more" if len(deaf) > _NAMED else "")
    text = (
        f"{named} cannot read the expiry, because of a launch by an earlier version or of a tag key that EC2's metadata "
        "service refuses: only `bacalhau-spot reconcile` or `destroy` ends such instances"
    )
    return [text]


def expiry_reason(
    spec: ClusterSpec, expiry: ClusterExpiry, *, now: datetime, idle_from: datetime | None = None
) -> ExpiryReason | None:
    """Why the cluster is to be ended now; None if it lives on. `idle_from`: core.lifecycle.idle; None: busy, or unknown.

    After the lifetime the nodes have TOLERANCE to end themselves. Without `ttl` in the configuration, tags alone give a
    cluster its end: then a node without such a tag keeps the cluster, because the tags of the others may be wrong.
    """
    at = expiry.at
    is_certain = spec.ttl_s is not None or not any(map(_has_no_end, expiry.differing))
    if at is not None and at + TOLERANCE < now and is_certain:
        return ExpiryReason(ExpiryKind.LIFETIME, at)
    if spec.idle_ttl_s is None or idle_from is None or now - idle_from < timedelta(seconds=spec.idle_ttl_s):
        return None
    return ExpiryReason(ExpiryKind.IDLE, idle_from)


def _has_no_end(node: Instance) -> bool:
    """Whether no tag gives it an end. Of a group's node, the group has it."""
    return not _tag(node) and not node.is_orchestrator and not group_of(node)


def is_overdue(instance: Instance, *, now: datetime) -> bool:
    """Whether the instance lives longer than its tag and the time that its own end may take."""
    at = expiry_time(_tag(instance))
    return instance.alive and at is not None and at + TOLERANCE < now


def _tag(instance: Instance) -> str:
    return instance.tags.get(EXPIRES_KEY, "")


def _is_readable(value: str) -> bool:
    return value == NEVER or expiry_time(value) is not None


def _order(value: str) -> tuple[bool, str]:
    """Times in this form sort as text."""
    return value == NEVER, value
