"""Keeps the desired capacity of groups: launches over all zones and pools, and terminations.

AWS: Auto Scaling user guide, "Auto Scaling benefits for application architecture" ("Instance distribution": the zone with
the fewest instances first; a launch that fails in one zone is tried in another), "Allocation strategies", "Control which
Auto Scaling instances terminate during scale in".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.autoscaling import activities, model, plan
from aws_spot_sandbox.autoscaling.model import Group, Member
from aws_spot_sandbox.ec2 import fleets, machine, spot
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aws_spot_sandbox.ec2.fleets import Fleet
    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region

# AWS retries failed launches with a growing delay; it does not publish the delays.
LONGEST_RETRY_S = 300.0
SPOT_SERVICE = "spot.amazonaws.com"
_SHORT_OF_CAPACITY = frozenset({"InsufficientInstanceCapacity", "UnfulfillableCapacity"})


def scale_later(region: Region, group: Group, cause: str = "") -> None:
    """Adapt the group to its desired capacity. A change by the user ends the delay after failures."""
    if cause:
        group.cause, group.failures, group.retry_at = cause, 0, 0.0
    region.later(region.world.settings.scaling_s, lambda: scale(region, group))


def scale(region: Region, group: Group) -> None:
    """Launch or terminate up to the desired capacity, unless processes are suspended or a retry is not due."""
    if group.deleting or model.of(region).groups.get(group.name) is not group:
        return
    missing = group.desired - group.capacity
    if missing > 0 and group.runs("Launch") and region.now() >= group.retry_at:
        grow(region, group, missing)
    elif missing < 0 and group.runs("Terminate"):
        _shrink(region, group, -missing)
    group.cause = ""


# --- Launches


def grow(
    region: Region,
    group: Group,
    units: int,
    *,
    cause: str = "",
    replaces: tuple[str, ...] = (),
    only: str = "",
) -> list[Member]:
    """Launch `units` over the zones, balanced as far as their capacity allows. Failures are activities. `only`: one zone."""
    try:
        config = group.launch_config
        by_zone = plan.subnets(region, config)
    except AwsError as gone:
        activities.refused(region, group, gone.message, cause or activities.grows(region, group, units))
        _failed(region, group)
        return []
    reason = cause or activities.grows(region, group, units)
    born: list[Member] = []
    missing, zones = units, {zone for zone in by_zone if only in ("", zone)}
    while missing > 0 and zones:
        for zone, share in _shares(group, zones, missing).items():
            fresh, refusal = _launch(region, group, config, by_zone[zone], share)
            for member in fresh:
                member.replaces = replaces[len(born)] if len(born) < len(replaces) else ""
                activities.launched(region, group, member, reason)
                born.append(member)
            missing -= sum(member.weight for member in fresh)
            if refusal:
                zones.discard(zone)
                activities.refused(region, group, refusal, reason, zone=zone, subnet=by_zone[zone][0])
    if born:
        group.failures, group.retry_at = 0, 0.0
    if missing > 0 and not only:
        _failed(region, group)
    return born


def _failed(region: Region, group: Group) -> None:
    group.failures += 1
    delay_s = region.world.settings.health_check_s * 2 ** min(group.failures - 1, 8)
    group.retry_at = region.now() + min(LONGEST_RETRY_S, delay_s)


def _shares(group: Group, zones: Iterable[str], units: int) -> dict[str, int]:
    """How many units each zone gets, so that the zones have equal numbers as far as possible."""
    counts = dict.fromkeys(sorted(zones), 0)
    for member in group.members.values():
        if member.counts and member.machine.zone in counts:
            counts[member.machine.zone] += member.weight
    shares = dict.fromkeys(counts, 0)
    for _ in range(units):
        zone = min(counts, key=lambda name: counts[name])
        counts[zone] += 1
        shares[zone] += 1
    return {zone: share for zone, share in shares.items() if share}


def _launch(
    region: Region, group: Group, config: Mapping[str, Any], subnet_ids: list[str], units: int
) -> tuple[list[Member], str]:
    """The new members, and why there are not more; empty if there are."""
    try:
        is_spot = plan.is_spot(region, config)
        _use_spot_role(region, needed=is_spot)
        fleet = fleets.launch_once(
            region, plan.fleet_args(region, group, config, subnet_ids, units), spot=is_spot
        )
    except AwsError as refusal:
        return [], refusal.message
    members = join(region, group, fleet)
    if sum(member.weight for member in members) >= units:
        return members, ""
    return members, _reason(fleet, mixed="MixedInstancesPolicy" in config)


def _use_spot_role(region: Region, *, needed: bool) -> None:
    """The role of Auto Scaling may create that of spot instances (AWS managed policy AutoScalingServiceRolePolicy)."""
    roles = region.world.settings.service_roles
    if needed and SPOT_SERVICE not in roles:
        roles.append(SPOT_SERVICE)


def join(region: Region, group: Group, fleet: Fleet) -> list[Member]:
    """The instances of the fleet as members of the group."""
    members = []
    for pool in fleet.pools:
        for instance in pool.machines:
            member = Member(
                instance,
                template=_named(region, pool.shown["LaunchTemplateSpecification"]),
                weight=max(1, int(pool.weight)),
                weighted="WeightedCapacity" in pool.shown["Overrides"],
                protected=bool(group.config.get("NewInstancesProtectedFromScaleIn")),
            )
            instance.scaling_group = group.name
            group.members[member.id] = member
            members.append(member)
            region.later(region.world.settings.pending_s, _arrival(region, group, member))
    return members


def _named(region: Region, specification: Mapping[str, str]) -> dict[str, str]:
    template = region.backend.launch_templates[specification["LaunchTemplateId"]]
    return {**specification, "LaunchTemplateName": template.name}


def _arrival(region: Region, group: Group, member: Member) -> Callable[[], None]:
    return lambda: arrive(region, group, member)


def arrive(region: Region, group: Group, member: Member) -> None:
    """A pending member is in service when its instance runs, or its launch has failed."""
    if member.state != model.PENDING or group.members.get(member.id) is not member:
        return
    activity, member.launch = member.launch, None
    if member.machine.state == machine.RUNNING:
        member.state, member.in_service_at = model.IN_SERVICE, region.now()
        if activity is not None:
            activity.end(region.now())
        group.scaled_at = region.now()
        _end_replaced(region, group, member)
        group.changed(region)
    elif activity is not None:
        reason = member.machine.moto.state_reason.message or "Instance ended"
        activity.end(
            region.now(),
            status=model.FAILED,
            message="Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: "
            + str(reason),
        )


def _end_replaced(region: Region, group: Group, member: Member) -> None:
    """Only those at risk or in a zone with more: an instance refresh waits for the warm-up of the new instance first."""
    replaced = group.members.get(member.replaces)
    if replaced is None or not (replaced.counts and group.runs("Terminate")):
        return
    if replaced.at_risk:
        now = model.moment(region.now())
        cause = f"At {now} an instance was taken out of service in response to an EC2 instance rebalance recommendation."
        terminate(region, group, replaced, cause)
    elif replaced.moving:
        terminate(region, group, replaced, activities.shrinks(region, group, [replaced]))


def _reason(fleet: Fleet, *, mixed: bool) -> str:
    """AWS's words: of a fleet with its error code, of a single launch without."""
    refusals = [pool.refusal for pool in fleet.pools if pool.refusal is not None]
    if not refusals:
        return "Internal error on launch"
    short = [refusal for refusal in refusals if refusal.code in _SHORT_OF_CAPACITY]
    first = next((refusal for refusal in refusals if refusal.code not in _SHORT_OF_CAPACITY), refusals[0])
    code, text = first.code, first.message
    if len(short) == len(refusals) > 1:
        code, text = "UnfulfillableCapacity", fleets.UNFULFILLABLE
    if not mixed:
        return text
    market = "Spot" if fleet.spot else "On-Demand"
    return f"Could not launch {market} Instances. {code} - {text}"


# --- Terminations


def terminate(region: Region, group: Group, member: Member, cause: str) -> model.Activity:
    """Begin to terminate the member's instance. It is listed until the instance is terminated."""
    activity = activities.terminating(region, group, member, cause)
    if member.launch is not None:
        member.launch.end(region.now(), status="Cancelled", message="The instance was terminated.")
        member.launch = None
    member.state = model.TERMINATING
    machine.shut_down(region, member.machine, code=machine.USER_SHUTDOWN, by_user=True)
    spot.close(region, member.machine, status="instance-terminated-by-user")
    region.later(region.world.settings.terminate_s, lambda: _finish(region, group, member, activity))
    return activity


def _finish(region: Region, group: Group, member: Member, activity: model.Activity) -> None:
    activity.end(region.now())
    group.members.pop(member.id, None)
    group.scaled_at = region.now()
    group.changed(region)


def _shrink(region: Region, group: Group, units: int) -> None:
    chosen: list[Member] = []
    while units > 0:
        member = _victim(region, group, chosen)
        if member is None or member.weight > units:
            break
        chosen.append(member)
        units -= member.weight
    cause = activities.shrinks(region, group, chosen)
    for member in chosen:
        terminate(region, group, member, cause)


def first_to_leave(region: Region, group: Group, zone: str) -> Member | None:
    """The member in service in this zone that the termination policy ends first; None without one."""
    free = [
        member
        for member in group.members.values()
        if member.machine.zone == zone and member.state == model.IN_SERVICE and not member.protected
    ]
    return min(free, key=lambda member: _order(region, group, member), default=None)


def _victim(region: Region, group: Group, chosen: list[Member]) -> Member | None:
    """The default policy: in the zone with the most instances, the oldest launch template first, then the instance that
    is closest to the next billing hour. Protected instances are never chosen.
    """
    left = [member for member in group.members.values() if member.counts and member not in chosen]
    counts: dict[str, int] = {}
    for member in left:
        counts[member.machine.zone] = counts.get(member.machine.zone, 0) + member.weight
    free = [member for member in left if not member.protected and not group.surplus(member)]
    if not free:
        return None
    most = max(counts[member.machine.zone] for member in free)
    return min(
        (member for member in free if counts[member.machine.zone] == most),
        key=lambda member: _order(region, group, member),
    )


def _order(region: Region, group: Group, member: Member) -> tuple[Any, ...]:
    policy = (group.config.get("TerminationPolicies") or ["Default"])[0]
    instance: Machine = member.machine
    version = int(member.template.get("Version") or 0)
    if policy == "NewestInstance":
        return (-instance.launched_at, -instance.order)
    if policy == "OldestInstance":
        return (instance.launched_at, instance.order)
    if policy == "ClosestToNextInstanceHour":
        return (-((region.now() - instance.launched_at) % 3600), instance.order)
    unhealthy_first = member.health == model.HEALTHY
    return (unhealthy_first, version, -((region.now() - instance.launched_at) % 3600), instance.order)
