"""What a call is about: ARNs and the tags that the things carry now, asked of moto's own stores."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.backends import get_backend

from bacalhau_spot.sandbox.ec2.tags import kind_of
from bacalhau_spot.sandbox.iam.language import Ask, Context
from bacalhau_spot.sandbox.wire import Call
from bacalhau_spot.sandbox.world import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bacalhau_spot.sandbox.wire import Handler

Tags = dict[str, str]
# Their ARNs name no account.
_PUBLIC = frozenset({"image", "snapshot"})


@dataclass(frozen=True)
class Thing:
    """Something that a policy can name. `fresh`: it is only being made, and the tags are those of the request."""

    arn: str
    tags: Mapping[str, str]
    fresh: bool = False
    vpc_arn: str = ""

    def ask(self, action: str, **more: str) -> Ask:
        key = "aws:RequestTag" if self.fresh else "aws:ResourceTag"
        context: Context = {f"{key}/{name}": (value,) for name, value in self.tags.items()}
        if self.fresh and self.tags:
            context["aws:TagKeys"] = tuple(self.tags)
        if self.vpc_arn:
            context["ec2:Vpc"] = (self.vpc_arn,)
        return Ask(
            action, self.arn, context | {name.replace("__", ":"): (value,) for name, value in more.items()}
        )


def arn(service: str, region: str, rest: str, *, account: str = ACCOUNT_ID) -> str:
    return f"arn:aws:{service}:{region}:{account}:{rest}"


def tag_dict(rows: Iterable[Mapping[str, str]] | None) -> Tags:
    return {row["Key"]: row.get("Value", "") for row in rows or ()}


# --- EC2


def of_ec2(region: str, resource_id: str) -> Thing:
    """Something of EC2's that exists, or whose id is at least like one."""
    backend: Any = get_backend("ec2")[ACCOUNT_ID][region]
    kind = kind_of(resource_id)
    return Thing(
        ec2_arn(region, kind, resource_id),
        dict(backend.tags.get(resource_id) or {}),
        vpc_arn=_vpc(backend, region, kind, resource_id),
    )


def ec2_arn(region: str, kind: str, resource_id: str) -> str:
    return arn("ec2", region, f"{kind}/{resource_id}", account="" if kind in _PUBLIC else ACCOUNT_ID)


def new_in_ec2(region: str, kind: str, tags: Mapping[str, str]) -> Thing:
    return Thing(ec2_arn(region, kind, "*"), tags, fresh=True)


def _vpc(backend: Any, region: str, kind: str, resource_id: str) -> str:
    if kind != "subnet":
        return ""
    found = [subnets[resource_id] for subnets in backend.subnets.values() if resource_id in subnets]
    return ec2_arn(region, "vpc", found[0].vpc_id) if found else ""


_ID = re.compile(r"[a-z]+-[0-9a-z-]{8,}")


def ids_in(value: Any) -> Iterator[str]:
    """Everything in a call's parameters that is an id of EC2's."""
    if isinstance(value, str):
        if _ID.fullmatch(value) and kind_of(value):
            yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from ids_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from ids_in(inner)


# Ids of attachments -> the call that knows what is attached, its filter, and the elements that name it.
_ATTACHMENTS = {
    "eni-attach": (
        "DescribeNetworkInterfaces",
        "attachment.attachment-id",
        ("networkInterfaceId", "instanceId"),
    ),
    "eipassoc": ("DescribeAddresses", "association-id", ("allocationId", "networkInterfaceId")),
    "rtbassoc": ("DescribeRouteTables", "association.route-table-association-id", ("routeTableId",)),
}


def attached(ec2: Handler, region: str, attachment_id: str) -> list[str]:
    """The ids of what an attachment joins, by the attachment's own id."""
    prefix = attachment_id.rpartition("-")[0]
    if prefix not in _ATTACHMENTS:
        return []
    action, name, elements = _ATTACHMENTS[prefix]
    params = {"Filter.1.Name": name, "Filter.1.Value.1": attachment_id}
    text = ec2(Call("ec2", region, action, params)).body.decode()
    return list(dict.fromkeys(re.findall(rf"<(?:{'|'.join(elements)})>([a-z]+-[0-9a-z]+)<", text)))


def placement_group(ec2: Handler, region: str, name: str) -> str:
    """Its id; the name where there is none."""
    text = ec2(Call("ec2", region, "DescribePlacementGroups", {"GroupName.1": name})).body.decode()
    found = re.search(r"<groupId>([^<]+)<", text)
    return found[1] if found else name


# --- Beside EC2


def _of(service: str, region: str) -> Any:
    return get_backend(service)[ACCOUNT_ID][region]


def _iam() -> Any:
    return get_backend("iam")[ACCOUNT_ID]["aws"]


def role(name: str, *, path: str = "/") -> Thing:
    """`path` is taken where it does not exist yet."""
    found = next((one for one in _iam().roles.values() if one.name == name), None)
    where = found.path if found else path
    return Thing(arn("iam", "", f"role{where}{name}"), tag_dict(found.tags if found else None))


def profile(name: str, *, path: str = "/") -> Thing:
    found = next((one for one in _iam().instance_profiles.values() if one.name == name), None)
    where = found.path if found else path
    return Thing(arn("iam", "", f"instance-profile{where}{name}"), tag_dict(found.tags if found else None))


def roles_in(profile_name: str) -> list[str]:
    found = next((one for one in _iam().instance_profiles.values() if one.name == profile_name), None)
    return [one.name for one in found.roles] if found else []


def managed_policy(policy_arn: str) -> Thing:
    found = _iam().managed_policies.get(policy_arn)
    tags = found.tags if found else {}
    return Thing(policy_arn, tag_dict(tags.values() if isinstance(tags, dict) else tags))


def parameter(region: str, name: str) -> Thing:
    public = name.startswith("/aws/")
    where = arn("ssm", region, f"parameter/{name.lstrip('/')}", account="" if public else ACCOUNT_ID)
    tags = _of("ssm", region)._resource_tags.get("Parameter", {})  # noqa: SLF001 - its method refuses what does not exist
    return Thing(where, dict(tags.get(name, {})))


def secret(region: str, name_or_arn: str) -> Thing:
    for one in _of("secretsmanager", region).secrets.values():
        if name_or_arn in {one.name, one.arn}:
            return Thing(one.arn, tag_dict(one.tags))
    return Thing(arn("secretsmanager", region, f"secret:{name_or_arn}"), {})


def rule(region: str, name: str, bus: str) -> Thing:
    where = arn("events", region, f"rule/{bus}/{name}" if bus not in {"", "default"} else f"rule/{name}")
    return Thing(where, _of("events", region).tagger.get_tag_dict_for_resource(where))


def alarm(region: str, name: str) -> Thing:
    where = arn("cloudwatch", region, f"alarm:{name}")
    return Thing(where, _of("cloudwatch", region).tagger.get_tag_dict_for_resource(where))


def queue(region: str, url: str) -> Thing:
    name = url.rpartition("/")[2]
    found = _of("sqs", region).queues.get(name)
    return Thing(arn("sqs", region, name), dict(found.tags) if found else {})


def topic(region: str, topic_arn: str) -> Thing:
    found = _of("sns", region).topics.get(topic_arn)
    return Thing(topic_arn, dict(found._tags) if found else {})  # noqa: SLF001 - it has no other door


def log_group(region: str, name: str) -> Thing:
    where = arn("logs", region, f"log-group:{name}")
    return Thing(where, _of("logs", region).tagger.get_tag_dict_for_resource(where))


def scaling_group(region: str, name: str) -> Thing:
    found = _of("autoscaling", region).autoscaling_groups.get(name)
    where = arn("autoscaling", region, f"autoScalingGroup:*:autoScalingGroupName/{name}")
    return Thing(found.arn if found else where, tag_dict(found.tags if found else None))


# (service, action) -> the things that it is about; what is not here is about nothing that policies could name.
About = Callable[[str, dict[str, Any]], list[Thing]]
ABOUT: dict[str, About] = {
    **dict.fromkeys(
        (
            *(
                "iam:GetRole",
                "iam:DeleteRole",
                "iam:GetRolePolicy",
                "iam:PutRolePolicy",
                "iam:DeleteRolePolicy",
            ),
            *("iam:DetachRolePolicy", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies"),
            "iam:ListInstanceProfilesForRole",
        ),
        lambda _region, args: [role(args["RoleName"])],
    ),
    **dict.fromkeys(
        (
            *("iam:GetInstanceProfile", "iam:DeleteInstanceProfile", "iam:RemoveRoleFromInstanceProfile"),
            "iam:AddRoleToInstanceProfile",
        ),
        lambda _region, args: [profile(args["InstanceProfileName"])],
    ),
    **dict.fromkeys(
        (
            *("iam:GetPolicy", "iam:DeletePolicy", "iam:ListPolicyVersions", "iam:DeletePolicyVersion"),
            "iam:ListEntitiesForPolicy",
        ),
        lambda _region, args: [managed_policy(args["PolicyArn"])],
    ),
    **dict.fromkeys(
        ("ssm:GetParameter", "ssm:PutParameter"), lambda region, args: [parameter(region, args["Name"])]
    ),
    **dict.fromkeys(
        ("ssm:GetParameters", "ssm:DeleteParameters"),
        lambda region, args: [parameter(region, name) for name in args["Names"]],
    ),
    **dict.fromkeys(
        (
            "secretsmanager:DescribeSecret",
            "secretsmanager:DeleteSecret",
            "secretsmanager:RemoveRegionsFromReplication",
        ),
        lambda region, args: [secret(region, args["SecretId"])],
    ),
    **dict.fromkeys(
        ("events:DeleteRule", "events:DescribeRule"),
        lambda region, args: [rule(region, args["Name"], args.get("EventBusName", ""))],
    ),
    **dict.fromkeys(
        ("events:RemoveTargets", "events:ListTargetsByRule"),
        lambda region, args: [rule(region, args["Rule"], args.get("EventBusName", ""))],
    ),
    "cloudwatch:DeleteAlarms": lambda region, args: [alarm(region, name) for name in args["AlarmNames"]],
    **dict.fromkeys(
        ("sqs:DeleteQueue", "sqs:ListQueueTags"), lambda region, args: [queue(region, args["QueueUrl"])]
    ),
    "sns:DeleteTopic": lambda region, args: [topic(region, args["TopicArn"])],
    "logs:DeleteLogGroup": lambda region, args: [log_group(region, args["logGroupName"])],
    "logs:PutLogGroupDeletionProtection": lambda region, args: [
        log_group(region, args["logGroupIdentifier"])
    ],
    **dict.fromkeys(
        ("autoscaling:DeleteAutoScalingGroup", "autoscaling:UpdateAutoScalingGroup"),
        lambda region, args: [scaling_group(region, args["AutoScalingGroupName"])],
    ),
}
