"""Launch templates without content, as locks: EC2 accepts a name once in a region."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.cloud.compute import METADATA
from bacalhau_spot.cloud.ec2_params import specification, tag_list, tags_of
from bacalhau_spot.cloud.port import CloudError, FoundLock
from bacalhau_spot.cloud.replies import required

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.cloud.session import Session


class AwsOperatorLocks:
    """`port.OperatorLocks` over boto3."""

    _session: Session

    async def create_lock(self, region: str, *, name: str, client_token: str, tags: Mapping[str, str]) -> str:
        reply = await self._session.call(
            "ec2",
            region,
            "create_launch_template",
            LaunchTemplateName=name,
            ClientToken=client_token,
            LaunchTemplateData={"MetadataOptions": METADATA},  # must not be empty
            TagSpecifications=specification("launch-template", tags),
        )
        return str(reply["LaunchTemplate"]["LaunchTemplateId"])

    async def lock(self, region: str, name: str) -> FoundLock | None:
        try:
            reply = await self._session.call(
                "ec2", region, "describe_launch_templates", LaunchTemplateNames=[name]
            )
        except CloudError as error:
            if error.code.startswith("InvalidLaunchTemplateName.NotFound"):
                return None
            raise
        rows = required(reply, "LaunchTemplates", operation="describe_launch_templates", region=region)
        return FoundLock(str(rows[0]["LaunchTemplateId"]), tags_of(rows[0])) if rows else None

    async def renew_lock(self, region: str, lock_id: str, *, tags: Mapping[str, str]) -> None:
        await self._session.call("ec2", region, "create_tags", Resources=[lock_id], Tags=tag_list(tags))

    async def delete_lock(self, region: str, lock_id: str) -> None:
        await self._session.call("ec2", region, "delete_launch_template", LaunchTemplateId=lock_id)
