"""IAM: errors for policies in use and for missing roles, which moto lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from moto.backends import get_backend

from aws_spot_sandbox.http_types import AwsError, Reply
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox.http_types import Call, Handler

_CONFLICT, _NOT_FOUND = 409, 404
_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"


def answer(region: Region, call: Call, moto: Handler) -> Reply:
    """Moto's reply, with AWS's checks for policies in use and roles not in a profile."""
    del region  # IAM is global
    arn = call.params.get("PolicyArn", "")
    if call.action == "DeletePolicy":
        _check_delete(arn)
    if call.action == "RemoveRoleFromInstanceProfile":
        _check_remove(call.params.get("InstanceProfileName", ""), call.params.get("RoleName", ""))
    if call.action == "ListEntitiesForPolicy":
        return _entities(arn, usage=call.params.get("PolicyUsageFilter", ""))
    return moto(call)


def _backend() -> Any:
    return get_backend("iam")[ACCOUNT_ID]["aws"]


def _check_delete(arn: str) -> None:
    """AWS: IAM API Reference, DeletePolicy: the policy must be detached, and its non-default versions deleted."""
    if any(True for _ in _users(arn, usage="")):
        raise AwsError("DeleteConflict", "Cannot delete a policy attached to entities.", status=_CONFLICT)
    policy = _backend().managed_policies.get(arn)
    if policy is not None and len(policy.versions) > 1:
        raise AwsError(
            "DeleteConflict",
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy.",
            status=_CONFLICT,
        )


def _check_remove(profile_name: str, role_name: str) -> None:
    """AWS: IAM API Reference, RemoveRoleFromInstanceProfile. Moto crashes on a role that is not in the profile."""
    profile = next(
        (
            instance_profile
            for instance_profile in _backend().instance_profiles.values()
            if instance_profile.name == profile_name
        ),
        None,
    )
    if profile is not None and all(role.name != role_name for role in profile.roles):
        message = f"Instance profile {profile_name} does not have the role {role_name}."
        raise AwsError("NoSuchEntity", message, status=_NOT_FOUND)


def _users(arn: str, *, usage: str) -> Iterator[tuple[str, str, str]]:
    """The entities that have the policy attached or as boundary: kind, name, id."""
    backend = _backend()
    for kind, holders in (
        ("Role", backend.roles.values()),
        ("User", backend.users.values()),
        ("Group", backend.groups.values()),
    ):
        for holder in holders:
            attached = usage != "PermissionsBoundary" and arn in holder.managed_policies
            boundary = (
                usage != "PermissionsPolicy" and getattr(holder, "permissions_boundary_arn", None) == arn
            )
            if attached or boundary:
                yield kind, str(holder.name), str(holder.id)


def _entities(arn: str, *, usage: str) -> Reply:
    """AWS: IAM API Reference, ListEntitiesForPolicy."""
    lists: dict[str, str] = {"Group": "", "User": "", "Role": ""}
    for kind, name, own_id in _users(arn, usage=usage):
        lists[kind] += (
            f"<member><{kind}Name>{escape(name)}</{kind}Name><{kind}Id>{escape(own_id)}</{kind}Id></member>"
        )
    inside = "".join(f"<Policy{kind}s>{rows}</Policy{kind}s>" for kind, rows in lists.items())
    return Reply(
        f'<ListEntitiesForPolicyResponse xmlns="{_NAMESPACE}"><ListEntitiesForPolicyResult>{inside}'
        "<IsTruncated>false</IsTruncated></ListEntitiesForPolicyResult></ListEntitiesForPolicyResponse>".encode()
    )
