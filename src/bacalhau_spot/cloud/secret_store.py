"""Secrets in SSM's Parameter Store, and the IAM roles and instance profiles that read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.ec2_params import tag_list, tags_of
from bacalhau_spot.cloud.port import InstanceProfile, StoredParameter
from bacalhau_spot.core.model import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.cloud.session import Session

_ABSENT = frozenset({"NoSuchEntity", "ParameterNotFound"})


class AwsSecretStore:
    """`port.SecretStore` over botocore."""

    _session: Session

    async def parameter(self, region: str, name: str) -> Secret | None:
        stored = await self.stored_parameter(region, name)
        return None if stored is None else stored.value

    async def stored_parameter(self, region: str, name: str) -> StoredParameter | None:
        reply = await self._exists("ssm", region, "get_parameter", Name=name, WithDecryption=True)
        if reply is None:
            return None
        row = reply["Parameter"]
        return StoredParameter(Secret(str(row["Value"])), encrypted=row["Type"] == "SecureString")

    async def parameter_tags(self, region: str, name: str) -> dict[str, str]:
        reply = await self._session.call(
            "ssm", region, "list_tags_for_resource", ResourceType="Parameter", ResourceId=name
        )
        return tags_of({"Tags": reply.get("TagList", ())})

    async def put_parameter(
        self, region: str, name: str, *, value: Secret, tags: Mapping[str, str], replace: bool
    ) -> None:
        # AWS accepts tags only for a new parameter (SSM API reference, PutParameter). Everyone who may read the
        # parameter may use its default key, aws/ssm, so the role needs no KMS permission (Systems Manager user guide).
        extra: dict[str, Any] = {"Overwrite": True} if replace else {"Tags": tag_list(tags)}
        await self._session.call(
            "ssm", region, "put_parameter", Name=name, Value=value.reveal(), Type="SecureString", **extra
        )

    async def role_tags(self, name: str) -> dict[str, str] | None:
        reply = await self._exists("iam", None, "get_role", RoleName=name)
        return None if reply is None else tags_of(reply["Role"])

    async def role_policy(self, role: str, *, policy: str) -> str | None:
        reply = await self._exists("iam", None, "get_role_policy", RoleName=role, PolicyName=policy)
        return None if reply is None else json.dumps(reply["PolicyDocument"], sort_keys=True)

    async def create_role(
        self, name: str, *, path: str, principal: str, description: str, tags: Mapping[str, str]
    ) -> None:
        await self._session.call(
            "iam",
            None,
            "create_role",
            RoleName=name,
            Path=path,
            AssumeRolePolicyDocument=_trust(principal),
            Description=description,
            Tags=tag_list(tags),
        )

    async def put_role_policy(self, role: str, *, policy: str, document: str) -> None:
        await self._session.call(
            "iam", None, "put_role_policy", RoleName=role, PolicyName=policy, PolicyDocument=document
        )

    async def instance_profile(self, name: str) -> InstanceProfile | None:
        reply = await self._exists("iam", None, "get_instance_profile", InstanceProfileName=name)
        if reply is None:
            return None
        row = reply["InstanceProfile"]
        return InstanceProfile(tuple(role["RoleName"] for role in row["Roles"]), tags_of(row))

    async def create_profile(self, name: str, *, path: str, tags: Mapping[str, str]) -> None:
        await self._session.call(
            "iam", None, "create_instance_profile", InstanceProfileName=name, Path=path, Tags=tag_list(tags)
        )

    async def add_role(self, profile: str, *, role: str) -> None:
        await self._session.call(
            "iam", None, "add_role_to_instance_profile", InstanceProfileName=profile, RoleName=role
        )

    async def _exists(
        self, service: str, region: str | None, operation: str, **kwargs: Any
    ) -> dict[str, Any] | None:
        """The reply, or None if the resource does not exist."""
        try:
            return await self._session.call(service, region, operation, **kwargs)
        except CloudError as error:
            if error.code not in _ABSENT:
                raise
        return None


def _trust(principal: str) -> str:
    """The trust policy of an instance's role: EC2 may assume the role, under its name in the partition."""
    statement = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
