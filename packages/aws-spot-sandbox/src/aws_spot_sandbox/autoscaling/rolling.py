"""Replaces the instances of a group within the healthy percentages of an instance refresh.

AWS: Auto Scaling user guide, "How an instance refresh works", "Understand the default values for an instance refresh":
the minimum is rounded up; with 100 percent for both, one instance at a time; with a maximum above 100 percent, instances
are launched before others are terminated. "If an instance refresh can't make progress for an hour, it fails".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.autoscaling import model, scaling

if TYPE_CHECKING:
    from aws_spot_sandbox.autoscaling.model import Group, Member
    from aws_spot_sandbox.ec2.region import Region

STARTING, RUNNING, CANCELLING, CANCELLED = "Pending", "InProgress", "Cancelling", "Cancelled"
_ACTIVE = frozenset({STARTING, RUNNING, CANCELLING})
STUCK_S = 3600.0
_WHOLE = 100


@dataclass
class Refresh:
    id: str
    started: float
    preferences: dict[str, Any]
    desired: dict[str, Any] | None
    old: set[str] = field(default_factory=set)  # ids of the members to replace
    total: int = 0
    status: str = STARTING
    reason: str = ""
    ended: float | None = None
    waits: bool = True  # whether a cancellation waits for what is in progress
    moved: float = 0.0  # time of the last progress
    left: int = 0  # instances to replace at that time
    warming: set[str] = field(default_factory=set)  # members whose warm-up is awaited


def active(group: Group) -> Refresh | None:
    last: Refresh | None = group.refreshes[-1] if group.refreshes else None
    return last if last is not None and last.status in _ACTIVE else None


def remaining(group: Group, refresh: Refresh) -> int:
    """The instances that are not replaced yet, with those whose replacements are not in service."""
    if refresh.status == model.SUCCESSFUL:
        return 0
    old = sum(name in group.members and group.members[name].counts for name in refresh.old)
    return min(refresh.total, old + sum(member.state == model.PENDING for member in group.members.values()))


def begin(region: Region, group: Group, refresh: Refresh) -> None:
    if refresh.status == STARTING:
        refresh.status, refresh.moved, refresh.left = RUNNING, region.now(), refresh.total
        advance(region, group)


def advance(region: Region, group: Group) -> None:
    """The next step, whenever a member begins or ends its service, is warm, or the group is checked."""
    refresh = active(group)
    if refresh is None or refresh.status == STARTING or group.deleting:
        return
    new = [member for member in group.members.values() if member.counts and member.id not in refresh.old]
    _await_warmups(region, group, refresh, new)
    if refresh.status == CANCELLING:
        if not refresh.waits or not _in_transition(group):
            _end(region, group, refresh, CANCELLED, "Cancelled due to user request.")
        return
    if not group.runs("InstanceRefresh"):
        return
    _end_replaced(region, group, refresh, new)
    if _is_done(region, group, refresh, new):
        group.config = group.launch_config
        _end(region, group, refresh, model.SUCCESSFUL, "")
    elif not _is_stuck(region, group, refresh):
        _replace_more(region, group, refresh, new)


def _await_warmups(region: Region, group: Group, refresh: Refresh, new: list[Member]) -> None:
    for member in new:
        if member.in_service_at is not None and member.id not in refresh.warming:
            refresh.warming.add(member.id)
            wait_s = member.in_service_at + refresh.preferences["InstanceWarmup"] - region.now()
            if wait_s > 0:
                region.later(wait_s, lambda: advance(region, group))


def _in_transition(group: Group) -> bool:
    return any(member.state != model.IN_SERVICE for member in group.members.values())


def _is_warm(region: Region, refresh: Refresh, member: Member) -> bool:
    if member.state != model.IN_SERVICE or member.in_service_at is None:
        return False
    if member.id in refresh.old or member.in_service_at < refresh.started:
        return True
    return bool(region.now() >= member.in_service_at + refresh.preferences["InstanceWarmup"])


def _end_replaced(region: Region, group: Group, refresh: Refresh, new: list[Member]) -> None:
    """Terminate the old members whose replacements are warm."""
    for member in new:
        replaced = group.members.get(member.replaces)
        if replaced is not None and replaced.counts and _is_warm(region, refresh, member):
            _terminate(region, group, replaced)


def _terminate(region: Region, group: Group, member: Member) -> None:
    cause = f"At {model.moment(region.now())} an instance was taken out of service in response to an instance refresh."
    scaling.terminate(region, group, member, cause)


def _is_done(region: Region, group: Group, refresh: Refresh, new: list[Member]) -> bool:
    old = [name for name in refresh.old if name in group.members]
    warm = all(_is_warm(region, refresh, member) for member in new)
    return not old and warm and group.capacity >= group.desired


def _is_stuck(region: Region, group: Group, refresh: Refresh) -> bool:
    left = remaining(group, refresh)
    if left < refresh.left:
        refresh.moved, refresh.left = region.now(), left
    if region.now() - refresh.moved <= STUCK_S + refresh.preferences["InstanceWarmup"]:
        return False
    why = "failed launches" if group.failures else "instances protected from scale in"
    _end(
        region,
        group,
        refresh,
        model.FAILED,
        f"The instance refresh made no progress for an hour because of {why}.",
    )
    return True


def _replace_more(region: Region, group: Group, refresh: Refresh, new: list[Member]) -> None:
    """As many old members as the healthy percentages allow."""
    replaced = {member.replaces for member in new}
    waits = refresh.preferences["ScaleInProtectedInstances"] != "Refresh"
    old = [
        member
        for name, member in list(group.members.items())
        if name in refresh.old and member.counts and name not in replaced and not (waits and member.protected)
    ]
    if not old or region.now() < group.retry_at:
        return
    if refresh.preferences["MaxHealthyPercentage"] > _WHOLE:
        _launch_first(region, group, refresh, old)
    else:
        _terminate_first(region, group, refresh, old)


def _launch_first(region: Region, group: Group, refresh: Refresh, old: list[Member]) -> None:
    most = max(
        group.desired + 1, math.floor(group.desired * refresh.preferences["MaxHealthyPercentage"] / _WHOLE)
    )
    room = most - sum(member.weight for member in group.members.values() if member.counts)
    chosen = old[: max(0, room)]
    if chosen and group.runs("Launch"):
        cause = (
            f"At {model.moment(region.now())} an instance was launched in response to an instance refresh."
        )
        ids = tuple(member.id for member in chosen)
        scaling.grow(region, group, sum(member.weight for member in chosen), cause=cause, replaces=ids)


def _terminate_first(region: Region, group: Group, refresh: Refresh, old: list[Member]) -> None:
    least = math.ceil(group.desired * refresh.preferences["MinHealthyPercentage"] / _WHOLE)
    healthy = [
        member
        for member in group.members.values()
        if member.health == model.HEALTHY and _is_warm(region, refresh, member)
    ]
    spare = len(healthy) - least
    if (
        spare <= 0
        and len(healthy) == sum(member.counts for member in group.members.values()) >= group.desired
    ):
        spare = 1  # one at a time
    for member in old[: max(0, spare)]:
        _terminate(region, group, member)
    if spare > 0:
        scaling.scale_later(region, group)


def _end(region: Region, group: Group, refresh: Refresh, status: str, reason: str) -> None:
    refresh.status, refresh.reason, refresh.ended = status, reason, region.now()
    group.refresh_config = None
    group.follower = None
