"""Health checks: groups notice instances that do not run, fail their status checks or were reported, and replace them.

AWS: Auto Scaling user guide, "Health checks for instances in an Auto Scaling group", "Capacity Rebalancing".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from aws_spot_sandbox.autoscaling import activities, model, scaling, zone_balance
from aws_spot_sandbox.ec2 import machine, selectors

if TYPE_CHECKING:
    from aws_spot_sandbox.autoscaling.model import Group, Member
    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Answer, Args, Region

# "When a status check fails, Amazon EC2 Auto Scaling waits a few minutes for AWS to fix the issue."
IMPAIRED_S = 180.0
# "Amazon EC2 Auto Scaling can temporarily exceed the specified maximum capacity of a group by up to 10 percent of its
# desired capacity" (Capacity Rebalancing, "Considerations").
_EXCESS = 0.1
_ENDED = "an EC2 health check indicating it has been terminated or stopped"
_IMPAIRED = "an EC2 instance status checks failure"
_REPORTED = "a user health-check"


def start(region: Region, group: Group) -> None:
    """Check the group from now on, in intervals."""
    region.later(region.world.settings.health_check_s or 1.0, lambda: _tick(region, group))


def _tick(region: Region, group: Group) -> None:
    if model.of(region).groups.get(group.name) is not group or group.deleting:
        return
    check(region, group)
    activities.prune(region, group)
    start(region, group)


def check(region: Region, group: Group) -> None:
    """Replace what is unhealthy, and launch what is missing."""
    if group.runs("HealthCheck"):
        for member in list(group.members.values()):
            if member.counts and member.health == model.HEALTHY:
                member.health = model.UNHEALTHY if _reason(region, group, member) else model.HEALTHY
    replace(region, group)
    rebalance(region, group)
    scaling.scale(region, group)
    zone_balance.balance(region, group)
    group.changed(region)


def _reason(region: Region, group: Group, member: Member) -> str:
    """Why the member is unhealthy; empty if it is not."""
    instance = member.machine
    if instance.state not in (machine.PENDING, machine.RUNNING):
        return _ENDED
    settings = region.world.settings
    if not settings.impaired or member.in_service_at is None or instance.started_at is None:
        return ""
    grace_s = max(settings.checks_s, float(group.config.get("HealthCheckGracePeriod") or 0))
    if region.now() < instance.started_at + grace_s + IMPAIRED_S:
        return ""
    return _IMPAIRED if selectors.selects(settings.impaired, selectors.names(region, instance)) else ""


def replace(region: Region, group: Group) -> None:
    """Terminate the unhealthy members, and launch others in their place at the same time."""
    if not (group.runs("ReplaceUnhealthy") and group.runs("Terminate")):
        return
    sick = [member for member in group.members.values() if member.counts and member.health == model.UNHEALTHY]
    now = model.moment(region.now())
    for member in sick:
        why = _reason(region, group, member) or _REPORTED
        cause = f"At {now} an instance was taken out of service in response to {why}."
        scaling.terminate(region, group, member, cause)
    units = min(sum(member.weight for member in sick), group.desired - group.capacity)
    if units > 0 and group.runs("Launch"):
        cause = (
            f"At {now} an instance was launched in response to an unhealthy instance needing to be replaced."
        )
        scaling.grow(region, group, units, cause=cause)


# --- Capacity Rebalancing


def notice_risk(region: Region, instance: Machine) -> None:
    """AWS recommends to replace the instance: groups with Capacity Rebalancing launch another one first."""
    group = model.group_of(region, instance)
    if group is None or instance.id not in group.members:
        return
    group.members[instance.id].at_risk = True
    region.later(region.world.settings.scaling_s, lambda: rebalance(region, group))


def rebalance(region: Region, group: Group) -> None:
    """Launch replacements of members at risk that have none, within the excess that AWS allows."""
    if not (group.config.get("CapacityRebalance") and group.runs("Launch")) or region.now() < group.retry_at:
        return
    replaced = {member.replaces for member in group.members.values()}
    waiting = [
        member
        for member in group.members.values()
        if member.at_risk and member.state == model.IN_SERVICE and member.id not in replaced
    ]
    most = group.maximum + max(1, math.floor(group.desired * _EXCESS))
    room = most - sum(member.weight for member in group.members.values() if member.counts)
    chosen = waiting[: max(0, room)]
    if not chosen:
        return
    cause = f"At {model.moment(region.now())} an instance was launched in response to an EC2 instance rebalance recommendation."
    scaling.grow(
        region,
        group,
        sum(member.weight for member in chosen),
        cause=cause,
        replaces=tuple(member.id for member in chosen),
    )


# --- Reports


def set_health(region: Region, args: Args) -> Answer:
    """SetInstanceHealth. An unhealthy instance is replaced at once, except within the grace period."""
    status = str(args["HealthStatus"])
    if status not in (model.HEALTHY, model.UNHEALTHY):
        raise model.invalid(f"Invalid HealthStatus: {status}. Valid values are: [Healthy, Unhealthy].")
    group, member = model.managed(region, str(args["InstanceId"]))
    if not member.counts:
        raise model.invalid(f"The instance {member.id} is terminating; its health status cannot be changed.")
    grace_s = float(group.config.get("HealthCheckGracePeriod") or 0)
    since = member.in_service_at
    respects = args.get("ShouldRespectGracePeriod", True)
    if status == model.UNHEALTHY and respects and (since is None or region.now() < since + grace_s):
        return {}
    member.health = status
    if status == model.UNHEALTHY:
        region.later(region.world.settings.scaling_s, lambda: replace(region, group))
    return {}
