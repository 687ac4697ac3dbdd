"""The instances of groups: attached, detached, terminated, protected.

AWS: Auto Scaling user guide, "Detach or attach instances from your Auto Scaling group" ("Considerations for attaching
instances", "Considerations for detaching instances"), "Use instance scale-in protection"; API reference,
TerminateInstanceInAutoScalingGroup. The messages are recorded in AutoSpotting#407, ecs_deploy#47, ecs_deploy#56.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.autoscaling import activities, model, scaling
from aws_spot_sandbox.autoscaling.model import Member
from aws_spot_sandbox.ec2 import images, instances, machine
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from aws_spot_sandbox.autoscaling.model import Group
    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Answer, Args, Region

ATTACH_LIMIT, PROTECT_LIMIT = 20, 50


def attach(region: Region, args: Args) -> Answer:
    """All or none. Spot instances are attached as others are; they count towards the desired capacity."""
    group = model.find_living(region, args["AutoScalingGroupName"])
    ids = list(dict.fromkeys(args.get("InstanceIds") or ()))
    if not 1 <= len(ids) <= ATTACH_LIMIT:
        raise model.invalid(f"You must specify between 1 and {ATTACH_LIMIT} instance IDs.")
    try:
        machines = instances.find(region, ids)
    except AwsError as unknown:
        raise model.invalid(f"Invalid Instance ID(s): {unknown.message}") from unknown
    for candidate in machines:
        _check_attachable(region, group, candidate)
    if group.desired + len(ids) > group.maximum:
        raise model.invalid(
            f"AutoScalingGroup {group.name} has min-size={group.minimum}, max-size={group.maximum}, and "
            f"desired-size={group.desired}. To attach {len(ids)} instance{'s' * (len(ids) > 1)}, please update the "
            "AutoScalingGroup sizes appropriately."
        )
    for candidate in machines:
        _attach(region, group, candidate)
    return {}


def _check_attachable(region: Region, group: Group, candidate: Machine) -> None:
    if candidate.scaling_group:
        raise model.invalid(
            f"Instance {candidate.id} is already part of AutoScalingGroup:{candidate.scaling_group}"
        )
    if candidate.state != machine.RUNNING:
        raise model.invalid(
            f"Instance {candidate.id} is not in correct state. Instance(s) must be in 'running' state."
        )
    if candidate.zone not in group.config["zones"]:
        raise model.invalid(
            f"The availability zones of instance {candidate.id} and AutoScalingGroup {group.name} do not match."
        )
    try:
        images.find(region, str(candidate.moto.image_id))
    except AwsError as gone:
        raise model.invalid(f"The AMI of instance {candidate.id} does not exist: {gone.message}") from gone


def _attach(region: Region, group: Group, instance: Machine) -> None:
    """The group's propagated tags overwrite those of the instance (user guide, "Tagging lifecycle")."""
    before = group.desired
    group.desired += 1
    known = region.tags(instance.id)
    template = {}
    template_id = known.get("aws:ec2launchtemplate:id", "")
    if template_id in region.backend.launch_templates:
        template = {
            "LaunchTemplateId": template_id,
            "LaunchTemplateName": region.backend.launch_templates[template_id].name,
            "Version": known.get("aws:ec2launchtemplate:version", "1"),
        }
    member = Member(
        instance,
        template=template,
        state=model.IN_SERVICE,
        in_service_at=region.now(),
        protected=bool(group.config.get("NewInstancesProtectedFromScaleIn")),
        at_risk=instance.rebalance_at is not None,
    )
    group.members[instance.id] = member
    instance.scaling_group = group.name
    propagated = {key: value for key, (value, shared) in group.tags.items() if shared}
    region.set_tags(instance.id, {**propagated, model.NAME_TAG: group.name})
    cause = (
        f"At {model.moment(region.now())} an instance was started in response to a user request attaching instance "
        f"{instance.id}, increasing the capacity from {before} to {group.desired}."
    )
    activity = activities.record(
        region, group, f"Attaching an existing EC2 instance: {instance.id}", cause, zone=instance.zone
    )
    activity.end(region.now())


def detach(region: Region, args: Args) -> Answer:
    group = model.find_living(region, args["AutoScalingGroupName"])
    ids = list(dict.fromkeys(args.get("InstanceIds") or ()))
    if not 1 <= len(ids) <= ATTACH_LIMIT:
        raise model.invalid(f"You must specify between 1 and {ATTACH_LIMIT} instance IDs.")
    members = [_member(group, instance_id) for instance_id in ids]
    for member in members:
        if member.state != model.IN_SERVICE:
            raise model.invalid(f"The instance {member.id} is not in InService or Standby.")
    less = bool(args["ShouldDecrementDesiredCapacity"])
    if less and group.desired - len(ids) < group.minimum:
        raise model.invalid(
            f"AutoScalingGroup {group.name} has min-size={group.minimum}, max-size={group.maximum}, and "
            f"desired-size={group.desired}. To detach {len(ids)} instance{'s' * (len(ids) > 1)}, please update the "
            "AutoScalingGroup sizes appropriately."
        )
    rows = [_detach(region, group, member, less=less) for member in members]
    scaling.scale_later(region, group)
    return {"Activities": rows}


def _member(group: Group, instance_id: str) -> Member:
    if instance_id not in group.members:
        raise model.invalid(f"The instance {instance_id} is not part of Auto Scaling group {group.name}.")
    return group.members[instance_id]


def _detach(region: Region, group: Group, member: Member, *, less: bool) -> dict[str, Any]:
    before = group.desired
    group.desired -= member.weight if less else 0
    shrinks = f", shrinking the capacity from {before} to {group.desired}" if less else ""
    cause = f"At {model.moment(region.now())} instance {member.id} was detached in response to a user request{shrinks}."
    activity = activities.record(
        region, group, f"Detaching EC2 instance: {member.id}", cause, zone=member.machine.zone
    )
    row = activities.described(activity)
    activity.end(region.now())
    del group.members[member.id]
    member.machine.scaling_group = ""
    region.backend.tags.get(member.id, {}).pop(model.NAME_TAG, None)
    return row


def terminate(region: Region, args: Args) -> Answer:
    """One instance, or several of one group."""
    ids = list(args.get("InstanceIds") or ())
    if bool(ids) == bool(args.get("InstanceId")):
        raise model.invalid("Specify either InstanceId or InstanceIds.")
    if ids and not args.get("AutoScalingGroupName"):
        raise model.invalid("AutoScalingGroupName is required when using InstanceIds.")
    pairs = [model.managed(region, name) for name in ids or [str(args["InstanceId"])]]
    name = args.get("AutoScalingGroupName")
    for group, member in pairs:
        if name and group.name != name:
            raise model.invalid(f"The instance {member.id} is not part of Auto Scaling group {name}.")
    group = pairs[0][0]
    members = [member for _, member in pairs if member.counts]
    less = bool(args["ShouldDecrementDesiredCapacity"])
    if less and group.desired - sum(member.weight for member in members) < group.minimum:
        raise model.invalid(
            f"Currently, desiredSize equals minSize ({group.minimum}). Terminating instance without replacement will violate "
            "group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size."
        )
    if len(members) < len(pairs):
        ended = next(member for _, member in pairs if not member.counts)
        raise AwsError(
            "ScalingActivityInProgress",
            f"The instance {ended.id} is already being terminated by {group.name}.",
        )
    rows = [_terminate(region, group, member, less=less) for member in members]
    scaling.scale_later(region, group)
    return {"Activities": rows} if ids else {"Activity": rows[0]}


def _terminate(region: Region, group: Group, member: Member, *, less: bool) -> dict[str, Any]:
    before = group.desired
    group.desired -= member.weight if less else 0
    shrinks = f", shrinking the capacity from {before} to {group.desired}" if less else ""
    cause = (
        f"At {model.moment(region.now())} instance {member.id} was taken out of service in response to a user "
        f"request{shrinks}."
    )
    return activities.described(scaling.terminate(region, group, member, cause))


def protect(region: Region, args: Args) -> Answer:
    group = model.find_living(region, args["AutoScalingGroupName"])
    ids = list(args["InstanceIds"])
    if len(ids) > PROTECT_LIMIT:
        raise AwsError("LimitExceeded", f"You can specify up to {PROTECT_LIMIT} instance IDs.")
    for member in [_member(group, instance_id) for instance_id in ids]:
        member.protected = bool(args["ProtectedFromScaleIn"])
    return {}
