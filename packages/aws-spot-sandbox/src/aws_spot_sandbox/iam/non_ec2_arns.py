"""The resources of calls to other services than EC2: their ARNs and current tags, from moto's stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.backends import get_backend

from aws_spot_sandbox.iam.ec2_arns import Thing, arn, tag_dict
from aws_spot_sandbox.state import ACCOUNT_ID

About = Callable[[str, dict[str, Any]], list[Thing]]


def _of(service: str, region: str) -> Any:
    return get_backend(service)[ACCOUNT_ID][region]


def _iam() -> Any:
    return get_backend("iam")[ACCOUNT_ID]["aws"]


def role(name: str, *, path: str = "/") -> Thing:
    """`path` is used if the role does not exist yet."""
    role = next((role for role in _iam().roles.values() if role.name == name), None)
    where = role.path if role else path
    return Thing(arn("iam", "", f"role{where}{name}"), tag_dict(role.tags if role else None))


def profile(name: str, *, path: str = "/") -> Thing:
    role = next(
        (
            instance_profile
            for instance_profile in _iam().instance_profiles.values()
            if instance_profile.name == name
        ),
        None,
    )
    where = role.path if role else path
    return Thing(arn("iam", "", f"instance-profile{where}{name}"), tag_dict(role.tags if role else None))


def roles_in(profile_name: str) -> list[str]:
    profile = next(
        (
            instance_profile
            for instance_profile in _iam().instance_profiles.values()
            if instance_profile.name == profile_name
        ),
        None,
    )
    return [role.name for role in profile.roles] if profile else []


def managed_policy(policy_arn: str) -> Thing:
    policy = _iam().managed_policies.get(policy_arn)
    tags = policy.tags if policy else {}
    return Thing(policy_arn, tag_dict(tags.values() if isinstance(tags, dict) else tags))


def parameter(region: str, name: str) -> Thing:
    public = name.startswith("/aws/")
    where = arn("ssm", region, f"parameter/{name.lstrip('/')}", account="" if public else ACCOUNT_ID)
    tags = _of("ssm", region)._resource_tags.get("Parameter", {})  # noqa: SLF001 - its method raises for unknown names
    return Thing(where, dict(tags.get(name, {})))


def secret(region: str, name_or_arn: str) -> Thing:
    for secret in _of("secretsmanager", region).secrets.values():
        if name_or_arn in {secret.name, secret.arn}:
            return Thing(secret.arn, tag_dict(secret.tags))
    return Thing(arn("secretsmanager", region, f"secret:{name_or_arn}"), {})


def rule(region: str, name: str, bus: str) -> Thing:
    where = arn("events", region, f"rule/{bus}/{name}" if bus not in {"", "default"} else f"rule/{name}")
    return Thing(where, _of("events", region).tagger.get_tag_dict_for_resource(where))


def alarm(region: str, name: str) -> Thing:
    where = arn("cloudwatch", region, f"alarm:{name}")
    return Thing(where, _of("cloudwatch", region).tagger.get_tag_dict_for_resource(where))


def queue(region: str, url: str) -> Thing:
    name = url.rpartition("/")[2]
    queue = _of("sqs", region).queues.get(name)
    return Thing(arn("sqs", region, name), dict(queue.tags) if queue else {})


def topic(region: str, topic_arn: str) -> Thing:
    topic = _of("sns", region).topics.get(topic_arn)
    return Thing(topic_arn, dict(topic._tags) if topic else {})  # noqa: SLF001 - moto has no other accessor


def log_group(region: str, name: str) -> Thing:
    where = arn("logs", region, f"log-group:{name}")
    return Thing(where, _of("logs", region).tagger.get_tag_dict_for_resource(where))


def _alarms(region: str, args: dict[str, Any]) -> list[Thing]:
    """Without names, all alarms (CloudWatch user guide, "Actions, resources, and condition keys")."""
    names = args.get("AlarmNames") or ()
    return [alarm(region, name) for name in names] or [Thing(arn("cloudwatch", region, "alarm:*"), {})]


def _by_arn(service: str, key: str) -> About:
    """The resource whose ARN a parameter contains, with the tags in moto's tagger."""

    def about(region: str, args: dict[str, Any]) -> list[Thing]:
        where = str(args.get(key) or "")
        if not where:
            return []
        return [Thing(where, _of(service, region).tagger.get_tag_dict_for_resource(where))]

    return about


# service:action -> its resources. Actions not listed have no resource-level permissions.
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
        ("ssm:GetParameter", "ssm:PutParameter", "ssm:DeleteParameter", "ssm:GetParameterHistory"),
        lambda region, args: [parameter(region, args["Name"])],
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
    "cloudwatch:DescribeAlarms": _alarms,
    "cloudwatch:ListTagsForResource": _by_arn("cloudwatch", "ResourceARN"),
    "events:ListTagsForResource": _by_arn("events", "ResourceARN"),
    "logs:ListTagsForResource": _by_arn("logs", "resourceArn"),
    "iam:SimulatePrincipalPolicy": lambda _region, args: [Thing(args["PolicySourceArn"], {})],
    "sns:ListTagsForResource": lambda region, args: [topic(region, args["ResourceArn"])],
    "sqs:GetQueueUrl": lambda region, args: [queue(region, args["QueueName"])],
    **dict.fromkeys(
        ("ssm:ListTagsForResource", "ssm:AddTagsToResource", "ssm:RemoveTagsFromResource"),
        lambda region, args: [parameter(region, args["ResourceId"])],
    ),
    "sns:DeleteTopic": lambda region, args: [topic(region, args["TopicArn"])],
    "logs:DeleteLogGroup": lambda region, args: [log_group(region, args["logGroupName"])],
    "logs:PutLogGroupDeletionProtection": lambda region, args: [
        log_group(region, args["logGroupIdentifier"])
    ],
}
