"""Groups: created, changed, deleted.

AWS: Auto Scaling API reference, CreateAutoScalingGroup, UpdateAutoScalingGroup, SetDesiredCapacity,
DeleteAutoScalingGroup; user guide, "Quotas for Auto Scaling resources and groups".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.autoscaling import health, model, plan, scaling, tags
from aws_spot_sandbox.autoscaling.model import Group
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.ec2.region import Answer, Args, Region

GROUPS_LIMIT = 500  # per region
_DAY_S = 86400
_UNSUPPORTED = (
    "AvailabilityZoneIds", "AvailabilityZoneImpairmentPolicy", "CapacityReservationSpecification", "InstanceId",
    "InstanceLifecyclePolicy", "LaunchConfigurationName", "LifecycleHookSpecificationList", "LoadBalancerNames", "Operator",
    "MaxInstanceLifetime", "PlacementGroup", "TargetGroupARNs", "TrafficSources",
)  # fmt: skip
_DEFAULTS: Mapping[str, Any] = {
    "CapacityRebalance": False,
    "DefaultCooldown": 300,
    "DeletionProtection": "none",
    "HealthCheckGracePeriod": 0,
    "HealthCheckType": "EC2",
    "NewInstancesProtectedFromScaleIn": False,
    "TerminationPolicies": ["Default"],
}
_POLICIES = frozenset(
    {
        *("AllocationStrategy", "ClosestToNextInstanceHour", "Default", "NewestInstance", "OldestInstance"),
        *("OldestLaunchConfiguration", "OldestLaunchTemplate"),
    }
)
_NOT_NEGATIVE = ("DefaultCooldown", "HealthCheckGracePeriod", "MinSize", "MaxSize", "DesiredCapacity")
_WHERE = ("VPCZoneIdentifier", "AvailabilityZones")


def create(region: Region, args: Args) -> Answer:
    state, name = model.of(region), str(args["AutoScalingGroupName"])
    if name in state.groups:
        ends = " and is pending delete" if state.groups[name].deleting else ""
        raise AwsError(
            "AlreadyExists",
            f"AutoScalingGroup by this name already exists - A group with the name {name} already exists{ends}",
        )
    if ":" in name or not name.isascii() or not name.isprintable():
        raise model.invalid(f"The name '{name}' must have ASCII characters only, and no colon (:).")
    limit = region.world.settings.quotas.get("scaling_groups", GROUPS_LIMIT)
    if len(state.groups) >= limit:
        raise AwsError("LimitExceeded", f"{limit} AutoScalingGroups already exist in this region.")
    config = {**_DEFAULTS, **_checked(region, {}, args)}
    new_tags = tags.checked(args.get("Tags") or (), name)
    least, most = int(args["MinSize"]), int(args["MaxSize"])
    desired = int(args.get("DesiredCapacity", least))
    _check_sizes(least, most, desired)
    group = Group(
        name,
        model.arn(region, "autoScalingGroup", f"autoScalingGroupName/{name}"),
        region.now(),
        config,
        least,
        most,
        desired,
        tags=new_tags,
    )
    state.groups[name] = group
    cause = (
        f"At {model.moment(region.now())} a user request created an AutoScalingGroup changing the desired capacity from 0 "
        f"to {desired}."
    )
    scaling.scale_later(region, group, cause)
    health.start(region, group)
    return {}


def _checked(region: Region, before: Mapping[str, Any], args: Args) -> dict[str, Any]:
    """The parameters of the call, checked, with the group's zones. Raises AwsError."""
    _check_plain(args)
    given = {
        key: value
        for key, value in args.items()
        if key not in ("AutoScalingGroupName", "MinSize", "MaxSize", "DesiredCapacity", "Tags")
        and key not in model.LAUNCH_KEYS
    }
    if any(key in args for key in model.LAUNCH_KEYS) or not before:
        given |= plan.normalised(region, {key: args.get(key) for key in model.LAUNCH_KEYS})
    if "VPCZoneIdentifier" in given and "AvailabilityZones" not in given:
        given["AvailabilityZones"] = None
    config = {
        **before,
        **{key: None for key in model.LAUNCH_KEYS if any(name in given for name in model.LAUNCH_KEYS)},
        **given,
    }
    config = {key: value for key, value in config.items() if value is not None}
    by_zone = plan.subnets(region, config)
    if not before or any(key in given for key in (*model.LAUNCH_KEYS, *_WHERE)):
        plan.check_launch(region, config, by_zone)
    config["zones"] = list(by_zone)
    return config


def _check_plain(args: Args) -> None:
    for key in _UNSUPPORTED:
        if args.get(key):
            raise model.gap(f"{key} of Auto Scaling groups")
    for key in _NOT_NEGATIVE:
        if args.get(key) is not None and int(args[key]) < 0:
            raise model.invalid(f"{key} must not be negative.")
    if int(args.get("DefaultInstanceWarmup") or 0) < -1:
        raise model.invalid("DefaultInstanceWarmup must not be negative.")
    kinds = [word.strip() for word in str(args.get("HealthCheckType") or "EC2").split(",")]
    if not set(kinds) <= {"EC2", "EBS", "ELB", "VPC_LATTICE"}:
        raise model.invalid(f"Invalid health check type: {args['HealthCheckType']}")
    for policy in args.get("TerminationPolicies") or ():
        if policy not in _POLICIES:
            raise model.invalid(f"Invalid termination policy: {policy}")
    if args.get("DesiredCapacityType", "units") != "units":
        raise model.gap("a desired capacity in other units than instances")
    _check_maintenance(args.get("InstanceMaintenancePolicy") or {})


def _check_maintenance(policy: Mapping[str, Any]) -> None:
    """API reference, InstanceMaintenancePolicy."""
    least, most = policy.get("MinHealthyPercentage"), policy.get("MaxHealthyPercentage")
    if least in (None, -1) and most in (None, -1):
        return
    if least is None or most is None or not 0 <= least <= 100 <= most <= 200 or most - least > 100:  # noqa: PLR2004 - percentages
        raise model.invalid(
            "MinHealthyPercentage must be between 0 and 100, MaxHealthyPercentage between 100 and 200, and their difference "
            "at most 100."
        )


def _check_sizes(least: int, most: int, desired: int) -> None:
    if most < least:
        raise model.invalid(f"Max bound, {most}, must be greater than or equal to min bound, {least}")
    if not least <= desired <= most:
        raise model.invalid(
            f"Desired capacity:{desired} must be between the specified min size:{least} and max size:{most}"
        )


def update(region: Region, args: Args) -> Answer:
    """Without a desired capacity, the present one is moved between the new bounds."""
    group = model.find_living(region, args["AutoScalingGroupName"])
    config = _checked(region, group.config, args)
    least, most = int(args.get("MinSize", group.minimum)), int(args.get("MaxSize", group.maximum))
    desired = int(args.get("DesiredCapacity", max(least, min(most, group.desired))))
    _check_sizes(least, most, desired)
    group.config = config
    resize(
        region, group, least, most, desired, words="a user request update of AutoScalingGroup constraints to"
    )
    return {}


def resize(region: Region, group: Group, least: int, most: int, desired: int, *, words: str) -> None:
    """Change the sizes, and adapt the group. `words`: who changed them."""
    before, group.minimum, group.maximum, group.desired = group.desired, least, most, desired
    change = f" changing the desired capacity from {before} to {desired}" if desired != before else ""
    cause = f"At {model.moment(region.now())} {words} min: {least}, max: {most}, desired: {desired}{change}."
    scaling.scale_later(region, group, cause)


def set_desired(region: Region, args: Args) -> Answer:
    group = model.find_living(region, args["AutoScalingGroupName"])
    desired = int(args["DesiredCapacity"])
    for wrong, side, bound in (
        (desired > group.maximum, "above max", group.maximum),
        (desired < group.minimum, "below min", group.minimum),
    ):
        if wrong:
            raise model.invalid(
                f"New SetDesiredCapacity value {desired} is {side} value {bound} for the AutoScalingGroup."
            )
    if args.get("HonorCooldown"):
        _check_cooldown(region, group)
    before, group.desired = group.desired, desired
    cause = (
        f"At {model.moment(region.now())} a user request explicitly set group desired capacity changing the desired capacity "
        f"from {before} to {desired}."
    )
    scaling.scale_later(region, group, cause)
    return {}


def _check_cooldown(region: Region, group: Group) -> None:
    cooldown_s = float(group.config.get("DefaultCooldown") or 0)
    busy = [activity for activity in group.activities if activity.ended is None]
    recent = group.scaled_at is not None and region.now() < group.scaled_at + cooldown_s
    if busy or recent:
        activity = (busy or group.activities)[-1]
        raise AwsError(
            "ScalingActivityInProgress",
            f"Scaling activity {activity.id} is in progress and blocks this action",
        )


def delete(region: Region, args: Args) -> Answer:
    """With ForceDelete the instances are terminated first; until then the group is listed as `Delete in progress`."""
    group = model.find(region, args["AutoScalingGroupName"])
    force = bool(args.get("ForceDelete"))
    _check_protection(group, force=force)
    if group.members and not force:
        raise AwsError(
            "ResourceInUse",
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in "
            "the group.",
        )
    if any(activity.ended is None for activity in group.activities) and not force:
        raise AwsError(
            "ScalingActivityInProgress",
            "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.",
        )
    if group.deleting:
        return {}
    cause = (
        f"At {model.moment(region.now())} an instance was taken out of service in response to a user request to delete the "
        "group."
    )
    for member in list(group.members.values()):
        if member.counts:
            scaling.terminate(region, group, member, cause)
    group.status = model.DELETING
    wait_s = region.world.settings.terminate_s if group.members else 0.0
    region.later(wait_s, lambda: _forget(region, group))
    return {}


def _check_protection(group: Group, *, force: bool) -> None:
    protection = group.config.get("DeletionProtection")
    if protection == "prevent-all-deletion" or (protection == "prevent-force-deletion" and force):
        raise model.invalid(
            f"You cannot delete AutoScalingGroup {group.name} because its deletion protection is {protection}."
        )


def _forget(region: Region, group: Group) -> None:
    state = model.of(region)
    if state.groups.get(group.name) is group:
        del state.groups[group.name]
    for activity in group.activities:
        activity.deleted = True
    oldest = region.now() - model.KEPT_S
    state.ended = [activity for activity in (*state.ended, *group.activities) if activity.started >= oldest]
