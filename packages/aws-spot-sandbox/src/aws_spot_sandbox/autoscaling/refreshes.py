"""Instance refreshes: started, cancelled, listed. rolling.py replaces the instances.

AWS: Auto Scaling API reference, StartInstanceRefresh, RefreshPreferences, CancelInstanceRefresh,
DescribeInstanceRefreshes; user guide, "Use an instance refresh to update instances in an Auto Scaling group".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.autoscaling import model, plan, rolling
from aws_spot_sandbox.autoscaling.pages import page
from aws_spot_sandbox.autoscaling.rolling import Refresh
from aws_spot_sandbox.ec2 import templates
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.autoscaling.model import Group, Member
    from aws_spot_sandbox.ec2.region import Answer, Args, Region

_UNSUPPORTED = ("AlarmSpecification", "AutoRollback", "BakeTime", "CheckpointDelay", "CheckpointPercentages")
_DEFAULT_MINIMUM, _WHOLE = 90, 100


def start(region: Region, args: Args) -> Answer:
    group = model.find_living(region, args["AutoScalingGroupName"])
    if rolling.active(group) is not None:
        raise AwsError(
            "InstanceRefreshInProgress",
            "An Instance Refresh is already in progress and blocks the execution of this one.",
        )
    if args.get("Strategy", "Rolling") != "Rolling":
        raise model.gap(f"the strategy {args['Strategy']} of instance refreshes")
    preferences = _preferences(group, args.get("Preferences") or {})
    desired = _desired(region, group, args.get("DesiredConfiguration") or {})
    refresh = Refresh(model.new_uuid(region), region.now(), preferences, desired)
    group.refreshes.append(refresh)
    group.refresh_config = desired
    refresh.old = {
        member.id
        for member in group.members.values()
        if member.counts and _is_old(region, group, member, preferences)
    }
    refresh.total = len(refresh.old)
    group.follower = rolling.advance
    region.later(region.world.settings.scaling_s, lambda: rolling.begin(region, group, refresh))
    return {"InstanceRefreshId": refresh.id}


def _preferences(group: Group, given: Mapping[str, Any]) -> dict[str, Any]:
    """With AWS's defaults. Raises AwsError."""
    for key in _UNSUPPORTED:
        if given.get(key):
            raise model.gap(f"{key} of instance refreshes")
    least, most = given.get("MinHealthyPercentage"), given.get("MaxHealthyPercentage")
    if most is not None and least is None:
        raise model.invalid(
            "If you specify MaxHealthyPercentage, you must also specify MinHealthyPercentage."
        )
    policy = group.config.get("InstanceMaintenancePolicy") or {}
    if least is None:
        least = policy.get("MinHealthyPercentage", _DEFAULT_MINIMUM)
        most = policy.get("MaxHealthyPercentage", _WHOLE)
    most = _WHOLE if most is None else most
    if most - least > _WHOLE:
        raise model.invalid(
            "The difference between MinHealthyPercentage and MaxHealthyPercentage must be at most 100."
        )
    warmup = given.get("InstanceWarmup")
    if warmup is None:
        default = int(group.config.get("DefaultInstanceWarmup", -1))
        warmup = default if default >= 0 else int(group.config.get("HealthCheckGracePeriod") or 0)
    return {
        "ScaleInProtectedInstances": "Wait",
        "SkipMatching": False,
        **given,
        "MinHealthyPercentage": int(least),
        "MaxHealthyPercentage": int(most),
        "InstanceWarmup": int(warmup),
    }


def _desired(region: Region, group: Group, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The launch parameters of the new instances; None for those of the group. Raises AwsError."""
    if not given:
        return None
    desired = plan.normalised(region, given)
    kept = {key: value for key, value in group.config.items() if key not in model.LAUNCH_KEYS}
    config = {**kept, **desired}
    plan.check_launch(region, config, plan.subnets(region, config))
    return desired


def _is_old(region: Region, group: Group, member: Member, preferences: Mapping[str, Any]) -> bool:
    if member.protected and preferences["ScaleInProtectedInstances"] == "Ignore":
        return False
    return not (preferences["SkipMatching"] and _matches(region, group, member))


def _matches(region: Region, group: Group, member: Member) -> bool:
    """Whether the member has the launch template, the version and a type of the desired configuration."""
    for override in plan.overrides(group.launch_config):
        version = templates.version(region, override["LaunchTemplateSpecification"])
        named = (version.template.id, str(version.number))
        same = named == (member.template.get("LaunchTemplateId"), member.template.get("Version"))
        if same and override.get("InstanceType", member.machine.type) == member.machine.type:
            return True
    return False


def cancel(region: Region, args: Args) -> Answer:
    """The launches and terminations in progress end first, unless the call says otherwise."""
    group = model.find_living(region, args["AutoScalingGroupName"])
    refresh = rolling.active(group)
    if refresh is None:
        raise AwsError("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found.")
    refresh.status = rolling.CANCELLING
    refresh.waits = bool(args.get("WaitForTransitioningInstances", True))
    region.later(region.world.settings.scaling_s, lambda: rolling.advance(region, group))
    return {"InstanceRefreshId": refresh.id}


def describe(region: Region, args: Args) -> Answer:
    """The newest first, of the last six weeks."""
    group = model.find(region, args["AutoScalingGroupName"])
    ids = args.get("InstanceRefreshIds") or ()
    rows = [
        refresh
        for refresh in reversed(group.refreshes)
        if refresh.started >= region.now() - model.KEPT_S and (not ids or refresh.id in ids)
    ]
    shown, token = page(rows, args)
    return {"InstanceRefreshes": [_described(group, refresh) for refresh in shown], "NextToken": token}


def _described(group: Group, refresh: Refresh) -> dict[str, Any]:
    left = rolling.remaining(group, refresh)
    done = _WHOLE if not refresh.total else (refresh.total - left) * _WHOLE // refresh.total
    return {
        "InstanceRefreshId": refresh.id,
        "AutoScalingGroupName": group.name,
        "Status": refresh.status,
        "StatusReason": refresh.reason or None,
        "StartTime": refresh.started,
        "EndTime": refresh.ended,
        "PercentageComplete": done,
        "InstancesToUpdate": left,
        "Preferences": refresh.preferences,
        "DesiredConfiguration": refresh.desired,
        "Strategy": "Rolling",
    }
