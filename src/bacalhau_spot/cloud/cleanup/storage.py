"""Volumes, images, snapshots, key pairs, launch templates, placement groups and capacity reservations."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.cleanup.handler import Ec2Delete, Ec2Listing, Handler, Row, ec2
from bacalhau_spot.core.kinds import ResourceKind

if TYPE_CHECKING:
    from bacalhau_spot.cloud.session import Session
    from bacalhau_spot.core.model import Resource


def _volume(row: Row) -> dict[str, Any]:
    return {
        "used_by": tuple(
            attachment["InstanceId"]
            for attachment in row.get("Attachments", ())
            if attachment.get("InstanceId")
        ),
        "type": str(row.get("VolumeType", "")),
        "zone": str(row.get("AvailabilityZone", "")),
        "size_gib": int(row.get("Size", 0)),
    }


def _image_made(row: Row) -> datetime | None:
    """AWS returns this date as text."""
    text = row.get("CreationDate")
    return datetime.fromisoformat(text) if text else None


def _image(row: Row) -> dict[str, Any]:
    protected = str(row.get("DeregistrationProtection") or "disabled")
    return {"protection": "" if protected == "disabled" else "deregistration protection"}


async def _unprotect_image(session: Session, region: str, resource: Resource) -> None:
    await session.call("ec2", region, "disable_image_deregistration_protection", ImageId=resource.id)


def _reservation(row: Row) -> dict[str, Any]:
    committed = row.get("CommitmentInfo") or {}
    # Cancelling within a commitment is charged (EC2 API reference, CancelCapacityReservation).
    return {
        "retained": "it has a commitment that AWS bills until its end"
        if committed.get("CommittedInstanceCount")
        else "",
        "type": str(row.get("InstanceType", "")),
        "zone": str(row.get("AvailabilityZone", "")),
    }


HANDLERS: dict[ResourceKind, Handler] = {
    ResourceKind.VOLUME: ec2(
        Ec2Listing(
            ResourceKind.VOLUME,
            "describe_volumes",
            "Volumes",
            "VolumeId",
            more=_volume,
            gone=frozenset({"deleted"}),
        ),
        Ec2Delete("delete_volume", "VolumeId"),
    ),
    ResourceKind.IMAGE: ec2(
        Ec2Listing(
            ResourceKind.IMAGE,
            "describe_images",
            "Images",
            "ImageId",
            more=_image,
            created_at=_image_made,
            gone=frozenset({"deregistered"}),
            also={"Owners": ["self"], "IncludeDeprecated": True, "IncludeDisabled": True},
        ),
        Ec2Delete("deregister_image", "ImageId"),
        unprotect=_unprotect_image,
    ),
    ResourceKind.SNAPSHOT: ec2(
        Ec2Listing(
            ResourceKind.SNAPSHOT,
            "describe_snapshots",
            "Snapshots",
            "SnapshotId",
            created_at=lambda row: row.get("StartTime"),
            more=lambda row: {"size_gib": int(row.get("VolumeSize", 0))},
            also={"OwnerIds": ["self"]},
        ),
        Ec2Delete("delete_snapshot", "SnapshotId"),
    ),
    ResourceKind.KEY_PAIR: ec2(
        Ec2Listing(ResourceKind.KEY_PAIR, "describe_key_pairs", "KeyPairs", "KeyPairId"),
        Ec2Delete("delete_key_pair", "KeyPairId"),
    ),
    ResourceKind.TEMPLATE: ec2(
        Ec2Listing(ResourceKind.TEMPLATE, "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
        Ec2Delete("delete_launch_template", "LaunchTemplateId"),
    ),
    # Found by id, deleted by name.
    ResourceKind.PLACEMENT_GROUP: ec2(
        Ec2Listing(
            ResourceKind.PLACEMENT_GROUP,
            "describe_placement_groups",
            "PlacementGroups",
            "GroupId",
            more=lambda row: {"handle": str(row["GroupName"])},
            gone=frozenset({"deleted"}),
        ),
        Ec2Delete("delete_placement_group", "GroupName", by_handle=True),
    ),
    ResourceKind.RESERVATION: ec2(
        Ec2Listing(
            ResourceKind.RESERVATION,
            "describe_capacity_reservations",
            "CapacityReservations",
            "CapacityReservationId",
            more=_reservation,
            created_at=lambda row: row.get("CreateDate"),
            gone=frozenset({"cancelled", "expired", "failed"}),
            filters="",  # EC2 API reference, DescribeCapacityReservations: no tag filter is documented
        ),
        Ec2Delete("cancel_capacity_reservation", "CapacityReservationId"),
    ),
}
