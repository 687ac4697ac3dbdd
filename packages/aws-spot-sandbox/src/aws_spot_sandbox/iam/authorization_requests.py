"""The authorization requests of a call: its action on each resource, and the actions that it implies.

AWS: Service Authorization Reference, of each service; EC2 User Guide, "Grant permission to tag Amazon EC2 resources
during creation" (ec2:CreateTags with ec2:CreateAction); "EC2 Fleet prerequisites"; IAM User Guide, "Grant a user
permissions to pass a role to an AWS service".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import launch_parameters
from aws_spot_sandbox.ec2.codec import Codec
from aws_spot_sandbox.iam import ec2_arns, launch_asks, non_ec2_arns, scaling_group_asks
from aws_spot_sandbox.iam.policy_evaluator import Ask, Context
from aws_spot_sandbox.services import s3, s3_operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_spot_sandbox.http_types import Call, Handler

Args = dict[str, Any]
# IAM's prefixes of services that have a different signing name.
_PREFIXES = {"monitoring": "cloudwatch", "tagging": "tag"}
# The parameters whose ids EC2 authorizes, where it does not authorize every id of the call.
_ONLY = {
    "CreateRoute": ("RouteTableId",),
    "AuthorizeSecurityGroupIngress": ("GroupId",),
    "AuthorizeSecurityGroupEgress": ("GroupId",),
    "RevokeSecurityGroupIngress": ("GroupId",),
    "RevokeSecurityGroupEgress": ("GroupId",),
    "CreateLaunchTemplate": (),
    "CreateLaunchTemplateVersion": ("LaunchTemplateId",),
    "CreateFlowLogs": ("ResourceIds",),
    "CreateImage": ("InstanceId",),
    "CopyImage": (),
}
# EC2's read actions with resource-level permissions; all others have none.
_NARROW_READS = frozenset({"DescribeInstanceAttribute", "GetConsoleOutput"})
_MADE_BY = {
    "CreateVpc": "vpc",
    "CreateSubnet": "subnet",
    "CreateInternetGateway": "internet-gateway",
    "CreateSecurityGroup": "security-group",
    "CreateLaunchTemplate": "launch-template",
    "CreateVolume": "volume",
    "AllocateAddress": "elastic-ip",
}
SERVICE_ROLE = "iam:CreateServiceLinkedRole"
# The service-linked roles that the sandbox has, by service.
SERVICE_ROLES = {
    "autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling",
    "spot.amazonaws.com": "AWSServiceRoleForEC2Spot",
}


def action_of(call: Call) -> str:
    """The action's name in policies. A REST call has no action; it follows from method and path."""
    service = _PREFIXES.get(call.service, call.service)
    return f"{service}:{call.action or _rest_action(call)}"


def names_things(action: str) -> bool:
    """Whether an action has resource-level permissions: few reads of EC2; elsewhere those in non_ec2_arns.py."""
    service, _, name = action.partition(":")
    if service == "ec2":
        return name in _NARROW_READS or not name.startswith(("Describe", "Get"))
    return (
        (service == "s3" and name != "ListAllMyBuckets")
        or (service == "autoscaling" and not name.startswith("Describe"))
        or action in non_ec2_arns.ABOUT
        or action in _BEHIND
    )


# Actions with resource-level permissions that are implied by another call, or whose resource does not exist yet.
_BEHIND = frozenset(
    {
        *("iam:CreateInstanceProfile", "iam:CreateRole", "iam:CreateServiceLinkedRole", "iam:PassRole"),
        *("iam:TagInstanceProfile", "iam:TagRole", "ssm:AddTagsToResource"),
    }
)


class Asker:
    """Derives the authorization requests of calls. `last`: the services without any stage, to query resources."""

    def __init__(self, last: Handler) -> None:
        self._last = last
        self._codec = Codec()

    def direct(self, call: Call) -> list[Ask]:
        """The permissions for the call itself."""
        if call.service == "ec2":
            return list(self._ec2(call))
        if call.service == "s3":
            return _s3(call)
        if call.service == "autoscaling":
            return scaling_group_asks.direct(call)
        return list(_other_services(call))

    def behind(self, call: Call) -> list[Ask]:
        """The permissions for the launches of a fleet or group: the caller launches, tags and passes the role."""
        if call.service == "autoscaling":
            return scaling_group_asks.behind(call)
        if call.name != "ec2:CreateFleet":
            return []
        args = self._codec.parse(call.action, call.params)
        spot = (args.get("TargetCapacitySpecification") or {}).get("DefaultTargetCapacityType") == "spot"
        return [
            ask
            for data in launch_asks.fleet_launches(call.region, args)
            for ask in launch_asks.launch(call.region, data, spot=spot)
        ]

    def refused_fleet(self, call: Call, *, code: str, message: str) -> bytes:
        """The reply for a fleet without permission to launch: an error per override."""
        args = self._codec.parse(call.action, call.params)
        shown = [
            {"LaunchTemplateSpecification": config.get("LaunchTemplateSpecification"), "Overrides": override}
            for config in args.get("LaunchTemplateConfigs") or ()
            for override in config.get("Overrides") or [{}]
        ]
        errors = [
            {
                "LaunchTemplateAndOverrides": tag,
                "Lifecycle": "spot",
                "ErrorCode": code,
                "ErrorMessage": message,
            }
            for tag in shown
        ]
        answer = {"FleetId": "fleet-00000000-0000-0000-0000-000000000000", "Instances": [], "Errors": errors}
        return self._codec.render(call.action, answer, request_id="5a9d0000-0000-4000-8000-00000000f1ee")

    def _ec2(self, call: Call) -> Iterator[Ask]:
        name = f"ec2:{call.action}"
        if not self._codec.knows(call.action) or not (call.mutates or call.action in _NARROW_READS):
            yield Ask(name)
            return
        args = self._codec.parse(call.action, call.params)
        if call.action == "RunInstances":
            data = launch_parameters.merged(launch_asks.template_data(call.region, args), args)
            market = (data.get("InstanceMarketOptions") or {}).get("MarketType")
            yield from launch_asks.launch(call.region, data, spot=market == "spot")
            return
        if call.action in {"CreateTags", "DeleteTags"}:
            tags = ec2_arns.tag_dict(args.get("Tags"))
            for resource_id in args.get("Resources") or ():
                ask = ec2_arns.of_ec2(call.region, resource_id).ask(name)
                yield Ask(name, ask.resource, {**ask.context, **ec2_arns.requested(tags)})
            return
        about = [*self._existing(call, args), *_source_image(call, args), *_new(call, args)]
        yield from [thing.ask(name) for thing in about] or [Ask(name)]
        for thing in about:
            if thing.fresh and thing.tags:
                yield thing.ask("ec2:CreateTags", ec2__CreateAction=call.action)

    def _existing(self, call: Call, args: Args) -> list[ec2_arns.Thing]:
        keys = _ONLY.get(call.action)
        if call.action == "CreateFleet":
            # The template, and the overrides' subnets and images; the template's ids are authorized for RunInstances.
            configs: Any = args.get("LaunchTemplateConfigs")
        elif call.action == "DeletePlacementGroup":
            configs = [ec2_arns.placement_group(self._last, call.region, str(args.get("GroupName")))]
        else:
            configs = [value for key, value in args.items() if keys is None or key in keys]
        ids = list(ec2_arns.ids_in(configs))
        for value in args.values():
            if isinstance(value, str):
                ids += ec2_arns.attached(self._last, call.region, value)
        return [ec2_arns.of_ec2(call.region, resource_id) for resource_id in dict.fromkeys(ids)]


def _source_image(call: Call, args: Args) -> list[ec2_arns.Thing]:
    """Of CopyImage, in its own region. The reference lists `image` without saying which of the two: here it is both."""
    if call.action != "CopyImage":
        return []
    return [ec2_arns.of_ec2(str(args.get("SourceRegion")), str(args.get("SourceImageId")))]


def _new(call: Call, args: Args) -> list[ec2_arns.Thing]:
    tags = launch_parameters.tags_by_kind(args.get("TagSpecifications"))
    if call.action in {"CreateImage", "CopyImage"}:
        tags = {"image": {}, "snapshot": {}, **tags}
    if call.action == "CreateFleet":
        # For instances only the call's own tags count, not the template's.
        tags = {"fleet": {}, "instance": {}, **tags}
    elif not tags and call.action in _MADE_BY:
        tags = {_MADE_BY[call.action]: {}}
    return [ec2_arns.new_in_ec2(call.region, kind, own) for kind, own in tags.items()]


def service_role(service: str) -> Ask:
    """Creation of a service-linked role."""
    name = f"role/aws-service-role/{service}/{SERVICE_ROLES.get(service, 'AWSServiceRole')}"
    return Ask(SERVICE_ROLE, ec2_arns.arn("iam", "", name), {"iam:AWSServiceName": (service,)})


# --- Services other than EC2


def _members(call: Call) -> Args:
    """The parameters, in JSON services with their types."""
    try:
        content = json.loads(call.body) if call.body[:1] == b"{" else None
    except ValueError:
        content = None
    if isinstance(content, dict):
        return content
    args: Args = dict(call.params)
    for key, value in call.params.items():  # AlarmNames.member.1
        name, middle, _ = key.partition(".member.")
        if middle:
            args.setdefault(name, []).append(value)
    return args


def _other_services(call: Call) -> Iterator[Ask]:
    name, args = action_of(call), _members(call)
    about = non_ec2_arns.ABOUT.get(name)
    if name in {"iam:CreateRole", "iam:CreateInstanceProfile"}:
        yield from _new_in_iam(name, args)
        return
    if name == SERVICE_ROLE:
        yield service_role(str(args.get("AWSServiceName")))
        return
    things: list[ec2_arns.Thing] = about(call.region, args) if about else []
    if name == "ssm:PutParameter" and args.get("Tags"):
        tags = ec2_arns.requested(ec2_arns.tag_dict(args["Tags"]))
        for action in (name, "ssm:AddTagsToResource"):
            ask = things[0].ask(action)
            yield Ask(action, ask.resource, {**ask.context, **tags})
        return
    yield from [thing.ask(name) for thing in things] or [Ask(name)]
    if name == "iam:AddRoleToInstanceProfile":
        passed = non_ec2_arns.role(args["RoleName"])
        yield passed.ask("iam:PassRole", iam__PassedToService="ec2.amazonaws.com")


def _new_in_iam(name: str, args: Args) -> Iterator[Ask]:
    kind = name.removeprefix("iam:Create")
    path = args.get("Path") or "/"
    thing = (
        non_ec2_arns.role(args["RoleName"], path=path)
        if kind == "Role"
        else non_ec2_arns.profile(args["InstanceProfileName"], path=path)
    )
    keys = sorted(key for key in args if key.startswith("Tags.member.") and key.endswith(".Key"))
    tags = {args[key]: args.get(key.removesuffix("Key") + "Value", "") for key in keys}
    new = ec2_arns.Thing(thing.arn, tags, fresh=True)
    yield new.ask(name)
    if tags:
        yield new.ask(f"iam:Tag{kind}")


# --- REST calls


def _rest_action(call: Call) -> str:
    if call.service == "s3":
        return s3_operations.action(call.rest)
    return call.rest or call.http.path.rpartition("/")[2]  # …/operation/DescribeAlarms


def _s3(call: Call) -> list[Ask]:
    """S3's actions have either a bucket or its objects as resources."""
    action = f"s3:{s3_operations.action(call.rest)}"
    bucket, key = s3_operations.bucket_and_key(call.http)
    if not bucket:
        return [Ask(action)]
    where = f"arn:aws:s3:::{bucket}"
    if call.rest == "DeleteObjects":
        return _deletions(call, where)
    if call.rest == "DeleteObject" and "versionId" in call.params:
        action = "s3:DeleteObjectVersion"
    if key:
        return [Ask(action, f"{where}/{key}")]
    prefix = call.params.get("prefix")
    listed: Context = {"s3:prefix": (prefix,)} if prefix is not None and action.startswith("s3:List") else {}
    asks = [Ask(action, where, listed)]
    tags = dict(s3.tags_in(call.body)) if call.rest == "CreateBucket" else {}
    if tags:
        asks.append(Ask("s3:TagResource", where, ec2_arns.requested(tags)))
    return asks


def _deletions(call: Call, where: str) -> list[Ask]:
    return [
        Ask(f"s3:DeleteObject{'Version' if version else ''}", f"{where}/{key}")
        for key, version in dict.fromkeys(s3.deleted_in(call.body))
    ]
