"""The account's own images: list, creation, copies."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.compute import AWS_KEY
from bacalhau_spot.cloud.ec2_params import tag_filter, tag_list, tags_of
from bacalhau_spot.core.images.account_image import AccountImage
from bacalhau_spot.core.model import Arch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.cloud.session import Session

_TAGGED = ("image", "snapshot")


class AwsImages:
    """`port.Images` over boto3."""

    _session: Session

    async def account_images(self, region: str, *, key: str, value: str) -> tuple[AccountImage, ...]:
        rows = await self._session.pages(
            "ec2", region, "describe_images", "Images", Owners=["self"], Filters=tag_filter(key, value)
        )
        images = (_image(row, region) for row in rows if row["Architecture"] in list(Arch))
        return tuple(sorted(images, key=lambda image: image.id))

    async def create_image(self, region: str, instance_id: str, *, name: str, tags: Mapping[str, str]) -> str:
        reply = await self._session.call(
            "ec2",
            region,
            "create_image",
            InstanceId=instance_id,
            Name=name,
            TagSpecifications=_specifications(tags),
        )
        return str(reply["ImageId"])

    async def copy_image(
        self,
        region: str,
        image_id: str,
        *,
        source_region: str,
        name: str,
        tags: Mapping[str, str],
        client_token: str,
    ) -> str:
        reply = await self._session.call(
            "ec2",
            region,
            "copy_image",
            SourceRegion=source_region,
            SourceImageId=image_id,
            Name=name,
            ClientToken=client_token,
            # CopyImage: otherwise the account's default key, which the spot role may have no grant for.
            Encrypted=True,
            KmsKeyId=AWS_KEY,
            TagSpecifications=_specifications(tags),
        )
        return str(reply["ImageId"])


def _specifications(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": tag_list(tags)} for kind in _TAGGED]


def _image(row: dict[str, Any], region: str) -> AccountImage:
    disks = {
        mapping.get("DeviceName"): mapping["Ebs"]
        for mapping in row.get("BlockDeviceMappings", ())
        if "Ebs" in mapping
    }
    root = disks.get(row.get("RootDeviceName"), {})
    return AccountImage(
        id=row["ImageId"],
        region=region,
        name=str(row.get("Name", "")),
        arch=Arch(row["Architecture"]),
        state=str(row["State"]),
        created_at=datetime.fromisoformat(row["CreationDate"]),
        root_device=str(row.get("RootDeviceName") or ""),
        size_gib=int(root.get("VolumeSize", 0)),
        snapshot_ids=tuple(disk["SnapshotId"] for disk in disks.values() if disk.get("SnapshotId")),
        tags=tags_of(row),
    )
