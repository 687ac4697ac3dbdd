"""The authorization requests of Auto Scaling's calls.

AWS: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2 Auto Scaling"; Auto Scaling
user guide, "Control Amazon EC2 launch template usage in Auto Scaling groups" (the caller needs the permissions of the
launch), "Launching instances with synchronous provisioning".
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from moto.backends import get_backend

from aws_spot_sandbox.ec2.codec import QueryCodec
from aws_spot_sandbox.iam import ec2_arns, launch_asks
from aws_spot_sandbox.iam.policy_evaluator import Ask
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_spot_sandbox.http_types import Call

Args = dict[str, Any]
_TAGGING = frozenset({"CreateAutoScalingGroup", "CreateOrUpdateTags", "DeleteTags"})


@cache
def _codec() -> QueryCodec:
    return QueryCodec("autoscaling")


def _args(call: Call) -> Args:
    return _codec().parse(call.action, call.params) if _codec().knows(call.action) else {}


def direct(call: Call) -> list[Ask]:
    """The action on each group of the call; lists have no resource-level permissions."""
    name = f"autoscaling:{call.action}"
    if not call.mutates:
        return [Ask(name)]
    args = _args(call)
    tags = ec2_arns.tag_dict(args.get("Tags")) if call.action in _TAGGING else {}
    asks = [thing.ask(name) for thing in _groups(call.region, args)]
    return [Ask(name, ask.resource, {**ask.context, **ec2_arns.requested(tags)}) for ask in asks] or [
        Ask(name)
    ]


def _groups(region: str, args: Args) -> Iterator[ec2_arns.Thing]:
    known = _known(region)
    names = [args.get("AutoScalingGroupName"), *(tag.get("ResourceId") for tag in args.get("Tags") or ())]
    ids = {args.get("InstanceId"), *(args.get("InstanceIds") or ())}
    names += [name for name, group in known.items() if ids & set(group.members)]
    for name in dict.fromkeys(filter(None, names)):
        group = known.get(name)
        where = ec2_arns.arn("autoscaling", region, f"autoScalingGroup:*:autoScalingGroupName/{name}")
        yield ec2_arns.Thing(group.arn if group else where, group.plain_tags() if group else {})


def _known(region: str) -> dict[str, Any]:
    groups: dict[str, Any] = getattr(get_backend("ec2")[ACCOUNT_ID][region], "scaling_groups", {})
    return groups


def behind(call: Call) -> list[Ask]:
    """The permissions of the launches that the call leads to."""
    args = _args(call)
    if call.action == "LaunchInstances":
        group = _known(call.region).get(str(args.get("AutoScalingGroupName")))
        sources = list(_sources(group.config)) if group else []
        asks = [
            ec2_arns.of_ec2(call.region, template_id(call.region, source)).ask("ec2:CreateFleet")
            for source in sources
        ]
        return [*asks, Ask("ec2:DescribeLaunchTemplateVersions")]
    if call.action not in ("CreateAutoScalingGroup", "UpdateAutoScalingGroup"):
        return []
    subnet_id = str(args.get("VPCZoneIdentifier") or "").partition(",")[0].strip()
    return [
        ask
        for source in _sources(args)
        for ask in _launch(call.region, source, subnet_id, spot="MixedInstancesPolicy" in args)
    ]


def _launch(region: str, source: Args, subnet_id: str, *, spot: bool) -> Iterator[Ask]:
    data = launch_asks.template_data(region, {"LaunchTemplate": source})
    if not data:
        return
    where = {"SubnetId": subnet_id} if subnet_id else {}
    named = {"LaunchTemplate": {"LaunchTemplateId": template_id(region, source)}}
    yield from launch_asks.launch(region, {**data, **where, **named}, spot=spot)


def _sources(config: Args) -> Iterator[Args]:
    """The launch templates."""
    if config.get("LaunchTemplate"):
        yield config["LaunchTemplate"]
    policy = (config.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}
    if policy.get("LaunchTemplateSpecification"):
        yield policy["LaunchTemplateSpecification"]
    for override in policy.get("Overrides") or ():
        if override.get("LaunchTemplateSpecification"):
            yield override["LaunchTemplateSpecification"]


def template_id(region: str, source: Args) -> str:
    """The id of the template that a specification names."""
    known = get_backend("ec2")[ACCOUNT_ID][region].launch_template_name_to_ids
    return str(source.get("LaunchTemplateId") or known.get(source.get("LaunchTemplateName")) or "")
