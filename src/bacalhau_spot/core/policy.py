"""The least-privilege policy: the table of permissions, for one configuration, in IAM's words.

Rules:
1. No wildcard in an action. Nothing that changes anything without a condition or a resource, wherever AWS supports one.
2. A document never has more characters than a managed policy may; what does not fit begins another one. White space does
   not count (IAM user guide, "IAM and AWS STS quotas").
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bacalhau_spot.core.permissions import TAGGED_BY, Bound, needed
from bacalhau_spot.core.tags import CREATOR_KEY, iam_path, role_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.core.permissions import Permission

Statement = dict[str, Any]
Document = dict[str, Any]

MOST_CHARACTERS = 6144
_VERSION = "2012-10-17"
# What makes things, with what it makes, in the words of EC2's ARNs. An action stands beside no kind that it only uses: AWS says
# of each resource which condition keys it has (Service Authorization Reference), and should `aws:RequestTag` ever be seen on
# one that exists, nobody may put a subnet into somebody else's VPC, or launch into somebody else's subnet, for a tag.
_MADE = (
    (
        ("ec2:CreateInternetGateway", "ec2:CreateLaunchTemplate", "ec2:CreateVpc"),
        ("internet-gateway", "launch-template", "vpc"),
    ),
    (("ec2:CreateSecurityGroup", "ec2:CreateSubnet"), ("security-group", "subnet")),
    (
        ("ec2:CreateFleet", "ec2:RunInstances"),
        ("fleet", "instance", "network-interface", "spot-instances-request", "volume"),
    ),
)
# As instances are called in China, too (EC2 user guide there, "IAM roles for Amazon EC2").
_EC2 = ("ec2.amazonaws.com", "ec2.amazonaws.com.cn")
_SERVICE_ROLES = ("ec2fleet.amazonaws.com", "spot.amazonaws.com")


@dataclass(frozen=True, slots=True)
class Place:
    """For whom a policy is written. `account` and `partition` may be `*`."""

    spec: ClusterSpec
    account: str = "*"
    partition: str = "*"

    def arn(self, service: str, rest: str, *, region: str = "*", account: str | None = None) -> str:
        owner = self.account if account is None else account
        return f"arn:{self.partition}:{service}:{region}:{owner}:{rest}"

    @property
    def ours(self) -> Statement:
        return self._tag("aws:ResourceTag")

    @property
    def born(self) -> Statement:
        return self._tag("aws:RequestTag")

    def _tag(self, key: str) -> Statement:
        naming = self.spec.naming
        return {f"{key}/{naming.tag_key}": naming.tag_value}


def documents(
    spec: ClusterSpec, *, commands: Sequence[str], account: str = "*", partition: str = "*"
) -> tuple[Document, ...]:
    """The policy for these commands, in as many documents as it takes."""
    rows = needed(spec, tuple(commands))
    place = Place(spec, account=account, partition=partition)
    other_clusters = any(name.split()[0] == "nuke" for name in commands)
    return packed(_statements(rows, place, other_clusters=other_clusters))


@dataclass(frozen=True, slots=True)
class Question:
    """Actions, the resource that all of them are to be done on (`*`: whichever), and the condition keys of such a call."""

    actions: tuple[str, ...]
    resource: str
    context: tuple[tuple[str, str], ...]


# Condition keys of which the questions give all that a call of ours would show. Of others (the caller's address, second
# factor, time …) nobody but AWS knows what a call would show.
_OURS_TO_TELL = (
    *("aws:requesttag/", "aws:resourcetag/", "aws:tagkeys"),
    *("ec2:createaction", "ec2:vpc", "iam:awsservicename", "iam:passedtoservice"),
)


def undecidable(missing: Sequence[str]) -> bool:
    """Whether a refusal hangs on condition keys that no question can give."""
    return any(not key.lower().startswith(_OURS_TO_TELL) for key in missing)


def questions(
    spec: ClusterSpec, *, commands: Sequence[str], account: str, partition: str
) -> tuple[Question, ...]:
    """What must be allowed for these commands to work, about things that there might be: one question a bound and a resource.

    A resource each, because an action asked about on a resource of another kind is refused, and because AWS takes no `*`
    beside an ARN.
    """
    place = Place(spec, account=account, partition=partition)
    rows = needed(spec, tuple(commands))
    found = []
    for bound in Bound:
        on: dict[str, list[str]] = {}
        for action in sorted({row.action for row in rows if bound in row.bounds}):
            on.setdefault(_example(bound, place, action), []).append(action)
        context = _context(_conditions(bound, place), place) if on else ()
        found += [Question(tuple(actions), resource, context) for resource, actions in on.items()]
    return tuple(found)


# What each action makes; a made-up resource of another kind could be forbidden with good reason.
_MAKES = {
    "ec2:CreateFleet": "fleet",
    "ec2:CreateInternetGateway": "internet-gateway",
    "ec2:CreateLaunchTemplate": "launch-template",
    "ec2:CreateSecurityGroup": "security-group",
    "ec2:CreateSubnet": "subnet",
    "ec2:CreateVpc": "vpc",
    "ec2:RunInstances": "instance",
}


def _example(bound: Bound, place: Place, action: str) -> str:
    resources = _resources(bound, place)
    if isinstance(resources, str):
        return resources
    kind = f":{_MAKES.get(action, '')}/" if bound is Bound.BORN else ""
    if bound is Bound.OUR_ROLE:
        kind = ":instance-profile/" if "InstanceProfile" in action else ":role/"
    chosen = next((one for one in resources if kind in one), resources[0])
    inside = "/example" if bound is Bound.BUCKETS and action in _ON_OBJECTS else ""
    return _concrete(chosen, place) + inside


_ON_OBJECTS = frozenset({"s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion"})


_ANY_REGION = "us-east-1"


def _concrete(arn: str, place: Place) -> str:
    """Something that the pattern of a policy stands for."""
    service, region, account, rest = arn.split(":", 5)[2:]
    where = _ANY_REGION if region == "*" else region
    owner = place.account if account == "*" else account
    return f"arn:{place.partition}:{service}:{where}:{owner}:{rest.replace('*', 'example')}"


def _context(conditions: Statement | None, place: Place) -> tuple[tuple[str, str], ...]:
    """The first value of each key: what a call that is allowed would show."""
    first = [
        (key, value if isinstance(value, str) else value[0])
        for block in (conditions or {}).values()
        for key, value in block.items()
    ]
    return tuple(
        (key, _concrete(value, place) if value.startswith("arn:") else value) for key, value in first
    )


def actions_of(found: Sequence[Document]) -> tuple[str, ...]:
    """Every action that the documents allow, by name."""
    return tuple(
        sorted({action for one in found for statement in one["Statement"] for action in statement["Action"]})
    )


def characters(document: Document) -> int:
    """As AWS counts them, at most. The tag's own spaces count, and are counted; other letters than ASCII's are written as JSON
    escapes them, and count so.
    """
    return len(json.dumps(document, separators=(",", ":")))


def packed(statements: Sequence[Statement]) -> tuple[Document, ...]:
    """The statements in their order, each document as full as it may be."""
    found: list[Document] = []
    for statement in statements:
        if found:
            fuller = {**found[-1], "Statement": [*found[-1]["Statement"], statement]}
            if characters(fuller) <= MOST_CHARACTERS:
                found[-1] = fuller
                continue
        found.append({"Version": _VERSION, "Statement": [statement]})
    return tuple(found)


def _statements(rows: Sequence[Permission], place: Place, *, other_clusters: bool) -> list[Statement]:
    found: list[Statement] = []
    for bound in Bound:
        actions = sorted({row.action for row in rows if bound in row.bounds})
        if not actions:
            continue
        if bound is Bound.BORN:
            found += _born(actions, place)
            continue
        found.append({"Sid": _sid(bound), "Effect": "Allow", "Action": actions, **_reach(bound, place)})
        if bound is Bound.OURS and other_clusters:
            mine = sorted({row.action for row in rows if bound in row.bounds and "nuke" in row.by})
            found.append(
                {"Sid": "OtherClusters", "Effect": "Allow", "Action": mine, **_other_clusters(place)}
            )
    return found


def _born(actions: Sequence[str], place: Place) -> list[Statement]:
    return [
        {
            "Sid": f"Born{number}",
            "Effect": "Allow",
            "Action": here,
            "Resource": [place.arn("ec2", f"{kind}/*") for kind in kinds],
            "Condition": {"StringEquals": place.born},
        }
        for number, (makers, kinds) in enumerate(_MADE, 1)
        if (here := [action for action in actions if action in makers])
    ]


def _sid(bound: Bound) -> str:
    return "".join(word.capitalize() for word in bound.name.split("_"))


def _other_clusters(place: Place) -> Statement:
    """What `nuke` takes beside: what shows the tag's key with any value and was made by our creator."""
    naming = place.spec.naming
    return {
        "Resource": "*",
        "Condition": {
            "StringLike": {f"aws:ResourceTag/{naming.tag_key}": "*"},
            "StringEquals": {f"aws:ResourceTag/{CREATOR_KEY}": naming.creator},
        },
    }


def _reach(bound: Bound, place: Place) -> Statement:
    """Resource and condition of a bound."""
    resources, conditions = _resources(bound, place), _conditions(bound, place)
    return {"Resource": resources, **({"Condition": conditions} if conditions else {})}


def _resources(bound: Bound, place: Place) -> str | list[str]:
    spec, path, role = place.spec, iam_path(place.spec.naming), role_name(place.spec.naming)
    given = sorted({region.vpc_id for region in spec.regions if region.vpc_id})
    table: dict[Bound, str | list[str]] = {
        Bound.BORN: [place.arn("ec2", f"{kind}/*") for _, kinds in _MADE for kind in kinds],
        Bound.ROUTES: [place.arn("ec2", "route-table/*")],
        Bound.IMAGES: [place.arn("ec2", "image/*", account="")],
        # Of any account: a VPC and its subnets may be shared by another one, whose id their ARNs then name.
        Bound.YOUR_VPC: [place.arn("ec2", f"vpc/{vpc_id}", account="*") for vpc_id in given],
        Bound.YOUR_SUBNETS: [place.arn("ec2", "subnet/*", account="*")],
        Bound.PUBLIC_PARAMETERS: [
            place.arn("ssm", "parameter/aws/service/*", account=""),
            *(place.arn("ssm", f"parameter/{name.lstrip('/')}") for name in _own_image_parameters(spec)),
        ],
        Bound.OUR_PARAMETER: [place.arn("ssm", f"parameter{path}*")],
        # By name alone too: of what is not there yet, AWS knows no path.
        Bound.OUR_ROLE: [
            place.arn("iam", f"{kind}{where}", region="")
            for kind in ("instance-profile", "role")
            for where in (f"{path}*", f"/{role}")
        ],
        Bound.PASSING: [place.arn("iam", f"role{path}*", region="")],
        Bound.SERVICE_ROLES: [place.arn("iam", "role/aws-service-role/*", region="")],
        Bound.BUCKETS: [f"arn:{place.partition}:s3:::{spec.naming.resource_prefix}*"],
    }
    return table.get(bound, "*")


def _own_image_parameters(spec: ClusterSpec) -> list[str]:
    """Parameters of the user's that name an image; AWS's own are public."""
    images = {spec.image, *(region.image for region in spec.regions if region.image)}
    names = (image.removeprefix("ssm:") for image in images if image.startswith("ssm:"))
    return sorted(name for name in names if not name.startswith("/aws/service/"))


def _conditions(bound: Bound, place: Place) -> Statement | None:
    given = sorted({region.vpc_id for region in place.spec.regions if region.vpc_id})
    table: dict[Bound, Statement] = {
        Bound.BORN: {"StringEquals": place.born},
        Bound.OURS: {"StringEquals": place.ours},
        Bound.TAGGING: {"StringEquals": {"ec2:CreateAction": list(TAGGED_BY), **place.born}},
        Bound.ADOPTING: {"StringEquals": place.born},
        Bound.YOUR_SUBNETS: {
            "ArnLike": {"ec2:Vpc": [place.arn("ec2", f"vpc/{vpc_id}", account="*") for vpc_id in given]}
        },
        Bound.PASSING: {"StringEquals": {"iam:PassedToService": list(_EC2)}},
        Bound.SERVICE_ROLES: {"StringEquals": {"iam:AWSServiceName": list(_SERVICE_ROLES)}},
    }
    return table.get(bound)
