"""Suspended processes of a group (Auto Scaling user guide, "Suspend and resume Amazon EC2 Auto Scaling processes")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_spot_sandbox.autoscaling import model, scaling

if TYPE_CHECKING:
    from aws_spot_sandbox.autoscaling.model import Group
    from aws_spot_sandbox.ec2.region import Answer, Args, Region


def suspend(region: Region, args: Args) -> Answer:
    group, names = _named(region, args)
    for name in names:
        group.suspended[name] = f"User suspended at {model.moment(region.now())}"
    return {}


def resume(region: Region, args: Args) -> Answer:
    group, names = _named(region, args)
    for name in names:
        group.suspended.pop(name, None)
    scaling.scale_later(region, group)
    return {}


def _named(region: Region, args: Args) -> tuple[Group, list[str]]:
    """The group, and the processes of the call; without any, all."""
    group = model.find_living(region, args["AutoScalingGroupName"])
    names = list(args.get("ScalingProcesses") or model.PROCESSES)
    for name in names:
        if name not in model.PROCESSES:
            raise model.invalid(f"Invalid process name: {name}")
    return group, names


def describe_types(region: Region, args: Args) -> Answer:
    del region, args
    return {"Processes": [{"ProcessName": name} for name in sorted(model.PROCESSES)]}
