"""The authorization requests of a launch: RunInstances on all resources, and the actions implied by tags and profile.

AWS: EC2 User Guide, "Grant permission to tag Amazon EC2 resources during creation"; "EC2 Fleet prerequisites".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.backends import get_backend

from aws_spot_sandbox.ec2 import launch_parameters
from aws_spot_sandbox.iam import ec2_arns, non_ec2_arns
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_spot_sandbox.iam.policy_evaluator import Ask

Args = dict[str, Any]
_LAUNCHED = ("instance", "volume", "network-interface")
_SPOT = ("spot-instances-request",)


def fleet_launches(region: str, args: Args) -> Iterator[Args]:
    extra = [
        specification
        for specification in args.get("TagSpecifications") or ()
        if specification.get("ResourceType") != "fleet"
    ]
    for config in args.get("LaunchTemplateConfigs") or ():
        specification = config.get("LaunchTemplateSpecification") or {}
        data = launch_parameters.merged(
            template_data(region, {"LaunchTemplate": specification}), {"TagSpecifications": extra}
        )
        for override in config.get("Overrides") or [{}]:
            yield {**data, **override, "LaunchTemplate": specification}


def template_data(region: str, args: Args) -> Args:
    specification = args.get("LaunchTemplate") or {}
    backend: Any = get_backend("ec2")[ACCOUNT_ID][region]
    named = backend.launch_template_name_to_ids.get(specification.get("LaunchTemplateName"))
    template = backend.launch_templates.get(specification.get("LaunchTemplateId") or named)
    if template is None:
        return {}
    number = str(specification.get("Version") or "$Default")
    version = {"$Latest": template.latest_version, "$Default": template.default_version}.get(number)
    data: Args = dict((version() if callable(version) else template.get_version(int(number))).data)
    return data


def launch(region: str, data: Args, *, spot: bool = False) -> Iterator[Ask]:
    """RunInstances on all resources used and created, and the actions implied by tags and profile."""
    interfaces = data.get("NetworkInterfaces") or [{}]
    used = [
        data.get("ImageId"),
        data.get("SubnetId") or interfaces[0].get("SubnetId"),
        (data.get("LaunchTemplate") or {}).get("LaunchTemplateId"),
        *(data.get("SecurityGroupIds") or ()),
        *(interfaces[0].get("Groups") or ()),
    ]
    vpc_arn = ec2_arns.vpc_of(region, str(data.get("SubnetId") or interfaces[0].get("SubnetId") or ""))
    if not (data.get("SecurityGroupIds") or interfaces[0].get("Groups")):
        used += ec2_arns.default_group(region, vpc_arn.rpartition("/")[2])
    for unknown in dict.fromkeys(filter(None, used)):
        yield ec2_arns.of_ec2(region, unknown).ask("ec2:RunInstances")
    tags = launch_parameters.tags_by_kind(data.get("TagSpecifications"))
    for kind in dict.fromkeys((*_LAUNCHED, *(_SPOT if spot else ()), *tags)):
        new = ec2_arns.new_in_ec2(region, kind, tags.get(kind, {}), vpc_arn=vpc_arn)
        yield new.ask("ec2:RunInstances")
        if new.tags:
            yield new.ask("ec2:CreateTags", ec2__CreateAction="RunInstances")
    named = data.get("IamInstanceProfile") or {}
    profile = named.get("Name") or str(named.get("Arn") or "").rpartition("/")[2]
    for name in non_ec2_arns.roles_in(profile) if profile else ():
        yield non_ec2_arns.role(name).ask("iam:PassRole", iam__PassedToService="ec2.amazonaws.com")
