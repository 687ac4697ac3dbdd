"""Auto Scaling's calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_spot_sandbox.autoscaling import (
    activities,
    described,
    groups,
    health,
    members,
    model,
    processes,
    refreshes,
    schedules,
    synchronous,
    tags,
)
from aws_spot_sandbox.ec2.codec import QueryCodec
from aws_spot_sandbox.http_types import AwsError, Call, Handler, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.ec2.region import Action, Args, Region

ANSWERS: Mapping[str, Action] = {
    "AttachInstances": members.attach,
    "CancelInstanceRefresh": refreshes.cancel,
    "CreateAutoScalingGroup": groups.create,
    "CreateOrUpdateTags": tags.create_or_update,
    "DeleteAutoScalingGroup": groups.delete,
    "DeleteScheduledAction": schedules.delete,
    "DeleteTags": tags.delete,
    "DescribeAutoScalingGroups": described.describe_groups,
    "DescribeAutoScalingInstances": described.describe_instances,
    "DescribeInstanceRefreshes": refreshes.describe,
    "DescribeScalingActivities": activities.describe,
    "DescribeScalingProcessTypes": processes.describe_types,
    "DescribeScheduledActions": schedules.describe,
    "DescribeTags": tags.describe,
    "DetachInstances": members.detach,
    "LaunchInstances": synchronous.launch,
    "PutScheduledUpdateGroupAction": schedules.put,
    "ResumeProcesses": processes.resume,
    "SetDesiredCapacity": groups.set_desired,
    "SetInstanceHealth": health.set_health,
    "SetInstanceProtection": members.protect,
    "StartInstanceRefresh": refreshes.start,
    "SuspendProcesses": processes.suspend,
    "TerminateInstanceInAutoScalingGroup": members.terminate,
    "UpdateAutoScalingGroup": groups.update,
}
_NO_CONFIGURATIONS = (
    "The Launch Configuration creation operation is not available in your account. Use launch templates to create "
    "configuration templates for your Auto Scaling groups."
)


class AutoScaling:
    def __init__(self) -> None:
        self._codec = QueryCodec("autoscaling")
        self._requests = 0

    def __call__(self, region: Region, call: Call, moto: Handler) -> Reply:
        del moto  # its groups would launch outside of the sandbox's pools, prices, quotas and clock
        if call.action == "CreateLaunchConfiguration":  # AWS: none in accounts created since October 2024
            raise AwsError("UnsupportedOperation", _NO_CONFIGURATIONS)
        if call.action not in ANSWERS:
            raise model.gap(call.name)
        args = self._codec.parse(call.action, call.params)
        if call.mutates:
            _check_lag(region, call, args)
        elif call.access_key_id:  # the sandbox's own inventory has all groups
            settings = region.world.settings
            args[described.LAG] = settings.list_lag_s.get(call.action, settings.read_lag_s)
        answer = ANSWERS[call.action](region, args)
        region.advance()  # what is due at once
        self._requests += 1
        number = f"5a9d0000-0000-4000-9000-{self._requests:012x}"
        return Reply(self._codec.render(call.action, answer, request_id=number))


def _check_lag(region: Region, call: Call, args: Args) -> None:
    """Changes find a new group after half the lag of reads, as those of EC2 find a new resource."""
    group = model.of(region).groups.get(str(args.get("AutoScalingGroupName")))
    if group is None or call.action == "CreateAutoScalingGroup":
        return
    if region.now() < group.created + region.world.settings.read_lag_s / 2:
        raise model.invalid(f"AutoScalingGroup name not found - AutoScalingGroup '{group.name}' not found")
