"""Finds the dependencies that block a deletion. AWS only returns `DependencyViolation`, without naming them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.cleanup.dependency_queries import DEPENDENCY_QUERIES, DependencyQuery, interfaces
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.ec2_params import tags_of
from bacalhau_spot.core.cleanup.deletion_result import AWS_SERVICE_OWNER, Dependency
from bacalhau_spot.core.error_catalog.classifier import Category, Recovery, classify
from bacalhau_spot.core.kinds import ResourceKind, kind_of_id
from bacalhau_spot.core.partitions import partition_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bacalhau_spot.cloud.cleanup.handler import Row
    from bacalhau_spot.cloud.session import Session
    from bacalhau_spot.core.model import Resource

# Descriptions of service interfaces: the pattern with the owner's id, and the command to delete the owner. (VPC user
# guide, "Requester-managed network interfaces"; the services write these descriptions.)
_SERVICES = (
    (r"Interface for NAT Gateway (nat-\w+)", "ec2 delete-nat-gateway --nat-gateway-id {0}"),
    (r"VPC Endpoint Interface (vpce-\w+)", "ec2 delete-vpc-endpoints --vpc-endpoint-ids {0}"),
    (
        r"EC2 Instance Connect Endpoint (eice-\w+)",
        "ec2 delete-instance-connect-endpoint --instance-connect-endpoint-id {0}",
    ),
    (
        r"ELB ((?:app|net|gwy)/\S+)",
        "elbv2 delete-load-balancer --load-balancer-arn {arn}:loadbalancer/{0}",
    ),
    (r"ELB (\S+)", "elb delete-load-balancer --load-balancer-name {0}"),
    (r"EFS mount target for \S+ \((fsmt-\w+)\)", "efs delete-mount-target --mount-target-id {0}"),
    (
        r"Network Interface for Transit Gateway Attachment (tgw-attach-\w+)",
        "ec2 delete-transit-gateway-vpc-attachment --transit-gateway-attachment-id {0}",
    ),
    (
        r"AWS created network interface for directory (d-\w+)",
        "ds delete-directory --directory-id {0}",
    ),
    (r"AWS Lambda VPC ENI-(.+)-[0-9a-f]{8}-[0-9a-f-]{27}", "lambda delete-function --function-name {0}"),
)

# Commands that detach a cluster's resource from an unmanaged one.
_FIX_COMMANDS = {
    ResourceKind.VOLUME: "detach-volume --volume-id {id}",
    ResourceKind.ADDRESS: "disassociate-address --association-id {attachment}",
    ResourceKind.INTERFACE: "detach-network-interface --attachment-id {attachment}",
    ResourceKind.GATEWAY: "detach-internet-gateway --internet-gateway-id {id} --vpc-id {holder}",
    ResourceKind.ROUTE_TABLE: "disassociate-route-table --association-id {attachment}",
}


@dataclass(frozen=True, slots=True)
class _DependencySearch:
    """The scope of the search, and the lists that could not be read."""

    session: Session
    region: str
    partial_failures: list[CloudError] = field(default_factory=list)


async def find_dependencies(
    session: Session, region: str, resource: Resource
) -> tuple[tuple[Dependency, ...], tuple[CloudError, ...]]:
    """All dependencies that AWS lists, managed or not, and the errors of lists that could not be read."""
    asking = _DependencySearch(session, region)
    dependencies = await _used_by(asking, resource)
    return tuple(dependencies), tuple(asking.partial_failures)


async def _used_by(search: _DependencySearch, resource: Resource) -> list[Dependency]:
    kind = ResourceKind(resource.kind)
    if kind in _OTHERWISE:
        return await _named(search, await _OTHERWISE[kind](search, resource))
    dependencies = _query_users(resource, search.region)
    for question in DEPENDENCY_QUERIES.get(kind, ()):
        dependencies += await _run_query(search, question, resource.id)
    if kind is ResourceKind.GATEWAY:
        mapped = interfaces("vpc-id", counts=lambda row: bool(row.get("Association")))
        for vpc_id in resource.attached_to:
            dependencies += await _run_query(search, mapped, vpc_id)
    if kind is ResourceKind.GROUP:
        dependencies += await _rules(search, resource.id)
    known_ids = {dependency.id for dependency in dependencies}
    # An interface is deleted with its parent, which is listed already.
    return await _named(
        search, [dependency for dependency in dependencies if dependency.parent_id not in known_ids]
    )


def _query_users(resource: Resource, region: str) -> list[Dependency]:
    """The users named in the resource's own description."""
    command = _FIX_COMMANDS.get(ResourceKind(resource.kind), "")
    attachments = resource.attached_to or ("",)
    results = []
    for number, holder in enumerate(resource.used_by):
        attachment = attachments[min(number, len(attachments) - 1)]
        free = command.format(id=resource.id, holder=holder, attachment=attachment)
        results.append(
            Dependency(
                kind_of_id(holder), holder, fix_command=f"aws ec2 {free} --region {region}" if free else ""
            )
        )
    return results


async def _run_query(search: _DependencySearch, query: DependencyQuery, value: str) -> list[Dependency]:
    """The dependencies from one list."""
    parameters: dict[str, Any] = dict(query.also)
    if query.filter:
        parameters[query.filters] = [{"Name": query.filter, "Values": [value]}]
    rows = await _list(search, query.operation, query.key, **parameters)
    held = [row for row in rows if query.counts(row) and query.belongs(row, value)]
    dependencies = [_dependency(query, row, search.region, value) for row in held]
    return dependencies + [address for row in held for address in _addresses(row, search.region)]


def _addresses(row: Row, region: str) -> list[Dependency]:
    """The Elastic IP of a blocking interface, which remains allocated and billed (terraform-aws-vpc#296)."""
    allocation_id = (row.get("Association") or {}).get("AllocationId")
    if "NetworkInterfaceId" not in row or not allocation_id:
        return []
    return [
        Dependency(
            kind=ResourceKind.ADDRESS.value,
            id=allocation_id,
            owner="deleting its interface does not release it; AWS bills it until it is released",
            fix_command=f"aws ec2 release-address --allocation-id {allocation_id} --region {region}",
        )
    ]


async def _list(search: _DependencySearch, operation: str, key: str, **parameters: Any) -> list[Row]:
    """Rows of a list. A list without read permission is recorded as a partial failure and does not affect the others."""
    try:
        return await search.session.pages("ec2", search.region, operation, key, **parameters)
    except CloudError as error:
        info = classify(error.code)
        if info.recovery is Recovery.RETRY or info.category is Category.CREDENTIALS:
            raise
        search.partial_failures.append(error)
        return []


async def _instances(search: _DependencySearch, name: str, *values: str) -> list[Row]:
    filters = [{"Name": name, "Values": list(values)}]
    groups = await _list(search, "describe_instances", "Reservations", Filters=filters)
    return [row for group in groups for row in group["Instances"]]


def _dependency(query: DependencyQuery, row: Row, region: str, value: str) -> Dependency:
    own_id = str(row[query.id_key])
    instance = str((row.get("Attachment") or {}).get("InstanceId") or "")
    free, owner_id = query.fix_command.format(id=own_id, value=value, region=region), instance
    if instance:
        free = f"ec2 terminate-instances --instance-ids {instance}"
    elif _of_a_service(row) or _of_what(str(row.get("Description", ""))):
        owner_id, free = service_of(row, region)
    return Dependency(
        kind=query.kind,
        id=own_id,
        owner=_owner(row),
        parent_id=owner_id,
        fix_command=f"aws {free} --region {region}" if free else "",
    )


def _of_a_service(row: Row) -> bool:
    return bool(row.get("RequesterManaged")) or row.get("InterfaceType") not in {None, "interface"}


def service_of(row: Row, region: str) -> tuple[str, str]:
    """The parent of a service's interface and the command that deletes it; both empty if the description does not name
    it.

    A parent outside EC2 has no known id; only the command names it.
    """
    for pattern, command in _SERVICES:
        match = re.fullmatch(pattern, str(row.get("Description", "")))
        if match:
            name = match[1]
            arn = f"arn:{partition_of(region).id}:elasticloadbalancing:{region}:{row.get('OwnerId', '')}"
            filled = command.format(name, arn=arn)
            return (name if command.startswith("ec2 ") else ""), filled
    return "", ""


# Descriptions that name a service, but no resource that could be deleted (recorded replies of cloud-custodian).
_NAMELESS = (
    (r"RDSNetworkInterface", "RDS: a database instance or proxy in this subnet"),
    (r"arn:aws[\w-]*:ecs:[\w-]+:\d+:attachment/[\w-]+", "ECS: a task in this subnet"),
    (r"aws-k8s-branch-eni", "EKS: a pod in this subnet"),
    (r"AWS Lambda VPC ENI: \S+", "Lambda: a function in this subnet"),
)


def _of_what(description: str) -> str:
    return next((words for pattern, words in _NAMELESS if re.fullmatch(pattern, description)), "")


def _owner(row: Row) -> str:
    """The owner, as far as AWS lists it."""
    words = _of_what(str(row.get("Description", "")))
    if words:
        return f"{AWS_SERVICE_OWNER} ({words})"
    if _of_a_service(row):
        parts = (row.get("InterfaceType"), row.get("RequesterId"), row.get("Description"))
        return f"{AWS_SERVICE_OWNER} ({', '.join(str(part) for part in parts if part)})"
    tags = tags_of({"Tags": row.get("Tags") or row.get("TagSet") or ()})
    return f"named {tags['Name']}" if tags.get("Name") else ""


async def _named(search: _DependencySearch, results: Sequence[Dependency]) -> list[Dependency]:
    """Add the names of instances, by which users recognize their owner."""
    ids = sorted(
        {
            instance_id
            for dependency in results
            for instance_id in (dependency.id, dependency.parent_id)
            if instance_id.startswith("i-")
        }
    )
    if not ids:
        return list(results)
    rows = {row["InstanceId"]: row for row in await _instances(search, "instance-id", *ids)}
    return [_with_instance(dependency, rows, search.region) for dependency in results]


# The tags of services that replace a terminated instance, and the command that stops both (Auto Scaling user guide,
# "Health checks"; EC2 user guide, "Spot Fleet request types").
_REPLACED_BY = {
    "aws:autoscaling:groupName": (
        "Auto Scaling group",
        "autoscaling update-auto-scaling-group --auto-scaling-group-name {} --min-size 0 --desired-capacity 0",
    ),
    "aws:ec2spot:fleet-request-id": (
        "spot fleet",
        "ec2 cancel-spot-fleet-requests --spot-fleet-request-ids {} --terminate-instances",
    ),
}


def _with_instance(dependency: Dependency, rows: dict[str, Row], region: str) -> Dependency:
    row = rows.get(dependency.parent_id or dependency.id)
    if row is None:
        return dependency
    owner, tags = _instance_words(dependency, row), tags_of(row)
    for key, (kind, command) in _REPLACED_BY.items():
        if name := tags.get(key):
            owner = f"{owner} of {kind} {name}, which replaces it".lstrip()
            free = command.format(shlex.quote(name))
            return replace(dependency, owner=owner, fix_command=f"aws {free} --region {region}")
    return replace(dependency, owner=owner or dependency.owner)


def _instance_words(dependency: Dependency, row: Row) -> str:
    name = tags_of(row).get("Name")
    state = row["State"]["Name"]
    words = (
        f"instance {dependency.parent_id}" if dependency.parent_id else "",
        f"named {name}" if name else "",
        "" if state == "running" else f"({state})",
    )
    return " ".join(filter(None, words))


async def _rules(search: _DependencySearch, group_id: str) -> list[Dependency]:
    """Rules of other groups that reference this one. EC2 has no filter for them."""
    rows = await _list(search, "describe_security_group_rules", "SecurityGroupRules")
    results = []
    for row in rows:
        other = row["GroupId"]
        if (row.get("ReferencedGroupInfo") or {}).get("GroupId") == group_id and other != group_id:
            way = "egress" if row.get("IsEgress") else "ingress"
            rule = row["SecurityGroupRuleId"]
            command = (
                f"aws ec2 revoke-security-group-{way} --group-id {other} --security-group-rule-ids {rule} "
                f"--region {search.region}"
            )
            results.append(
                Dependency(
                    kind="security-group-rule",
                    id=rule,
                    owner=f"security group {other}",
                    parent_id=other,
                    fix_command=command,
                )
            )
    return results


async def _in_placement_group(search: _DependencySearch, resource: Resource) -> list[Dependency]:
    rows = await _instances(search, "placement-group-name", resource.handle)
    return [
        Dependency(
            ResourceKind.INSTANCE.value,
            row["InstanceId"],
            fix_command=f"aws ec2 terminate-instances --instance-ids {row['InstanceId']} --region {search.region}",
        )
        for row in rows
        if row["State"]["Name"] != "terminated"
    ]


async def _with_acl(search: _DependencySearch, resource: Resource) -> list[Dependency]:
    """Subnets that use it. The fix associates them with the default ACL of their VPC."""
    rows = await _list(search, "describe_network_acls", "NetworkAcls", NetworkAclIds=[resource.id])
    results = []
    for row in rows:
        filters = [
            {"Name": "vpc-id", "Values": [row["VpcId"]]},
            {"Name": "default", "Values": ["true"]},
        ]
        defaults = await _list(search, "describe_network_acls", "NetworkAcls", Filters=filters)
        default = defaults[0]["NetworkAclId"] if defaults else ""
        for association in row.get("Associations") or ():
            command = (
                f"aws ec2 replace-network-acl-association --association-id {association['NetworkAclAssociationId']} "
                f"--network-acl-id {default} --region {search.region}"
            )
            results.append(
                Dependency(
                    ResourceKind.SUBNET.value, association["SubnetId"], fix_command=command if default else ""
                )
            )
    return results


async def _with_role(search: _DependencySearch, resource: Resource) -> list[Dependency]:
    reply = await search.session.all_pages(
        "iam", None, "list_instance_profiles_for_role", RoleName=resource.id
    )
    return [
        Dependency(
            kind=ResourceKind.PROFILE.value,
            id=row["InstanceProfileName"],
            fix_command="aws iam remove-role-from-instance-profile "
            f"--instance-profile-name {row['InstanceProfileName']} --role-name {resource.id}",
        )
        for row in reply.get("InstanceProfiles", ())
    ]


# IAM API reference, ListEntitiesForPolicy: how an entity uses a policy, and the command to remove it.
_USAGES = (
    ("PermissionsPolicy", "detach-{who}-policy --{who}-name {name} --policy-arn {arn}"),
    ("PermissionsBoundary", "delete-{who}-permissions-boundary --{who}-name {name}"),
)
_ENTITIES = (
    ("PolicyRoles", "role", "RoleName"),
    ("PolicyUsers", "user", "UserName"),
    ("PolicyGroups", "group", "GroupName"),
)


async def _with_policy(search: _DependencySearch, resource: Resource) -> list[Dependency]:
    """The entities that have the policy attached or as boundary."""
    results = []
    for usage, take in _USAGES:
        reply = await search.session.all_pages(
            "iam", None, "list_entities_for_policy", PolicyArn=resource.handle, PolicyUsageFilter=usage
        )
        results += [
            Dependency(
                who,
                row[name],
                fix_command=f"aws iam {take.format(who=who, name=row[name], arn=resource.handle)}",
            )
            for key, who, name in _ENTITIES
            for row in reply.get(key, ())
        ]
    return results


_OTHERWISE: dict[ResourceKind, Callable[[_DependencySearch, Resource], Awaitable[Sequence[Dependency]]]] = {
    ResourceKind.PLACEMENT_GROUP: _in_placement_group,
    ResourceKind.ACL: _with_acl,
    ResourceKind.ROLE: _with_role,
    ResourceKind.POLICY: _with_policy,
}
