"""New images: of an instance, and copies in another region. An image is `pending` until its snapshot is complete.

AWS: EC2 API Reference, CreateImage, CopyImage, "Error codes"; EC2 User Guide, "Copy an Amazon EC2 AMI".
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import images, launch_parameters
from aws_spot_sandbox.ec2.machine import RUNNING, STOPPED
from aws_spot_sandbox.ec2.storage import default_key
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.ec2.region import Answer, Args, Region

PENDING = "pending"
# EC2 User Guide, "Copy an Amazon EC2 AMI": concurrent copies to one destination region
MAX_COPIES = 100
_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
_KINDS = frozenset({"image", "snapshot"})


def create_image(region: Region, args: Args) -> Answer:
    """Of a running or stopped instance: its root volume becomes the image's snapshot."""
    instance_id = str(args.get("InstanceId") or "")
    machine = region.machines.get(instance_id)
    if machine is None:
        raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
    if machine.state not in (RUNNING, STOPPED):
        raise AwsError(
            "IncorrectState",
            f"The instance '{instance_id}' is not in a state from which an image can be created.",
        )
    name, tags = _checked(region, args)
    source = images.find(region, str(machine.moto.image_id))
    volume_id = machine.moto.block_device_mapping[source.root_device].volume_id
    snapshot = region.backend.create_snapshot(
        volume_id, f"Created by CreateImage({instance_id})", owner_id=ACCOUNT_ID
    )
    return _registered(region, source, snapshot, name, tags, args, installed=machine.installed)


def copy_image(region: Region, args: Args) -> Answer:
    """In the region of the call. The copy has a snapshot of its own, and only the tags of the call."""
    for parameter in ("SourceRegion", "SourceImageId"):
        if not args.get(parameter):
            raise AwsError("MissingParameter", f"The request must contain the parameter {parameter}")
    known = _repeated(region, args)
    if known:
        return {"ImageId": known}
    name, tags = _checked(region, args)
    source = images.find(region.find_region(str(args["SourceRegion"])), str(args["SourceImageId"]))
    _check_available(source)
    if sum(image.state == PENDING and bool(image.copy_of) for image in region.images.values()) >= MAX_COPIES:
        raise AwsError("ResourceLimitExceeded", f"You have exceeded the limit of {MAX_COPIES} image copies.")
    home = region.find_region(str(args["SourceRegion"]))
    original = home.backend.snapshots.get(source.snapshot_id)
    snapshot = _copied_snapshot(region, source, original, args)
    answer = _registered(region, replace(source, copy_of=source.id), snapshot, name, tags, args)
    if args.get("ClientToken"):
        region.copies[str(args["ClientToken"])] = (repr(args), answer["ImageId"])
    return answer


def _repeated(region: Region, args: Args) -> str:
    """The copy of an earlier call with this client token; empty for a new one."""
    before, image_id = region.copies.get(str(args.get("ClientToken") or ""), ("", ""))
    if image_id and before != repr(args):
        raise AwsError(
            "IdempotentParameterMismatch",
            "The request uses the same client token as a previous, but non-identical request.",
        )
    return image_id


def _check_available(image: images.Image) -> None:
    if image.state != "available":
        raise AwsError("InvalidAMIID.Unavailable", f"The image ID '{image.id}' is not available")


def _checked(region: Region, args: Args) -> tuple[str, Mapping[str, Mapping[str, str]]]:
    """The image's name, and the tags of the image and its snapshot."""
    name = str(args.get("Name") or "")
    if not _NAME.fullmatch(name):
        raise AwsError(
            "InvalidAMIName.Malformed",
            "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', '-', "
            "'/' and '_'",
        )
    for image in region.images.values():
        if image.owner == ACCOUNT_ID and image.name == name:
            raise AwsError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image.id}")
    tags = launch_parameters.tags_by_kind(args.get("TagSpecifications"))
    for kind in tags:
        if kind not in _KINDS:
            raise AwsError(
                "InvalidParameterValue",
                f"'{kind}' is not a valid taggable resource type for this operation.",
            )
    return name, tags


def _copied_snapshot(region: Region, source: images.Image, original: Any, args: Args) -> Any:
    """Moto makes a snapshot of a volume of the same region only.

    CopyImage: a copy of an encrypted snapshot is encrypted, with the account's default key unless the call names another.
    """
    encrypted = source.encrypted or bool(args.get("Encrypted"))
    if args.get("KmsKeyId") and not args.get("Encrypted"):
        raise AwsError(
            "InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted"
        )
    volume = region.backend.create_volume(
        size=source.volume_gib,
        zone_name=region.zones()[0],
        encrypted=encrypted,
        kms_key_id=(args.get("KmsKeyId") or default_key(region, {})["KmsKeyId"]) if encrypted else None,
    )
    snapshot = region.backend.create_snapshot(
        volume.id, f"Copied for DestinationAmi from SourceAmi {source.id}", owner_id=ACCOUNT_ID
    )
    if original is not None:
        snapshot.encrypted = encrypted or original.encrypted
    del region.backend.volumes[volume.id]
    return snapshot


def _registered(
    region: Region,
    source: images.Image,
    snapshot: Any,
    name: str,
    tags: Mapping[str, Mapping[str, str]],
    args: Args,
    *,
    installed: str = "",
) -> Answer:
    snapshot.start_time = region.moment()
    image = replace(
        source,
        id=region.new_id("ami"),
        name=name,
        owner=ACCOUNT_ID,
        owner_alias=None,
        description=str(args.get("Description") or ""),
        created=region.moment(),
        volume_gib=int(snapshot.volume.size),
        snapshot_id=snapshot.id,
        encrypted=bool(snapshot.encrypted),
        public=False,
        protected=False,
        state=PENDING,
        installed=installed or source.installed,
    )
    region.images[image.id] = image
    region.set_tags(image.id, tags.get("image", {}))
    region.set_tags(snapshot.id, tags.get("snapshot", {}))
    region.later(region.world.settings.image_s, partial(_complete, region, image.id))
    return {"ImageId": image.id}


def _complete(region: Region, image_id: str) -> None:
    image = region.images.get(image_id)
    if image is not None:
        region.images[image_id] = replace(image, state="available")
