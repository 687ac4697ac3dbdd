"""Auto Scaling groups, limited to launching and terminating. moto launches; the sandbox terminates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from moto.backends import get_backend

from aws_spot_sandbox.ec2 import machine, spot
from aws_spot_sandbox.http_types import AwsError, Reply
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox.http_types import Call, Handler

NAME_TAG = "aws:autoscaling:groupName"
DELETING = "Delete in progress"
_EMPTY = (
    b"<DeleteAutoScalingGroupResponse xmlns='http://autoscaling.amazonaws.com/doc/2011-01-01/'>"
    b"</DeleteAutoScalingGroupResponse>"
)


def answer(region: Region, call: Call, moto: Handler) -> Reply:
    """Moto's reply, except for the deletion of a group."""
    machine.adopt(region)
    if call.action == "DeleteAutoScalingGroup":
        return _delete(region, call, moto)
    reply = moto(call)
    machine.adopt(region)
    if call.action != "DescribeAutoScalingGroups" or not region.ending_groups:
        return reply
    body = reply.body.decode()
    for name in region.ending_groups:
        mark = f"<AutoScalingGroupName>{re.escape(name)}</AutoScalingGroupName>"
        body = re.sub(rf"({mark})(?!<Status>)", rf"\1<Status>{DELETING}</Status>", body, count=1)
    return Reply(body.encode(), reply.status, reply.content_type)


def _groups(region: Region) -> dict[str, Any]:
    row: dict[str, Any] = get_backend("autoscaling")[ACCOUNT_ID][region.name].autoscaling_groups
    return row


def members(region: Region, name: str) -> list[Machine]:
    return [
        instance
        for instance in region.machines.values()
        if instance.alive and region.tags(instance.id).get(NAME_TAG) == name
    ]


def _delete(region: Region, call: Call, moto: Handler) -> Reply:
    """AWS: Auto Scaling API Reference, DeleteAutoScalingGroup: with ForceDelete the instances are terminated first;
    until then the group is listed as `Delete in progress`.
    """
    name = call.params.get("AutoScalingGroupName", "")
    if name not in _groups(region):
        return moto(call)
    alive = members(region, name)
    if alive and call.params.get("ForceDelete", "").lower() != "true":
        raise AwsError(
            "ResourceInUse",
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
            "still in the group.",
        )
    if name not in region.ending_groups:
        region.ending_groups.add(name)
        for instance in alive:
            machine.shut_down(region, instance, code=machine.USER_SHUTDOWN, by_user=True)
            spot.close(region, instance, status="instance-terminated-by-user")
        region.later(region.world.settings.terminate_s if alive else 0.0, lambda: _forget(region, name))
    return Reply(_EMPTY)


def _forget(region: Region, name: str) -> None:
    region.ending_groups.discard(name)
    _groups(region).pop(name, None)


def terminate(region: Region, ids: Iterable[str]) -> list[Any]:
    """Replaces moto's termination, which is immediate."""
    machine.adopt(region)
    for instance_id in ids:
        if instance_id in region.machines:
            machine.shut_down(region, region.machines[instance_id], code=machine.USER_SHUTDOWN, by_user=True)
    return []


def refill_later(region: Region, ended: Machine) -> None:
    """A group replaces terminated instances (Auto Scaling user guide, "Health checks")."""
    name = region.tags(ended.id).get(NAME_TAG)
    if name:
        region.later(region.world.settings.refill_s, lambda: _refill(region, name))


def _refill(region: Region, name: str) -> None:
    group = _groups(region).get(name)
    if group is None or name in region.ending_groups:
        return
    alive = {
        member.id for member in members(region, name) if member.state in (machine.PENDING, machine.RUNNING)
    }
    group.instance_states = [
        instance_state for instance_state in group.instance_states if instance_state.instance.id in alive
    ]
    missing = int(group.desired_capacity or 0) - len(alive)
    if missing > 0:
        group.replace_autoscaling_group_instances(missing, group.get_propagated_tags())
        machine.adopt(region)
