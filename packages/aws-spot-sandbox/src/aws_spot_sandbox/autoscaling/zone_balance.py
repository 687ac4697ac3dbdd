"""The process AZRebalance: moves instances to zones with fewer.

AWS: Auto Scaling user guide, "Auto Scaling benefits for application architecture", "Rebalancing activities": a group whose zones
have become unequal, for example after a shortage of capacity in one of them, launches new instances before it terminates the old
ones. It may exceed the maximum by one instance, or by 10 percent. AWS does not publish how soon it begins, and how many instances
it moves at once: here it is one in each interval of the health checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_spot_sandbox.autoscaling import model, plan, scaling
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from aws_spot_sandbox.autoscaling.model import Group
    from aws_spot_sandbox.ec2.region import Region

_PROCESSES = ("AZRebalance", "Launch", "Terminate")


def balance(region: Region, group: Group) -> None:
    """Launch one instance in the zone with the fewest in place of one in the fullest, unless they differ by one at most."""
    if not all(group.runs(name) for name in _PROCESSES) or not _settled(region, group):
        return
    counts = _counts(region, group)
    if len(counts) < 2:  # noqa: PLR2004 - a move needs two zones
        return
    fullest, emptiest = max(counts, key=lambda zone: counts[zone]), min(counts, key=lambda zone: counts[zone])
    member = scaling.first_to_leave(region, group, fullest)
    if counts[fullest] - counts[emptiest] < 2 or member is None or member.weight != 1:  # noqa: PLR2004 - one would change sides
        return
    member.moving = True
    cause = (
        f"At {model.moment(region.now())} instances were launched to balance instances in zones {emptiest} with other zones "
        "resulting in more than desired number of instances in the group."
    )
    if not scaling.grow(region, group, 1, cause=cause, replaces=(member.id,), only=emptiest):
        member.moving = False
        group.balance_at = region.now() + scaling.LONGEST_RETRY_S


def _settled(region: Region, group: Group) -> bool:
    """Whether the group has its number, nothing is on the way, and the last attempt is long enough ago."""
    now = region.now()
    steady = all(member.state == model.IN_SERVICE for member in group.members.values())
    return steady and group.capacity == group.desired and now >= max(group.balance_at, group.retry_at)


def _counts(region: Region, group: Group) -> dict[str, int]:
    """The units in each zone of the group."""
    try:
        counts = dict.fromkeys(sorted(plan.subnets(region, group.launch_config)), 0)
    except AwsError:  # its template or its subnets do not exist any more
        return {}
    for member in group.members.values():
        if member.machine.zone in counts:
            counts[member.machine.zone] += member.weight
    return counts
