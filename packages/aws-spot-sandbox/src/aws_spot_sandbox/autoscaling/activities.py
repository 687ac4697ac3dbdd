"""Scaling activities: the record of every launch and termination of a group, in AWS's words.

AWS: Auto Scaling user guide, "Verify a scaling activity", "Troubleshooting Amazon EC2 Auto Scaling"; recorded in
cortexlabs/cortex#1258, buildkite/elastic-ci-stack-for-aws#851, aws-deepracer-community/deepracer-on-the-spot#55.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.autoscaling import model
from aws_spot_sandbox.autoscaling.model import Activity, Group, Member, moment
from aws_spot_sandbox.autoscaling.pages import page

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.region import Answer, Args, Region

DELETED, ALIVE = "Deleted", "InService"
_FILTERS = ("StartTimeLowerBound", "StartTimeUpperBound", "Status")


def record(
    region: Region, group: Group, description: str, cause: str, *, zone: str = "", subnet: str = ""
) -> Activity:
    """Begin an activity."""
    details = {"Subnet ID": subnet, "Availability Zone": zone} if zone else {}
    activity = Activity(
        model.new_uuid(region),
        group.name,
        group.arn,
        description,
        cause[:1023],
        region.now(),
        json.dumps(details, separators=(",", ":")),
    )
    group.activities.append(activity)
    return activity


def launched(region: Region, group: Group, member: Member, cause: str) -> Activity:
    card = next(iter(member.machine.moto.nics.values()))
    text = f"Launching a new EC2 instance: {member.id}"
    member.launch = record(region, group, text, cause, zone=member.machine.zone, subnet=card.subnet.id)
    return member.launch


def refused(
    region: Region, group: Group, message: str, cause: str, *, zone: str = "", subnet: str = ""
) -> Activity:
    """A launch that failed. AWS appends the reason to the description."""
    message = f"{message.rstrip('.')}. Launching EC2 instance failed."
    text = f"Launching a new EC2 instance.  Status Reason: {message}"
    activity = record(region, group, text, cause, zone=zone, subnet=subnet)
    activity.end(region.now(), status=model.FAILED, message=message)
    return activity


def terminating(region: Region, group: Group, member: Member, cause: str) -> Activity:
    card = next(iter(member.machine.moto.nics.values()), None)
    activity = record(
        region,
        group,
        f"Terminating EC2 instance: {member.id}",
        cause,
        zone=member.machine.zone,
        subnet=card.subnet.id if card else "",
    )
    activity.progress = 0
    return activity


def grows(region: Region, group: Group, count: int) -> str:
    """The cause of launches up to the desired capacity."""
    before = sum(member.counts for member in group.members.values())
    reason = (
        f"At {moment(region.now())} an instance was started in response to a difference between desired and actual "
        f"capacity, increasing the capacity from {before} to {before + count}."
    )
    return f"{group.cause}  {reason}" if group.cause else reason


def shrinks(region: Region, group: Group, chosen: list[Member]) -> str:
    """The cause of terminations down to the desired capacity."""
    now, before = moment(region.now()), sum(member.counts for member in group.members.values())
    reason = (
        f"At {now} an instance was taken out of service in response to a difference between desired and actual capacity, "
        f"shrinking the capacity from {before} to {before - len(chosen)}."
    )
    selected = "  ".join(f"At {now} instance {member.id} was selected for termination." for member in chosen)
    return "  ".join(filter(None, (group.cause, reason, selected)))


def describe(region: Region, args: Args) -> Answer:
    """The newest first. Unknown ids are ignored; an unknown group is an error only on its own."""
    state = model.of(region)
    rows = [activity for group in state.groups.values() for activity in group.activities]
    if args.get("IncludeDeletedGroups"):
        rows += state.ended
    name = args.get("AutoScalingGroupName")
    if name:
        rows = [activity for activity in rows if activity.group == name]
        if not rows:
            model.find(region, name)
    if args.get("ActivityIds"):
        rows = [activity for activity in rows if activity.id in args["ActivityIds"]]
    rows = [
        activity
        for activity in rows
        if activity.started >= region.now() - model.KEPT_S and _passes(activity, args.get("Filters") or ())
    ]
    rows.sort(key=lambda activity: activity.started)
    rows.reverse()
    shown, token = page(rows, args, most=100, default=100)
    return {"Activities": [described(activity) for activity in shown], "NextToken": token}


def _passes(activity: Activity, conditions: Any) -> bool:
    for condition in conditions:
        name, values = condition.get("Name"), condition.get("Values") or [""]
        if name not in _FILTERS:
            raise model.invalid(
                f"Filter '{name}' is not supported. Supported filters: {', '.join(_FILTERS)}."
            )
        if name == "Status" and activity.status not in values:
            return False
        if name == "StartTimeLowerBound" and activity.started < _time(values[0]):
            return False
        if name == "StartTimeUpperBound" and activity.started > _time(values[0]):
            return False
    return True


def _time(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise model.invalid(f"The time '{text}' is not valid.") from None


def described(activity: Activity) -> dict[str, Any]:
    return {
        "ActivityId": activity.id,
        "AutoScalingGroupName": activity.group,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.started,
        "EndTime": activity.ended,
        "StatusCode": activity.status,
        "StatusMessage": activity.message[:255] or None,
        "Progress": activity.progress,
        "Details": activity.details,
        "AutoScalingGroupState": DELETED if activity.deleted else ALIVE,
        "AutoScalingGroupARN": activity.arn,
    }


def prune(region: Region, group: Group) -> None:
    """Forget those that AWS no longer returns."""
    oldest = region.now() - model.KEPT_S
    if group.activities and group.activities[0].started < oldest:
        group.activities = [activity for activity in group.activities if activity.started >= oldest]
