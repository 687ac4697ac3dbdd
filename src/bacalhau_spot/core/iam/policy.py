"""The least-privilege policy: the table of permissions for one configuration, as IAM documents.

Rules:
1. No wildcard in an action. No change without a condition or a resource, wherever AWS supports one.
2. A document has at most the characters of a managed policy; the rest goes into the next document. White space does not
   count (IAM user guide, "IAM and AWS STS quotas").
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bacalhau_spot.core.iam.permissions import (
    IMAGES_TAGGED_BY,
    TAGGED_BY,
    ResourceScope,
    required_permissions,
)
from bacalhau_spot.core.model import OrchestratorMode
from bacalhau_spot.core.tags import (
    CREATOR_KEY,
    IMAGES_VALUE,
    RESULTS_PREFIX,
    iam_path,
    orchestrator_parameter,
    orchestrator_role_name,
    reconcile_parameter,
    results_bucket,
    role_name,
    template_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bacalhau_spot.core.iam.permissions import Permission
    from bacalhau_spot.core.model import ClusterSpec, Naming

Statement = dict[str, Any]
Document = dict[str, Any]

MAX_CHARACTERS = 6144
_VERSION = "2012-10-17"
# Creating actions and the ARN types that they create. Kinds that an action only uses are left out: AWS lists the
# condition keys for each resource (Service Authorization Reference). If `aws:RequestTag` applied to existing resources,
# the tag would allow a subnet in another owner's VPC, or a launch into another owner's subnet.
_CREATED = (
    (
        ("ec2:CreateInternetGateway", "ec2:CreateLaunchTemplate", "ec2:CreateVpc"),
        ("internet-gateway", "launch-template", "vpc"),
    ),
    (("ec2:AllocateAddress", "ec2:CreateVolume"), ("elastic-ip", "volume")),
    (("ec2:CreateSecurityGroup", "ec2:CreateSubnet"), ("security-group", "subnet")),
    (
        ("ec2:CreateFleet", "ec2:RunInstances"),
        ("fleet", "instance", "network-interface", "spot-instances-request", "volume"),
    ),
)
# As instances are called in China, too (EC2 user guide there, "IAM roles for Amazon EC2").
_EC2 = ("ec2.amazonaws.com", "ec2.amazonaws.com.cn")
_SERVICE_ROLES = ("ec2fleet.amazonaws.com", "spot.amazonaws.com")
_SCALING_ROLE = "autoscaling.amazonaws.com"


@dataclass(frozen=True, slots=True)
class PolicyTarget:
    """The account and partition of a policy; each may be `*`."""

    spec: ClusterSpec
    account: str = "*"
    partition: str = "*"

    def arn(self, service: str, rest: str, *, region: str = "*", account: str | None = None) -> str:
        owner = self.account if account is None else account
        return f"arn:{self.partition}:{service}:{region}:{owner}:{rest}"

    @property
    def resource_tag(self) -> Statement:
        return self._tag("aws:ResourceTag")

    @property
    def request_tag(self) -> Statement:
        return self._tag("aws:RequestTag")

    @property
    def image_resource_tag(self) -> Statement:
        return self._tag("aws:ResourceTag", value=IMAGES_VALUE)

    @property
    def image_request_tag(self) -> Statement:
        return self._tag("aws:RequestTag", value=IMAGES_VALUE)

    def _tag(self, key: str, *, value: str = "") -> Statement:
        naming = self.spec.naming
        return {f"{key}/{naming.tag_key}": value or naming.tag_value}


def documents(
    spec: ClusterSpec, *, commands: Sequence[str], account: str = "*", partition: str = "*"
) -> tuple[Document, ...]:
    """The policy for these commands, in as many documents as it takes."""
    rows = required_permissions(spec, tuple(commands))
    place = PolicyTarget(spec, account=account, partition=partition)
    other_clusters = any(name.split()[0] == "nuke" for name in commands)
    return split_by_size(_statements(rows, place, other_clusters=other_clusters))


@dataclass(frozen=True, slots=True)
class SimulationQuery:
    """Actions, the resource that all of them are to be done on (`*`: whichever), and the condition keys of such a call."""

    actions: tuple[str, ...]
    resource: str
    context: tuple[tuple[str, str], ...]


# Condition keys for which the queries have all values of a real call. For others (the caller's address, MFA, time …)
# the values are unknown.
_KNOWN_KEYS = (
    *("aws:requesttag/", "aws:resourcetag/", "aws:tagkeys"),
    *("ec2:createaction", "ec2:vpc", "iam:awsservicename", "iam:passedtoservice"),
)


def depends_on_unknown_keys(missing: Sequence[str]) -> bool:
    """Whether a refusal hangs on condition keys that no question can give."""
    return any(not key.lower().startswith(_KNOWN_KEYS) for key in missing)


def simulation_queries(
    spec: ClusterSpec, *, commands: Sequence[str], account: str, partition: str
) -> tuple[SimulationQuery, ...]:
    """The permissions that these commands need, on resources that may exist: one query for each bound and resource.

    One resource a query: AWS denies an action on a resource of another kind, and accepts no `*` next to an ARN.
    """
    place = PolicyTarget(spec, account=account, partition=partition)
    rows = required_permissions(spec, tuple(commands))
    found = []
    for bound in ResourceScope:
        on: dict[str, list[str]] = {}
        for action in sorted({row.action for row in rows if bound in row.scopes}):
            on.setdefault(_example(bound, place, action), []).append(action)
        context = _context(_conditions(bound, place), place) if on else ()
        found += [SimulationQuery(tuple(actions), resource, context) for resource, actions in on.items()]
    return tuple(found)


# The kinds that each action creates; a policy may forbid another kind with good reason.
_CREATED_BY_ACTION = {
    "ec2:AllocateAddress": "elastic-ip",
    "ec2:CreateVolume": "volume",
    "ec2:CreateFleet": "fleet",
    "ec2:CreateInternetGateway": "internet-gateway",
    "ec2:CreateLaunchTemplate": "launch-template",
    "ec2:CreateSecurityGroup": "security-group",
    "ec2:CreateSubnet": "subnet",
    "ec2:CreateVpc": "vpc",
    "ec2:RunInstances": "instance",
}


def _example(scope: ResourceScope, target: PolicyTarget, action: str) -> str:
    resources = _resources(scope, target)
    if isinstance(resources, str):
        return resources
    kind = f":{_CREATED_BY_ACTION.get(action, '')}/" if scope is ResourceScope.CREATED_WITH_TAG else ""
    if scope is ResourceScope.CLUSTER_ROLE:
        kind = ":instance-profile/" if "InstanceProfile" in action else ":role/"
    chosen = next((resource for resource in resources if kind in resource), resources[0])
    inside = "/example" if scope is ResourceScope.BUCKETS and action in _ON_OBJECTS else ""
    return _concrete(chosen, target) + inside


_ON_OBJECTS = frozenset({"s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion"})


_ANY_REGION = "us-east-1"


def _concrete(arn: str, target: PolicyTarget) -> str:
    """Something that the pattern of a policy stands for."""
    service, region, account, rest = arn.split(":", 5)[2:]
    where = _ANY_REGION if region == "*" else region
    owner = target.account if account == "*" else account
    return f"arn:{target.partition}:{service}:{where}:{owner}:{rest.replace('*', 'example')}"


def _context(conditions: Statement | None, target: PolicyTarget) -> tuple[tuple[str, str], ...]:
    """The first value of each key: the context of an allowed call."""
    first = [
        (key, value if isinstance(value, str) else value[0])
        for block in (conditions or {}).values()
        for key, value in block.items()
    ]
    return tuple(
        (key, _concrete(value, target) if value.startswith("arn:") else value) for key, value in first
    )


def actions_of(found: Sequence[Document]) -> tuple[str, ...]:
    """Every action that the documents allow, by name."""
    return tuple(
        sorted(
            {
                action
                for document in found
                for statement in document["Statement"]
                for action in statement["Action"]
            }
        )
    )


def characters(document: Document) -> int:
    """As AWS counts them, at most. The tag's own spaces count, and are counted; other letters than ASCII's are written as JSON
    escapes them, and count so.
    """
    return len(json.dumps(document, separators=(",", ":")))


def split_by_size(statements: Sequence[Statement]) -> tuple[Document, ...]:
    """The statements in their order, each document as full as it may be."""
    found: list[Document] = []
    for statement in statements:
        if found:
            fuller = {**found[-1], "Statement": [*found[-1]["Statement"], statement]}
            if characters(fuller) <= MAX_CHARACTERS:
                found[-1] = fuller
                continue
        found.append({"Version": _VERSION, "Statement": [statement]})
    return tuple(found)


def _statements(rows: Sequence[Permission], target: PolicyTarget, *, other_clusters: bool) -> list[Statement]:
    statements: list[Statement] = []
    for scope in ResourceScope:
        in_scope = [row for row in rows if scope in row.scopes]
        if in_scope:
            statements += _scope_statements(scope, in_scope, target, other_clusters=other_clusters)
    return statements


def _scope_statements(
    scope: ResourceScope, rows: Sequence[Permission], target: PolicyTarget, *, other_clusters: bool
) -> list[Statement]:
    actions = _actions(rows)
    if scope is ResourceScope.CREATED_WITH_TAG:
        return _tag_on_create_statements(actions, target)
    statements: list[Statement] = [
        {"Sid": _sid(scope), "Effect": "Allow", "Action": actions, **_arns(scope, target)}
    ]
    if scope is ResourceScope.TAGGED and other_clusters:
        of_nuke = _actions(row for row in rows if "nuke" in row.commands)
        statements.append(
            {"Sid": "OtherClusters", "Effect": "Allow", "Action": of_nuke, **_other_clusters(target)}
        )
    return statements


def _actions(rows: Iterable[Permission]) -> list[str]:
    return sorted({row.action for row in rows})


def _tag_on_create_statements(actions: Sequence[str], target: PolicyTarget) -> list[Statement]:
    return [
        {
            "Sid": f"Born{number}",
            "Effect": "Allow",
            "Action": here,
            "Resource": [target.arn("ec2", f"{kind}/*") for kind in kinds],
            "Condition": {"StringEquals": target.request_tag},
        }
        for number, (makers, kinds) in enumerate(_CREATED, 1)
        if (here := [action for action in actions if action in makers])
    ]


def _sid(scope: ResourceScope) -> str:
    return "".join(word.capitalize() for word in scope.name.split("_"))


def _other_clusters(target: PolicyTarget) -> Statement:
    """Additional resources of `nuke`: those with the tag's key, any value, and the configured CreatedBy tag."""
    naming = target.spec.naming
    return {
        "Resource": "*",
        "Condition": {
            "StringLike": {f"aws:ResourceTag/{naming.tag_key}": "*"},
            "StringEquals": {f"aws:ResourceTag/{CREATOR_KEY}": naming.creator},
        },
    }


def _arns(scope: ResourceScope, target: PolicyTarget) -> Statement:
    """Resource and condition of a bound."""
    resources, conditions = _resources(scope, target), _conditions(scope, target)
    return {"Resource": resources, **({"Condition": conditions} if conditions else {})}


def _resources(scope: ResourceScope, target: PolicyTarget) -> str | list[str]:
    spec, path = target.spec, iam_path(target.spec.naming)
    own_bucket = results_bucket(spec.naming, account_id=target.account, region="*")
    given = sorted({region.vpc_id for region in spec.regions if region.vpc_id})
    table: dict[ResourceScope, str | list[str]] = {
        ResourceScope.CREATED_WITH_TAG: [
            target.arn("ec2", f"{kind}/*") for _, kinds in _CREATED for kind in kinds
        ],
        ResourceScope.ROUTES: [target.arn("ec2", "route-table/*")],
        ResourceScope.IMAGES: [target.arn("ec2", "image/*", account="")],
        ResourceScope.CREATED_IMAGES: _images(target),
        ResourceScope.IMAGE_TAGGING: _images(target),
        ResourceScope.OWN_IMAGES: _images(target),
        # Of any account: a VPC and its subnets may be shared by another one, whose id their ARNs then name.
        ResourceScope.YOUR_VPC: [target.arn("ec2", f"vpc/{vpc_id}", account="*") for vpc_id in given],
        ResourceScope.YOUR_SUBNETS: [target.arn("ec2", "subnet/*", account="*")],
        ResourceScope.PUBLIC_PARAMETERS: [
            target.arn("ssm", "parameter/aws/service/*", account=""),
            *(target.arn("ssm", f"parameter/{name.lstrip('/')}") for name in _own_image_parameters(spec)),
        ],
        ResourceScope.CLUSTER_PARAMETER: [target.arn("ssm", f"parameter{path}*")],
        ResourceScope.ORCHESTRATOR_PARAMETER: _orchestrator_parameters(target),
        ResourceScope.CLUSTER_ROLE: _cluster_roles(target),
        ResourceScope.PASSED_ROLE: [target.arn("iam", f"role{path}*", region="")],
        ResourceScope.SERVICE_ROLES: [target.arn("iam", "role/aws-service-role/*", region="")],
        ResourceScope.CREATED_GROUPS: [
            target.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{template_name(spec.naming)}")
        ],
        ResourceScope.BUCKETS: [
            f"arn:{target.partition}:s3:::{spec.naming.resource_prefix}*",
            f"arn:{target.partition}:s3:::{RESULTS_PREFIX}*-{target.account}-*",
        ],
        ResourceScope.RESULTS_BUCKET: [f"arn:{target.partition}:s3:::{own_bucket}"],
        ResourceScope.RESULTS_BUCKET_TAGS: [f"arn:{target.partition}:s3:::{own_bucket}"],
    }
    return table.get(scope, "*")


def _images(target: PolicyTarget) -> list[str]:
    """Their ARNs have no account."""
    return [target.arn("ec2", f"{kind}/*", account="") for kind in ("image", "snapshot")]


def _orchestrator_parameters(target: PolicyTarget) -> list[str]:
    """The credentials; of the cluster's own orchestrator, also the configuration of its machine."""
    spec = target.spec
    names = [orchestrator_parameter(_orchestrator_naming(spec))]
    if spec.orchestrator.mode is OrchestratorMode.MANAGED:
        names.append(reconcile_parameter(spec.naming))
    return [target.arn("ssm", f"parameter{name}") for name in names]


def _service_roles(spec: ClusterSpec) -> list[str]:
    return [*_SERVICE_ROLES, *([_SCALING_ROLE] if spec.self_heal else [])]


def _cluster_roles(target: PolicyTarget) -> list[str]:
    """Also by name only: a role that does not exist has no path."""
    spec = target.spec
    names = [role_name(spec.naming)]
    if spec.orchestrator.mode is OrchestratorMode.MANAGED:
        names.append(orchestrator_role_name(spec.naming))
    places = (f"{iam_path(spec.naming)}*", *(f"/{name}" for name in names))
    return [
        target.arn("iam", f"{kind}{place}", region="")
        for kind in ("instance-profile", "role")
        for place in places
    ]


def _orchestrator_naming(spec: ClusterSpec) -> Naming:
    """The cluster that has the orchestrator: this one, unless it uses another's."""
    other = spec.orchestrator.cluster
    return replace(spec.naming, tag_value=other) if other else spec.naming


def _own_image_parameters(spec: ClusterSpec) -> list[str]:
    """Parameters of the user's that name an image; AWS's own are public."""
    images = {spec.image, *(region.image for region in spec.regions if region.image)}
    names = (image.removeprefix("ssm:") for image in images if image.startswith("ssm:"))
    return sorted(name for name in names if not name.startswith("/aws/service/"))


def _conditions(scope: ResourceScope, target: PolicyTarget) -> Statement | None:
    given = sorted({region.vpc_id for region in target.spec.regions if region.vpc_id})
    table: dict[ResourceScope, Statement] = {
        ResourceScope.CREATED_WITH_TAG: {"StringEquals": target.request_tag},
        ResourceScope.TAGGED: {"StringEquals": target.resource_tag},
        ResourceScope.CREATED_GROUPS: {"StringEquals": target.request_tag},
        ResourceScope.TAGGING: {"StringEquals": {"ec2:CreateAction": list(TAGGED_BY), **target.request_tag}},
        ResourceScope.ADOPTING: {"StringEquals": target.request_tag},
        ResourceScope.CREATED_IMAGES: {"StringEquals": target.image_request_tag},
        ResourceScope.IMAGE_TAGGING: {
            "StringEquals": {"ec2:CreateAction": list(IMAGES_TAGGED_BY), **target.image_request_tag}
        },
        ResourceScope.OWN_IMAGES: {"StringEquals": target.image_resource_tag},
        ResourceScope.RESULTS_BUCKET_TAGS: {"StringEquals": target.request_tag},
        ResourceScope.YOUR_SUBNETS: {
            "ArnLike": {"ec2:Vpc": [target.arn("ec2", f"vpc/{vpc_id}", account="*") for vpc_id in given]}
        },
        ResourceScope.PASSED_ROLE: {"StringEquals": {"iam:PassedToService": list(_EC2)}},
        ResourceScope.SERVICE_ROLES: {"StringEquals": {"iam:AWSServiceName": _service_roles(target.spec)}},
    }
    return table.get(scope)
