"""Resources with the cluster's tag, of any type: from EC2's tag index, and the tagging API for other services.

Both lag, and the tagging API lists deleted resources for hours (Resource Groups Tagging API reference, GetResources).
They provide candidates and unknown resource types; the resource's own service decides whether it exists and has the
tag.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.aws_errors import non_aws_response
from bacalhau_spot.cloud.ec2_params import escape, tags_of
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import TaggedId, TaggingApiIndex
from bacalhau_spot.core.tags import CREATOR_KEY

if TYPE_CHECKING:
    from bacalhau_spot.cloud.session import Session
    from bacalhau_spot.core.tags import Scope

# Tag specifications use `spot-instances-request`; ARNs and tag indexes use the singular.
_SPELLINGS = {"spot-instance-request": ResourceKind.SPOT_REQUEST.value}

# (service, type) in an ARN -> the resource type, and whether the candidate is the ARN or the name.
_ARNS: dict[tuple[str, str], tuple[ResourceKind, bool]] = {
    ("ssm", "parameter"): (ResourceKind.PARAMETER, False),
    ("secretsmanager", "secret"): (ResourceKind.SECRET, True),
    ("events", "rule"): (ResourceKind.RULE, True),
    ("cloudwatch", "alarm"): (ResourceKind.ALARM, True),
    ("sqs", ""): (ResourceKind.QUEUE, True),
    ("sns", ""): (ResourceKind.TOPIC, True),
    ("s3", ""): (ResourceKind.BUCKET, True),
    ("logs", "log-group"): (ResourceKind.LOG_GROUP, True),
    ("iam", "instance-profile"): (ResourceKind.PROFILE, False),
    ("iam", "role"): (ResourceKind.ROLE, False),
    ("iam", "policy"): (ResourceKind.POLICY, False),
}
# ARNs without a resource type. More than a name (a topic's subscription, S3's access points) is another resource
# (Service Authorization Reference, "Resource types defined by" Amazon S3, SNS, SQS).
_TYPELESS = frozenset({"sqs", "sns", "s3"})


async def tagged_in_ec2(session: Session, region: str, scope: Scope) -> tuple[TaggedId, ...]:
    """All EC2 resources with the tag."""
    keys = [scope.key] if scope.creator is None else [scope.key, CREATOR_KEY]
    filters = [{"Name": "key", "Values": [escape(key) for key in keys]}]
    if scope.one_cluster:
        filters.append({"Name": "value", "Values": [escape(scope.value)]})
    rows = await session.pages("ec2", region, "describe_tags", "Tags", Filters=filters)
    tags: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        if row["Key"] not in keys or not row["ResourceId"]:
            raise non_aws_response(operation="describe_tags", region=region, detail="it is about other tags")
        tags.setdefault((row["ResourceType"], row["ResourceId"]), {})[row["Key"]] = row["Value"]
    return tuple(
        TaggedId(kind=_SPELLINGS.get(kind, kind), id=resource_id)
        for (kind, resource_id), shown in tags.items()
        if scope.matches(shown)
    )


async def tagging_api(session: Session, region: str, scope: Scope) -> TaggingApiIndex:
    """All tagged resources in the tagging API: one call for all services."""
    only: dict[str, Any] = {"Key": scope.key}
    if scope.one_cluster:
        only["Values"] = [scope.value]
    reply = await session.all_pages("resourcegroupstaggingapi", region, "get_resources", TagFilters=[only])
    arns = [
        row["ResourceARN"] for row in reply.get("ResourceTagMappingList", ()) if scope.matches(tags_of(row))
    ]
    return TaggingApiIndex(
        outside_ec2=tuple(kind_of(arn) for arn in arns if not _of_ec2(arn)),
        any_in_ec2=any(map(_of_ec2, arns)),
    )


def _of_ec2(arn: str) -> bool:
    return arn.split(":")[2:3] == ["ec2"]


def kind_of(arn: str) -> TaggedId:
    """The resource type and id of an ARN; an unknown type keeps AWS's name (`lambda:function`) and the ARN as id."""
    _, _, service, _, _, rest = (*arn.split(":", 5), *[""] * 5)[:6]
    parts = re.split("[:/]", rest, maxsplit=1)
    typeless = service in _TYPELESS and len(parts) == 1
    kind, name = ("", rest) if typeless or len(parts) == 1 else (parts[0], parts[1])
    if (service, kind) not in _ARNS or not name.strip("/"):
        return TaggedId(kind=":".join(filter(None, (service, kind))) or "unknown", id=arn)
    ours, whole = _ARNS[service, kind]
    if whole:
        return TaggedId(kind=ours.value, id=arn)
    # A parameter with a path begins with a slash, which its ARN omits; IAM's names follow their path.
    if ours is ResourceKind.PARAMETER:
        return TaggedId(kind=ours.value, id=f"/{name}" if "/" in name else name)
    return TaggedId(kind=ours.value, id=name.rsplit("/", 1)[-1])
