"""IAM: instance profiles, roles, managed policies. IAM is global, lists by path, and lists no tags.

A cluster's own are below the tool's path. For the whole account all paths are scanned, except AWS's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.cleanup.handler import FindRequest, Handler, Row, deletion, is_gone_error
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.ec2_params import tags_of
from bacalhau_spot.core.kinds import GLOBAL, ResourceKind
from bacalhau_spot.core.model import Resource
from bacalhau_spot.core.tags import IAM_ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cloud.port import Deletion
    from bacalhau_spot.cloud.session import Session

# Only AWS services create and delete these (IAM user guide, "IAM identifiers").
_OF_AWS = ("/aws-service-role/", "/aws-reserved/")


async def _listed(request: FindRequest, operation: str, key: str, **extra: Any) -> list[Row]:
    path = "/" if request.scope.creator is not None else IAM_ROOT
    reply = await request.session.all_pages("iam", None, operation, PathPrefix=path, **extra)
    return [row for row in reply.get(key, ()) if not str(row["Path"]).startswith(_OF_AWS)]


async def _row(request: FindRequest, operation: str, key: str, **named: str) -> Row | None:
    """A resource with its tags, which lists omit; None if it was deleted in the meantime."""
    try:
        reply = await request.session.call("iam", None, operation, **named)
    except CloudError as error:
        if not is_gone_error(error):
            raise
        return None
    row: Row = reply[key]
    return row if request.scope.matches(tags_of(row)) else None


async def find_profiles(request: FindRequest) -> list[Resource]:
    found = []
    for listed in await _listed(request, "list_instance_profiles", "InstanceProfiles"):
        name = listed["InstanceProfileName"]
        row = await _row(request, "get_instance_profile", "InstanceProfile", InstanceProfileName=name)
        if row is not None:
            roles = tuple(role["RoleName"] for role in row.get("Roles", ()))
            found.append(_resource(ResourceKind.PROFILE, name, row, attached_to=roles))
    return found


async def find_roles(request: FindRequest) -> list[Resource]:
    found = []
    for listed in await _listed(request, "list_roles", "Roles"):
        row = await _row(request, "get_role", "Role", RoleName=listed["RoleName"])
        if row is not None:
            found.append(_resource(ResourceKind.ROLE, row["RoleName"], row))
    return found


async def find_policies(request: FindRequest) -> list[Resource]:
    found = []
    for listed in await _listed(request, "list_policies", "Policies", Scope="Local"):
        row = await _row(request, "get_policy", "Policy", PolicyArn=listed["Arn"])
        if row is not None:
            found.append(_resource(ResourceKind.POLICY, row["PolicyName"], row, handle=row["Arn"]))
    return found


def _resource(kind: ResourceKind, name: str, row: Row, **extra: Any) -> Resource:
    return Resource(
        kind=kind.value,
        id=name,
        region=GLOBAL,
        tags=tags_of(row),
        created_at=row.get("CreateDate"),
        **extra,
    )


async def delete_profiles(session: Session, _region: str, resources: Sequence[Resource]) -> Deletion:
    replies = []
    for resource in resources:
        for role in resource.attached_to:
            replies += await _unless_gone(
                session,
                "remove_role_from_instance_profile",
                InstanceProfileName=resource.id,
                RoleName=role,
            )
        replies.append(
            await session.call("iam", None, "delete_instance_profile", InstanceProfileName=resource.id)
        )
    return deletion(*replies)


async def delete_roles(session: Session, _region: str, resources: Sequence[Resource]) -> Deletion:
    """IAM deletes a role only without policies and profiles (IAM API reference, DeleteRole)."""
    replies = []
    for resource in resources:
        role = {"RoleName": resource.id}
        inline = await session.all_pages("iam", None, "list_role_policies", **role)
        for name in inline.get("PolicyNames", ()):
            replies += await _unless_gone(session, "delete_role_policy", **role, PolicyName=name)
        attached = await session.all_pages("iam", None, "list_attached_role_policies", **role)
        for row in attached.get("AttachedPolicies", ()):
            replies += await _unless_gone(session, "detach_role_policy", **role, PolicyArn=row["PolicyArn"])
        replies.append(await session.call("iam", None, "delete_role", **role))
    return deletion(*replies)


async def delete_policies(session: Session, _region: str, resources: Sequence[Resource]) -> Deletion:
    """Non-default versions first (IAM API reference, DeletePolicy). Attachments to unmanaged entities remain."""
    replies = []
    for resource in resources:
        policy = {"PolicyArn": resource.handle}
        versions = await session.all_pages("iam", None, "list_policy_versions", **policy)
        for row in versions.get("Versions", ()):
            if not row.get("IsDefaultVersion"):
                replies += await _unless_gone(
                    session, "delete_policy_version", **policy, VersionId=row["VersionId"]
                )
        replies.append(await session.call("iam", None, "delete_policy", **policy))
    return deletion(*replies)


async def _unless_gone(session: Session, operation: str, **named: str) -> list[dict[str, Any]]:
    try:
        return [await session.call("iam", None, operation, **named)]
    except CloudError as error:
        if not is_gone_error(error):
            raise
        return []


HANDLERS: dict[ResourceKind, Handler] = {
    ResourceKind.PROFILE: Handler(find=find_profiles, delete=delete_profiles),
    ResourceKind.ROLE: Handler(find=find_roles, delete=delete_roles),
    ResourceKind.POLICY: Handler(find=find_policies, delete=delete_policies),
}
