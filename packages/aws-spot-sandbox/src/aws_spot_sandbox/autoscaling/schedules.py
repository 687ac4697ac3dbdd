"""Scheduled actions, which change the sizes of a group at a time or again and again.

AWS: Auto Scaling user guide, "Scheduled scaling" ("Considerations": at most 125 a group, unique start times, up to two
minutes late); API reference, PutScheduledUpdateGroupAction. The text of AlreadyExists is recorded in TerraConstructs/base#127.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.autoscaling import cron, groups, model
from aws_spot_sandbox.autoscaling.pages import page
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from aws_spot_sandbox.autoscaling.model import Group
    from aws_spot_sandbox.ec2.region import Answer, Args, Region

ACTIONS_LIMIT = 125
_SIZES = ("MinSize", "MaxSize", "DesiredCapacity")


@dataclass
class ScheduledAction:
    name: str
    arn: str
    args: dict[str, Any]
    due: float


def put(region: Region, args: Args) -> Answer:
    """Create an action, or change the one with the name: what is not given is unset."""
    group = model.find_living(region, args["AutoScalingGroupName"])
    name = str(args["ScheduledActionName"])
    given = {
        key: value
        for key, value in args.items()
        if key not in ("AutoScalingGroupName", "ScheduledActionName")
    }
    if given.get("Time") is not None:
        if given.get("StartTime", given["Time"]) != given["Time"]:
            raise model.invalid("Time and StartTime must be identical if both are specified.")
        given["StartTime"] = given["Time"]
    if all(given.get(key) is None for key in _SIZES):
        raise model.invalid("At least one of MinSize, MaxSize, and DesiredCapacity must be specified.")
    _check_sizes(given)
    due = _first(region, given)
    if name not in group.schedules and len(group.schedules) >= ACTIONS_LIMIT:
        raise AwsError(
            "LimitExceeded",
            f"You have reached the limit of {ACTIONS_LIMIT} scheduled actions per Auto Scaling group.",
        )
    if any(action.due == due for action in group.schedules.values() if action.name != name):
        raise AwsError("AlreadyExists", "Scheduled action with this scheduled start time already exists")
    if name in group.schedules:
        arn = group.schedules[name].arn
    else:
        arn = model.arn(
            region,
            "scheduledUpdateGroupAction",
            f"autoScalingGroupName/{group.name}:scheduledActionName/{name}",
        )
    _plan(region, group, ScheduledAction(name, arn, given, due))
    return {}


def _check_sizes(given: Args) -> None:
    sizes = [
        int(given[key]) for key in ("MinSize", "DesiredCapacity", "MaxSize") if given.get(key) is not None
    ]
    if any(size < 0 for size in sizes):
        raise model.invalid("MinSize, MaxSize and DesiredCapacity must not be negative.")
    if sizes != sorted(sizes):
        raise model.invalid("The desired capacity must be between the min size and the max size.")


def _first(region: Region, given: Args) -> float:
    """When the action is due first. Raises AwsError."""
    now, start, end = region.now(), given.get("StartTime"), given.get("EndTime")
    if start is not None and start <= now:
        raise model.invalid("Given start time is in the past")
    if end is not None and end <= (now if start is None else start):
        raise model.invalid("The end time must be after the start time.")
    if given.get("Recurrence") is None:
        if given.get("TimeZone"):
            raise model.invalid("A time zone needs a recurrence.")
        if start is None:
            raise model.invalid("Either a start time or a recurrence must be specified.")
        return float(start)
    due = float(start) if start is not None else _next(given, now)
    if due is None:
        raise model.invalid(f"The recurrence '{given['Recurrence']}' never happens.")
    return due


def _next(given: Args, after: float) -> float | None:
    try:
        recurrence = cron.parse(str(given["Recurrence"]))
        where = cron.zone(str(given.get("TimeZone") or "UTC"))
    except ValueError as wrong:
        raise model.invalid(str(wrong)) from wrong
    return cron.following(recurrence, after, where)


def _plan(region: Region, group: Group, action: ScheduledAction) -> None:
    group.schedules[action.name] = action
    late_s = region.world.settings.schedule_delay_s
    region.later(action.due + late_s - region.now(), lambda: _run(region, group, action))


def _run(region: Region, group: Group, action: ScheduledAction) -> None:
    if group.schedules.get(action.name) is not action or group.deleting:
        return  # deleted or replaced
    _plan_again(region, group, action)
    if not group.runs("ScheduledActions"):
        return
    given = action.args
    least = int(given.get("MinSize") if given.get("MinSize") is not None else group.minimum)
    most = int(given.get("MaxSize") if given.get("MaxSize") is not None else group.maximum)
    wanted = given.get("DesiredCapacity")
    desired = max(least, min(most, group.desired if wanted is None else int(wanted)))
    if least <= most:
        groups.resize(
            region,
            group,
            least,
            most,
            desired,
            words=f"the scheduled action {action.name} executed, a scheduled update of AutoScalingGroup constraints to",
        )


def _plan_again(region: Region, group: Group, action: ScheduledAction) -> None:
    """The next time of a recurring action; others are done."""
    end = action.args.get("EndTime")
    due = _next(action.args, region.now()) if action.args.get("Recurrence") is not None else None
    if due is None or (end is not None and due > end):
        del group.schedules[action.name]
        return
    _plan(region, group, ScheduledAction(action.name, action.arn, action.args, due))


def delete(region: Region, args: Args) -> Answer:
    group = model.find(region, args["AutoScalingGroupName"])
    if group.schedules.pop(str(args["ScheduledActionName"]), None) is None:
        raise model.invalid("Scheduled action name not found")
    return {}


def describe(region: Region, args: Args) -> Answer:
    """The actions that have not run or not reached their end, the earliest first."""
    name, names = args.get("AutoScalingGroupName"), args.get("ScheduledActionNames") or ()
    found = [model.find(region, name)] if name else list(model.of(region).groups.values())
    pairs = [
        (action, group)
        for group in found
        for action in group.schedules.values()
        if action.name in names or (not names and _within(action, args))
    ]
    pairs.sort(key=lambda pair: (pair[0].due, pair[0].name))
    shown, token = page(pairs, args)
    rows = [_described(action, group) for action, group in shown]
    return {"ScheduledUpdateGroupActions": rows, "NextToken": token}


def _within(action: ScheduledAction, args: Args) -> bool:
    earliest, latest = args.get("StartTime"), args.get("EndTime")
    return (earliest is None or action.due >= earliest) and (latest is None or action.due <= latest)


def _described(action: ScheduledAction, group: Group) -> dict[str, Any]:
    return {
        **{key: action.args.get(key) for key in (*_SIZES, "EndTime", "Recurrence", "TimeZone")},
        "AutoScalingGroupName": group.name,
        "ScheduledActionName": action.name,
        "ScheduledActionARN": action.arn,
        "StartTime": action.due,
        "Time": action.due,
    }
