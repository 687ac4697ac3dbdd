"""The end of a cluster's lifetime, which the tag EXPIRES_KEY of its instances holds.

Rules:
1. A cluster has one expiry: the latest among its living instances. A failed change may leave an earlier one on some of them.
2. An instance without the tag, or with an unreadable one, says nothing about the cluster's expiry.
3. NEVER is later than every time: somebody has removed the expiry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.model import State
from bacalhau_spot.core.tags import EXPIRES_KEY, tag_time, time_in_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import ClusterSpec, Instance

# The value of the tag after `extend --never`.
NEVER: Final = "never"
# A node boots and joins in minutes; one that ends sooner than this would only cost money.
SHORTEST: Final = timedelta(minutes=15)
# A year is more than any spot cluster lasts: a longer time is a mistake.
LONGEST_S: Final = 366 * 86400
# A node announces its end on the console this long before.
WARNING_TIME: Final = timedelta(minutes=10)
# A node reads the tag once a minute, twice before it ends, and then lets jobs finish (interruption.grace_s: at most 100 s).
TOLERANCE: Final = timedelta(minutes=10)
_NAMED: Final = 3  # instances in a warning
_SHOWN: Final = 40  # characters of an unreadable value
_STOPPED: Final = frozenset({State.STOPPED, State.STOPPING})
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ClusterExpiry:
    """The expiry of a cluster. `value`: of the tag; empty without an expiry. `at`: None without one, or after `--never`.

    `differing`: living instances with another value or none; `unreadable`: those with a value that is neither a time nor NEVER.
    """

    value: str = ""
    at: datetime | None = None
    differing: tuple[Instance, ...] = ()
    unreadable: tuple[Instance, ...] = ()

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

    `living`: the cluster's instances; `retag`: existing instances to change.
    `chosen`: whether `create --ttl` or `extend` asked for it; otherwise it is the existing or the configured one.
    """

    before: ClusterExpiry
    now: datetime
    value: str = ""
    living: tuple[Instance, ...] = ()
    at: datetime | None = None
    retag: tuple[Instance, ...] = ()
    chosen: bool = False

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
    """The tag's value for the end of a lifetime; None: NEVER. Rounded up to a second."""
    if at is None:
        return NEVER
    return tag_time(at + timedelta(microseconds=-at.microsecond % 1_000_000))


def expiry_time(value: str) -> datetime | None:
    """The time in a tag's value; None for NEVER and for unreadable text."""
    return time_in_tag(value) if _TIME.fullmatch(value) else None


def expires_at(instances: Iterable[Instance]) -> datetime | None:
    """The end of the cluster of these instances; None without one."""
    return cluster_expiry(instances).at


def cluster_expiry(instances: Iterable[Instance]) -> ClusterExpiry:
    """The expiry of the cluster of these instances. The orchestrator's instances count: it ends with the cluster."""
    living = [instance for instance in instances if instance.alive]
    value = max(
        (_tag(instance) for instance in living if _is_readable(_tag(instance))), key=_order, default=""
    )
    return ClusterExpiry(
        value=value,
        at=expiry_time(value),
        differing=tuple(instance for instance in living if _tag(instance) != value),
        unreadable=tuple(
            instance for instance in living if _tag(instance) and not _is_readable(_tag(instance))
        ),
    )


def plan_expiry(spec: ClusterSpec, existing: Sequence[Instance], *, now: datetime) -> ExpiryPlan:
    """The expiry after a `create`: the chosen one, else that of the living instances, else the configured one."""
    before = cluster_expiry(existing)
    at = None if spec.ttl_s is None else now + timedelta(seconds=spec.ttl_s)
    is_kept = bool(before.value) and not spec.ttl_is_chosen
    if is_kept:
        return _with_expiry(before, before.value, existing, now=now)
    if at is None and not before.value and not _is_any_stopped(existing):  # there is none to remove
        return ExpiryPlan(before, now)  # without its living instances: nothing concerns them
    return _with_expiry(before, expiry_value(at), existing, now=now, chosen=spec.ttl_is_chosen)


def move_expiry(existing: Sequence[Instance], at: datetime | None, *, now: datetime) -> ExpiryPlan:
    """Another expiry for all instances of a cluster, as `extend` asks for it; None: NEVER."""
    return _with_expiry(cluster_expiry(existing), expiry_value(at), existing, now=now, chosen=True)


def _with_expiry(
    before: ClusterExpiry, value: str, existing: Sequence[Instance], *, now: datetime, chosen: bool = False
) -> ExpiryPlan:
    retag = tuple(instance for instance in existing if _exists(instance) and _tag(instance) != value)
    living = tuple(instance for instance in existing if instance.alive)
    return ExpiryPlan(before, now, value, living, expiry_time(value), retag=retag, chosen=chosen)


def _exists(instance: Instance) -> bool:
    """A stopped orchestrator can start again, and would stop at once with a past expiry."""
    return instance.alive or instance.state in _STOPPED


def _is_any_stopped(existing: Sequence[Instance]) -> bool:
    """Whether an instance would stop again after its next start."""
    return any(instance.state in _STOPPED and _tag(instance) not in {"", NEVER} for instance in existing)


def ends_itself(instance: Instance) -> bool:
    """Whether the instance reads its expiry: only if its metadata service returns tags, which it does from the launch on."""
    return instance.metadata_tags


def expiry_warnings(planned: ExpiryPlan) -> tuple[str, ...]:
    """Instances whose tag cannot be read, and those that do not end by it."""
    unreadable = [
        f"the expiry of {instance.id} in {instance.region} cannot be read and does not count: {EXPIRES_KEY} is "
        f"{_tag(instance)[:_SHOWN]!r}"
        for instance in planned.before.unreadable
    ]
    deaf = [instance.id for instance in planned.living if not ends_itself(instance)] if planned.at else []
    if deaf:
        named = ", ".join(deaf[:_NAMED]) + (f" and {len(deaf) - _NAMED} more" if len(deaf) > _NAMED else "")
        unreadable.append(
            f"{named} cannot read the expiry, because of a launch by an earlier version or of a tag key that EC2's metadata "
            "service refuses: only `bacalhau-spot reconcile` or `destroy` ends such instances"
        )
    return tuple(unreadable)


def expiry_reason(
    spec: ClusterSpec, existing: Sequence[Instance], *, now: datetime, idle_from: datetime | None = None
) -> ExpiryReason | None:
    """Why the cluster is to be ended now; None if it lives on. `idle_from`: core.lifecycle.idle; None: busy, or unknown.

    After the lifetime the nodes have TOLERANCE to end themselves.
    """
    at = expires_at(existing)
    if at is not None and at + TOLERANCE < now:
        return ExpiryReason(ExpiryKind.LIFETIME, at)
    if spec.idle_ttl_s is None or idle_from is None or now - idle_from < timedelta(seconds=spec.idle_ttl_s):
        return None
    return ExpiryReason(ExpiryKind.IDLE, idle_from)


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
