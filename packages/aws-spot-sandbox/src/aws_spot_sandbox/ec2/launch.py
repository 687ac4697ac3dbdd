"""Creates instances, for both RunInstances and CreateFleet."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from moto.core.types import Base64EncodedString
from moto.ec2.models.instances import Instance, Reservation
from moto.ec2.utils import random_reservation_id

from aws_spot_sandbox.ec2 import capacity, catalog, launch_parameters, prices, spot, templates
from aws_spot_sandbox.ec2.machine import PENDING, RUNNING, Machine, shut_down
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.launch_parameters import Launch
    from aws_spot_sandbox.ec2.region import Args, Region

_AWS_KEY = "alias/aws/ebs"
LAUNCH_KINDS = frozenset(
    {"instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu", "elastic-inference"}
)


def run_instances(region: Region, args: Args) -> list[Machine]:
    """RunInstances: launch as many as fit between MinCount and MaxCount, or raise the error."""
    template = None
    data: dict[str, Any] = {}
    if args.get("LaunchTemplate"):
        version = templates.version(region, args["LaunchTemplate"])
        template, data = (version.template.id, version.number), version.data
    if args.get("NetworkInterfaces") and args.get("SubnetId"):
        raise AwsError(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level subnet ID may not be specified on the same request",
        )
    check_kinds(args.get("TagSpecifications"))
    market = (args.get("InstanceMarketOptions") or data.get("InstanceMarketOptions")) or {}
    launch = launch_parameters.resolve(
        region,
        launch_parameters.merged(data, args),
        spot=market.get("MarketType") == "spot",
        template=template,
        max_price=(market.get("SpotOptions") or {}).get("MaxPrice"),
    )
    least, most = int(args.get("MinCount") or 1), int(args.get("MaxCount") or 1)
    if not 1 <= least <= most:
        raise AwsError("InvalidParameterValue", f"Invalid value '{least}' for min instances")
    room = capacity.room(region, launch)
    if room.count < least:
        raise room.refusal
    return create(region, launch, min(most, room.count), client_token=args.get("ClientToken") or "")


def check_kinds(specifications: list[dict[str, Any]] | None, kinds: frozenset[str] = LAUNCH_KINDS) -> None:
    for specification in specifications or ():
        kind = specification.get("ResourceType")
        if kind not in kinds:
            raise AwsError(
                "InvalidParameterValue", f"'{kind}' is not a valid taggable resource type for this operation."
            )


def create(
    region: Region, launch: Launch, count: int, *, client_token: str = "", fleet_id: str = ""
) -> list[Machine]:
    """Create pending instances with disks, interfaces, spot requests and all tags, in one reservation."""
    profile = _profile(launch.data.get("IamInstanceProfile"))
    reservation = Reservation(random_reservation_id(), owner_id=ACCOUNT_ID)
    region.backend.reservations[reservation.id] = reservation
    machines = []
    for index in range(count):
        instance = _instance(region, launch, index, client_token)
        reservation.instances.append(instance)
        machine = Machine(
            moto=instance,
            reservation_id=reservation.id,
            launched_at=region.now(),
            order=region.turn(),
            spot=launch.spot,
            fleet_id=fleet_id,
            client_token=client_token,
            profile=profile,
            disk_locked=_disk_locked(region, launch),
            cpu_credits=_credits(launch),
            auto_recovery=str((launch.data.get("MaintenanceOptions") or {}).get("AutoRecovery") or "default"),
            placement_group=str((launch.data.get("Placement") or {}).get("GroupName") or ""),
        )
        region.machines[machine.id] = machine
        _equip(region, machine, launch)
        machines.append(machine)
    return machines


def _instance(region: Region, launch: Launch, index: int, client_token: str) -> Any:
    data = launch.data
    user_data = data.get("UserData")
    instance = Instance(
        region.backend,
        launch.image.id,
        Base64EncodedString(str(user_data)) if user_data else None,
        list(launch.groups),
        instance_type=launch.type,
        region_name=region.name,
        subnet_id=launch.subnet.id,
        key_name=data.get("KeyName"),
        ebs_optimized=bool(data.get("EbsOptimized")),
        monitoring_state="enabled" if (data.get("Monitoring") or {}).get("Enabled") else "disabled",
        ami_launch_index=index,
        disable_api_termination=bool(data.get("DisableApiTermination")) and not launch.spot,
        disable_api_stop=bool(data.get("DisableApiStop")) and not launch.spot,
        instance_initiated_shutdown_behavior=data.get("InstanceInitiatedShutdownBehavior"),
        associate_public_ip=False,
        private_ip=launch.interface.get("PrivateIpAddress") or data.get("PrivateIpAddress"),
        metadata_options=data.get("MetadataOptions") or {},
        lifecycle="spot" if launch.spot else None,
        client_token=client_token,
    )
    instance.architecture = launch.image.architecture
    instance.virtualization_type = launch.image.virtualization
    instance.root_device_name = launch.image.root_device
    instance.launch_time = region.moment()
    return instance


def _equip(region: Region, machine: Machine, launch: Launch) -> None:
    machine.set_state(PENDING)
    region.later(region.world.settings.pending_s, lambda: _start(region, machine))
    _set_instance_tags(region, machine, launch)
    for eni in machine.moto.nics.values():
        _set_up_interface(region, eni, launch)
    for device in launch.devices:
        _attach_disk(region, machine, device, launch.tags.get("volume", {}))
    if launch.spot:
        machine.spot_request_id = new_request_id(region)
        price = launch.max_price or prices.on_demand(region.name, launch.type)
        spot.record(region, machine, launch, price=prices.spelled(price))


def start_again(region: Region, machine: Machine) -> None:
    """A stopped instance."""
    machine.set_state(PENDING)
    machine.launched_at = region.now()
    machine.forget_reason()
    for eni in machine.moto.nics.values():
        if not eni.public_ip and getattr(eni, "auto_assigned", False):
            eni.public_ip = region.addresses.next()
    region.later(region.world.settings.pending_s, lambda: _start(region, machine))


def _start(region: Region, machine: Machine) -> None:
    if machine.state == PENDING and machine.disk_locked:
        shut_down(region, machine, code="Client.InternalError", by_user=False)
    elif machine.state == PENDING:
        machine.set_state(RUNNING)
        machine.started_at = region.now()
        region.plugins.started(region, machine)


def _set_instance_tags(region: Region, machine: Machine, launch: Launch) -> None:
    region.set_tags(machine.id, launch.tags.get("instance", {}))
    if machine.fleet_id:
        key = "aws:ec2spot:fleet-request-id" if machine.fleet_id.startswith("sfr-") else "aws:ec2:fleet-id"
        region.set_tags(machine.id, {key: machine.fleet_id})
    if launch.template:
        template_id, version = launch.template
        region.set_tags(
            machine.id,
            {"aws:ec2launchtemplate:id": template_id, "aws:ec2launchtemplate:version": str(version)},
        )


def _set_up_interface(region: Region, eni: Any, launch: Launch) -> None:
    eni.delete_on_termination = launch.interface.get("DeleteOnTermination", True)
    eni.description = launch.interface.get("Description") or ""
    eni.attach_time = region.moment()
    if launch.public_ip:
        # associate_public_ip is off, because moto would assign a real public address
        eni.public_ip = region.addresses.next()
    eni.auto_assigned = launch.public_ip  # a disassociated Elastic IP is replaced by a new address
    region.set_tags(eni.id, launch.tags.get("network-interface", {}))


def _attach_disk(region: Region, machine: Machine, device: Any, tags: dict[str, str]) -> None:
    backend = region.backend
    kind = device.get("VolumeType")
    volume = backend.create_volume(
        size=int(device["VolumeSize"]),
        zone_name=machine.zone,
        encrypted=bool(device.get("Encrypted")),
        kms_key_id=device.get("KmsKeyId"),
        volume_type=kind,
        iops=device.get("Iops"),
        throughput=device.get("Throughput"),
    )
    volume.snapshot_id = device.get("SnapshotId")
    volume.create_time = region.moment()
    backend.attach_volume(
        volume.id, machine.id, device["DeviceName"], bool(device.get("DeleteOnTermination", True))
    )
    machine.moto.block_device_mapping[device["DeviceName"]].attach_time = region.moment()
    volume.attachment.attach_time = region.moment()
    region.set_tags(volume.id, tags)


def _disk_locked(region: Region, launch: Launch) -> bool:
    """Whether a disk needs a key of the account that the spot service-linked role has no grant for.

    runs-on#151, karpenter-provider-aws#1407: a disk encrypted by its mapping or by the account's default, without a
    named key, uses the account's default key. EC2 user guide, "Spot service-linked role": an image encrypted with a
    customer managed key needs the grant too, whichever key the new disk has.
    """
    if not region.world.settings.default_key_without_spot or not launch.spot:
        return False
    default = bool(region.backend.ebs_encryption_by_default)
    return any(
        ((device.get("Encrypted") or default) and not device.get("KmsKeyId"))
        or _own_key(region, str(device.get("SnapshotId") or ""))
        for device in launch.devices
    )


def _own_key(region: Region, snapshot_id: str) -> bool:
    snapshot = region.backend.snapshots.get(snapshot_id)
    if snapshot is None or not snapshot.encrypted:
        return False
    key = snapshot.volume.kms_key_id
    return bool(key) and key not in {_AWS_KEY, region.backend.default_kms_key_id}


def _credits(launch: Launch) -> str:
    """EC2 user guide, "Unlimited mode": t3, t3a and t4g launch as unlimited by default, t2 as standard."""
    if not catalog.burstable(launch.type):
        return ""
    cpu_credits = (launch.data.get("CreditSpecification") or {}).get("CpuCredits")
    return str(cpu_credits or ("standard" if launch.type.startswith("t2.") else "unlimited"))


def _profile(profile: dict[str, str] | None) -> dict[str, str]:
    """The instance profile as DescribeInstances returns it."""
    if not profile:
        return {}
    name = profile.get("Name") or str(profile.get("Arn", "")).rpartition("/")[2]
    arn = profile.get("Arn") or f"arn:aws:iam::{ACCOUNT_ID}:instance-profile/{name}"
    return {"Arn": arn, "Id": "AIPA" + hashlib.sha256(arn.encode()).hexdigest()[:17].upper()}


def new_request_id(region: Region) -> str:
    return "sir-" + "".join(region.world.random.choices("abcdefghijkmnpqrstuvwxyz0123456789", k=8))
