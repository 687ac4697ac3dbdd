"""EBS volumes: creation, attachment, deletion.

AWS: EC2 API Reference, CreateVolume, AttachVolume, DetachVolume, DeleteVolume, "Error codes"; EBS User Guide, "EBS volume
lifecycle", "EBS volume types", "Device names on Linux instances".
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import filters, paging
from aws_spot_sandbox.ec2.codec import timestamp
from aws_spot_sandbox.ec2.machine import RUNNING, STOPPED
from aws_spot_sandbox.ec2.tags import tags_of
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Answer, Args, Region

# Smallest and largest size in GiB
SIZES = {
    "gp3": (1, 65_536),
    "gp2": (1, 16_384),
    "io2": (4, 65_536),
    "io1": (4, 16_384),
    "st1": (125, 16_384),
    "sc1": (125, 16_384),
    "standard": (1, 1024),
}
_DEVICE = re.compile(
    r"/dev/(sd[a-z][1-9]?|sd[a-z]1[0-5]|xvd[a-z]{1,2}|hd[a-z]([1-9]|1[0-5])?)|xvd[a-z]{1,2}|sd[a-z]{1,2}"
)


def create(region: Region, args: Args) -> Answer:
    """A new volume is `creating` before it is `available`."""
    zone, kind = args.get("AvailabilityZone"), str(args.get("VolumeType") or "gp2")
    tags = tags_of(args, "volume")
    if not zone:
        raise AwsError("MissingParameter", "The request must contain the parameter AvailabilityZone")
    if zone not in region.zones():
        raise AwsError("InvalidZone.NotFound", f"The zone '{zone}' does not exist.")
    _check_size(args, kind)
    encrypted = bool(args.get("Encrypted")) or bool(region.backend.ebs_encryption_by_default)
    volume = region.backend.create_volume(
        size=args.get("Size"),
        zone_name=zone,
        snapshot_id=args.get("SnapshotId"),
        encrypted=encrypted,
        kms_key_id=args.get("KmsKeyId"),
        volume_type=kind,
        iops=args.get("Iops"),
        throughput=args.get("Throughput"),
    )
    volume.create_time = region.moment()
    region.set_tags(volume.id, tags)
    _become(region, volume, "creating")
    return _described(region, volume)


def _check_size(args: Args, kind: str) -> None:
    least, most = SIZES[kind]
    size = args.get("Size")
    if size is None and not args.get("SnapshotId"):
        raise AwsError("MissingParameter", "The request must contain the parameter size/snapshot")
    if size is not None and int(size) > most:
        raise AwsError(
            "InvalidParameterValue",
            f"Volume of {size}GiB is too large for volume type {kind}; maximum is {most}GiB.",
        )
    if size is not None and int(size) < least:
        raise AwsError(
            "InvalidParameterValue",
            f"Volume of {size}GiB is too small for volume type {kind}; minimum is {least}GiB.",
        )


def _become(region: Region, volume: Any, state: str) -> None:
    """A state that ends by itself."""
    volume.passing_state = state
    region.later(region.world.settings.pending_s, partial(_settle, volume, state))


def _settle(volume: Any, state: str) -> None:
    if state_of(volume) == state:
        volume.passing_state = ""


def state_of(volume: Any) -> str:
    """`creating` or `deleting`, besides the states that follow from the attachment."""
    return str(getattr(volume, "passing_state", "") or volume.status)


def _described(region: Region, volume: Any) -> dict[str, Any]:
    return {
        "VolumeId": volume.id,
        "Size": volume.size,
        "SnapshotId": volume.snapshot_id or "",
        "AvailabilityZone": volume.zone.name,
        "State": state_of(volume),
        "CreateTime": volume.create_time,
        "VolumeType": volume.volume_type,
        "Iops": volume.iops,
        "Throughput": volume.throughput or (125 if volume.volume_type == "gp3" else None),
        "Encrypted": bool(volume.encrypted),
        "KmsKeyId": volume.kms_key_id,
        "MultiAttachEnabled": False,
        "Attachments": [_attachment(volume)] if volume.attachment else [],
        "Tags": region.tag_set(volume.id) or None,
    }


def _attachment(volume: Any) -> dict[str, Any]:
    attachment = volume.attachment
    mapping = attachment.instance.block_device_mapping.get(attachment.device)
    return {
        "VolumeId": volume.id,
        "InstanceId": attachment.instance.id,
        "Device": attachment.device,
        "State": attachment.status,
        "AttachTime": attachment.attach_time,
        "DeleteOnTermination": bool(mapping and mapping.delete_on_termination),
    }


def find(region: Region, volume_id: Any) -> Any:
    volume = region.backend.volumes.get(volume_id)
    if volume is None:
        raise AwsError("InvalidVolume.NotFound", f"The volume '{volume_id}' does not exist.")
    return volume


def attach(region: Region, args: Args) -> Answer:
    """In the instance's zone, to a running or stopped instance, under a free device name."""
    for parameter in ("VolumeId", "InstanceId", "Device"):
        if not args.get(parameter):
            name = parameter[0].lower() + parameter[1:]
            raise AwsError("MissingParameter", f"The request must contain the parameter {name}")
    volume = find(region, args["VolumeId"])
    machine = region.machines.get(args["InstanceId"])
    if machine is None:
        raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{args['InstanceId']}' does not exist")
    _check_free(volume)
    if machine.state not in (RUNNING, STOPPED):
        raise AwsError("IncorrectState", f"Instance '{machine.id}' is not 'running'.")
    if volume.zone.name != machine.zone:
        raise AwsError(
            "InvalidVolume.ZoneMismatch",
            f"The volume '{volume.id}' is not in the same availability zone as instance '{machine.id}'",
        )
    _check_device(machine, str(args["Device"]))
    region.backend.attach_volume(volume.id, machine.id, args["Device"])
    machine.moto.block_device_mapping[args["Device"]].attach_time = region.moment()
    volume.attachment.attach_time = region.moment()
    volume.attachment.status = "attaching"
    region.later(region.world.settings.pending_s, partial(_attached, volume.attachment))
    return _attachment(volume)


def _check_free(volume: Any) -> None:
    if volume.attachment is not None:
        raise AwsError("VolumeInUse", f"{volume.id} is already attached to an instance")
    if state_of(volume) != "available":
        raise AwsError("IncorrectState", f"{volume.id} is not 'available'.")


def _check_device(machine: Machine, device: str) -> None:
    if not _DEVICE.fullmatch(device):
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({device}) for parameter device is invalid. {device} is not a valid EBS device name.",
        )
    if device in machine.moto.block_device_mapping:
        raise AwsError(
            "InvalidParameterValue",
            f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
        )


def _attached(attachment: Any) -> None:
    if attachment.status == "attaching":
        attachment.status = "attached"


def detach(region: Region, args: Args) -> Answer:
    """Needs only the volume's id. A root volume is refused, except that of a stopped instance."""
    volume = find(region, args.get("VolumeId"))
    attachment = volume.attachment
    if attachment is None:
        raise AwsError("IncorrectState", f"Volume '{volume.id}' is in the '{state_of(volume)}' state.")
    instance = attachment.instance
    wrong_instance = args.get("InstanceId") not in (None, instance.id)
    if wrong_instance or args.get("Device") not in (None, attachment.device):
        raise AwsError(
            "InvalidAttachment.NotFound",
            f"Volume '{volume.id}' is not attached to instance '{args.get('InstanceId') or instance.id}' as "
            f"{args.get('Device') or attachment.device}.",
        )
    machine = region.machines.get(instance.id)
    if attachment.device == instance.root_device_name and machine is not None and _holds_root(machine):
        raise AwsError(
            "OperationNotPermitted",
            f"Unable to detach root volume '{volume.id}' from instance '{instance.id}'",
        )
    if attachment.status != "detaching":
        attachment.status = "detaching"
        region.later(region.world.settings.pending_s, partial(_detached, region, volume, attachment))
    return _attachment(volume)


def _holds_root(machine: Machine) -> bool:
    return machine.alive and machine.state != STOPPED


def _detached(region: Region, volume: Any, attachment: Any) -> None:
    if volume.attachment is attachment:  # the instance may have been terminated
        region.backend.detach_volume(volume.id, attachment.instance.id, attachment.device)


def check_delete(region: Region, args: Args) -> None:
    """Moto refuses an attached volume itself."""
    volume = find(region, args.get("VolumeId"))
    if volume.attachment is None and state_of(volume) == "creating":
        raise AwsError("IncorrectState", f"Volume '{volume.id}' is in the 'creating' state.")


def forget(region: Region, args: Args) -> None:
    region.forget_tags(str(args.get("VolumeId")))


_FILTERS: dict[str, filters.Getter[Any]] = {
    "attachment.attach-time": lambda volume: _of_attachment(volume, "AttachTime"),
    "attachment.delete-on-termination": lambda volume: _of_attachment(volume, "DeleteOnTermination"),
    "attachment.device": lambda volume: _of_attachment(volume, "Device"),
    "attachment.instance-id": lambda volume: _of_attachment(volume, "InstanceId"),
    "attachment.status": lambda volume: _of_attachment(volume, "State"),
    "availability-zone": lambda volume: volume.zone.name,
    "create-time": lambda volume: timestamp(volume.create_time),
    "encrypted": lambda volume: bool(volume.encrypted),
    "multi-attach-enabled": lambda _: False,
    "size": lambda volume: str(volume.size),
    "snapshot-id": lambda volume: volume.snapshot_id,
    "status": state_of,
    "volume-id": lambda volume: volume.id,
    "volume-type": lambda volume: volume.volume_type,
}


def _of_attachment(volume: Any, name: str) -> Any:
    if volume.attachment is None:
        return None
    value = _attachment(volume)[name]
    return timestamp(value) if name == "AttachTime" else value


def describe(region: Region, args: Args) -> Answer:
    ids = args.get("VolumeIds")
    volumes = [find(region, volume_id) for volume_id in ids] if ids else region.backend.volumes.values()
    selected = filters.select(volumes, args.get("Filters"), _FILTERS, lambda volume: region.tags(volume.id))
    largest = max(1000, len(selected)) if ids else 1000
    page, token = paging.page(selected, args, largest=largest, smallest=5)
    return {"Volumes": [_described(region, volume) for volume in page], "NextToken": token}
