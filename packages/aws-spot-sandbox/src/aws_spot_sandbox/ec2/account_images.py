"""The account's own images. An image is registered from a snapshot, which cannot be deleted before the image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aws_spot_sandbox.ec2 import images, launch_parameters
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.region import Answer, Args, Region


def register_image(region: Region, args: Args) -> Answer:
    """AWS: EC2 API Reference, RegisterImage, from a snapshot."""
    name = str(args.get("Name") or "")
    if any(image.name == name and image.owner == ACCOUNT_ID for image in region.images.values()):
        raise AwsError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by another AMI")
    disks = [mapping.get("Ebs") or {} for mapping in args.get("BlockDeviceMappings") or ()]
    snapshot_id = next((str(disk["SnapshotId"]) for disk in disks if disk.get("SnapshotId")), "")
    snapshot = region.backend.snapshots.get(snapshot_id)
    stored = bool(args.get("ImageLocation"))  # stored in S3: an instance-store image
    if snapshot is None and not stored:
        raise AwsError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
    tags = launch_parameters.tags_by_kind(args.get("TagSpecifications"))
    image = images.Image(
        id=region.new_id("ami"),
        name=name,
        architecture=str(args.get("Architecture") or "x86_64"),
        owner=ACCOUNT_ID,
        description=str(args.get("Description") or ""),
        created=region.moment(),
        root_device=str(args.get("RootDeviceName") or "/dev/sda1"),
        volume_type="gp3",
        volume_gib=0 if stored else int(snapshot.volume.size),
        snapshot_id=snapshot_id,
        encrypted=not stored and bool(snapshot.encrypted),
        instance_store=stored,
        public=False,
    )
    region.images[image.id] = image
    region.set_tags(image.id, tags.get("image", {}))
    return {"ImageId": image.id}


def deregister_image(region: Region, args: Args) -> Answer:
    """AWS: EC2 API Reference, DeregisterImage: does not delete the snapshot. A protected image is refused."""
    image = _own(region, args)
    if image.protected:
        raise AwsError(
            "OperationNotPermitted",
            f"You can't deregister {image.id} because deregistration protection is enabled.",
        )
    region.images.pop(image.id, None)
    region.backend.amis.pop(image.id, None)
    region.forget_tags(image.id)
    return {"Return": True}


def protect_image(region: Region, args: Args) -> Answer:
    region.images[_own(region, args).id] = replace(_own(region, args), protected=True)
    return {"Return": "enabled-without-cooldown"}


def unprotect_image(region: Region, args: Args) -> Answer:
    region.images[_own(region, args).id] = replace(_own(region, args), protected=False)
    return {"Return": "disabled"}


def _own(region: Region, args: Args) -> images.Image:
    image = images.find(region, str(args.get("ImageId") or ""))
    if image.owner != ACCOUNT_ID:
        raise AwsError("AuthFailure", f"Not authorized for image:{image.id}")
    return image


def check_snapshot(region: Region, args: Args) -> None:
    """AWS: EC2 API Reference, DeleteSnapshot: refused for the root device of a registered image."""
    snapshot_id = str(args.get("SnapshotId") or "")
    for image in region.images.values():
        if image.owner == ACCOUNT_ID and image.snapshot_id == snapshot_id:
            raise AwsError(
                "InvalidSnapshot.InUse", f"The snapshot {snapshot_id} is currently in use by {image.id}"
            )
