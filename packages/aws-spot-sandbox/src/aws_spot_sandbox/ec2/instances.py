"""Describing and terminating instances. moto paginates by reservation and takes two milliseconds per instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import catalog, filters, interfaces, launch, machine, paging, spot
from aws_spot_sandbox.ec2.codec import timestamp
from aws_spot_sandbox.ec2.machine import STATES, TERMINATED, Machine
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_spot_sandbox.ec2.region import Answer, Args, Region


def _interfaces(machine: Machine) -> list[Any]:
    return list(machine.moto.nics.values())


def _first(machine: Machine, name: str) -> Any:
    interfaces = _interfaces(machine)
    return getattr(interfaces[0], name) if interfaces else None


def find(region: Region, ids: Iterable[str]) -> list[Machine]:
    """The named instances, or AWS's error for the unknown ids."""
    wanted = list(dict.fromkeys(ids))
    missing = [instance_id for instance_id in wanted if instance_id not in region.machines]
    if missing:
        text = f"ID '{missing[0]}' does" if len(missing) == 1 else f"IDs '{', '.join(missing)}' do"
        raise AwsError("InvalidInstanceID.NotFound", f"The instance {text} not exist")
    return [region.machines[instance_id] for instance_id in wanted]


def selected(region: Region, args: Args, getters: Mapping[str, filters.Getter[Machine]]) -> list[Machine]:
    ids = args.get("InstanceIds")
    machines = find(region, ids) if ids else list(region.machines.values())
    return filters.select(machines, args.get("Filters"), getters, lambda machine: region.tags(machine.id))


def describe_instances(region: Region, args: Args) -> Answer:
    if args.get("InstanceIds") and args.get("MaxResults"):
        raise AwsError(
            "InvalidParameterCombination",
            "The parameter instancesSet cannot be used with the parameter maxResults",
        )
    machines = sorted(selected(region, args, FILTERS), key=lambda machine: machine.order)
    largest = max(1000, len(machines)) if args.get("InstanceIds") else 1000
    shown, token = paging.page(machines, args, largest=largest, smallest=5)
    return {"Reservations": reservations(region, shown), "NextToken": token}


def reservations(region: Region, shown: Iterable[Machine]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for instance in shown:
        fresh = {
            "ReservationId": instance.reservation_id,
            "OwnerId": ACCOUNT_ID,
            "Groups": [],
            "Instances": [],
        }
        rows.setdefault(instance.reservation_id, fresh)["Instances"].append(described(region, instance))
    return list(rows.values())


def run_instances(region: Region, args: Args) -> Answer:
    machines = launch.run_instances(region, args)
    return reservations(region, machines)[0]


def _groups(machine: Machine) -> list[dict[str, str]]:
    interfaces = _interfaces(machine)
    if not interfaces:
        return []
    groups = {group.id: group for group in interfaces[0].group_set}
    return [{"GroupId": group.id, "GroupName": group.name} for group in groups.values()]


def _public_name(machine: Machine) -> str:
    address = _first(machine, "public_ip")
    return (
        f"ec2-{address.replace('.', '-')}.{machine.moto.region_name}.compute.amazonaws.com" if address else ""
    )


FILTERS: dict[str, filters.Getter[Machine]] = {
    "affinity": lambda _: None,
    "architecture": lambda machine: machine.moto.architecture,
    "availability-zone": lambda machine: machine.zone,
    "client-token": lambda machine: machine.client_token,
    "dns-name": _public_name,
    "hypervisor": lambda _: "xen",
    "iam-instance-profile.arn": lambda machine: machine.profile.get("Arn"),
    "image-id": lambda machine: machine.moto.image_id,
    "instance-id": lambda machine: machine.id,
    # On-demand instances have no lifecycle: the filter matches only `spot` and `scheduled`.
    "instance-lifecycle": lambda machine: "spot" if machine.spot else None,
    "instance-state-code": lambda machine: str(machine.state),
    "instance-state-name": lambda machine: STATES[machine.state],
    "instance-type": lambda machine: machine.type,
    "instance.group-id": lambda machine: [group["GroupId"] for group in _groups(machine)],
    "instance.group-name": lambda machine: [group["GroupName"] for group in _groups(machine)],
    "ip-address": lambda machine: _first(machine, "public_ip"),
    "key-name": lambda machine: machine.moto.key_name,
    "launch-time": lambda machine: timestamp(machine.launched_at),
    "network-interface.network-interface-id": lambda machine: [eni.id for eni in _interfaces(machine)],
    "network-interface.subnet-id": lambda machine: _first(machine, "subnet_id"),
    "network-interface.vpc-id": lambda machine: _first(machine, "vpc_id"),
    "network-interface.group-id": lambda machine: [group["GroupId"] for group in _groups(machine)],
    "owner-id": lambda _: ACCOUNT_ID,
    "placement-group-name": lambda machine: machine.placement_group or None,
    "private-ip-address": lambda machine: _first(machine, "private_ip_address"),
    "reservation-id": lambda machine: machine.reservation_id,
    "root-device-name": lambda machine: machine.moto.root_device_name,
    "root-device-type": lambda _: "ebs",
    "spot-instance-request-id": lambda machine: machine.spot_request_id,
    "state-reason-code": lambda machine: machine.moto.state_reason.code,
    "subnet-id": lambda machine: _first(machine, "subnet_id"),
    "tenancy": lambda _: "default",
    "virtualization-type": lambda machine: machine.moto.virtualization_type,
    "vpc-id": lambda machine: _first(machine, "vpc_id"),
    "block-device-mapping.volume-id": lambda machine: [
        disk.volume_id for disk in machine.moto.block_device_mapping.values()
    ],
}


def described(region: Region, machine: Machine) -> dict[str, Any]:
    """An instance as DescribeInstances returns it. A terminated one has no interfaces and no volumes."""
    moto = machine.moto
    primary = next(iter(_interfaces(machine)), None)
    reason = moto.state_reason
    return {
        "InstanceId": machine.id,
        "ImageId": moto.image_id,
        "State": {"Code": machine.state, "Name": STATES[machine.state]},
        "StateTransitionReason": moto._reason,  # noqa: SLF001 - moto's accessor returns the same
        "StateReason": {"Code": reason.code, "Message": reason.message} if reason.code else None,
        "InstanceType": machine.type,
        "InstanceLifecycle": "spot" if machine.spot else None,
        "SpotInstanceRequestId": machine.spot_request_id or None,
        "KeyName": moto.key_name,
        "AmiLaunchIndex": moto.ami_launch_index,
        "LaunchTime": machine.launched_at,
        "Placement": {
            "AvailabilityZone": machine.zone,
            "GroupName": machine.placement_group,
            "Tenancy": "default",
        },
        "Monitoring": {"State": moto.monitoring_state},
        "PrivateDnsName": moto.private_dns_name if primary else "",
        "PrivateIpAddress": primary.private_ip_address if primary else None,
        "PublicDnsName": _public_name(machine),
        "PublicIpAddress": primary.public_ip if primary else None,
        "SubnetId": primary.subnet.id if primary else None,
        "VpcId": primary.subnet.vpc_id if primary else None,
        "SecurityGroups": _groups(machine),
        "NetworkInterfaces": [_interface(region, eni) for eni in _interfaces(machine)],
        "BlockDeviceMappings": _disks(region, machine),
        "IamInstanceProfile": machine.profile or None,
        "ClientToken": machine.client_token,
        "Tags": region.tag_set(machine.id) or None,
        **_hardware(machine),
        **_options(machine),
    }


def _hardware(machine: Machine) -> dict[str, Any]:
    info = catalog.type_info(machine.type) or {}
    cpu = info.get("VCpuInfo", {})
    return {
        "Architecture": machine.moto.architecture,
        "VirtualizationType": machine.moto.virtualization_type,
        "Hypervisor": "xen",
        "RootDeviceName": machine.moto.root_device_name,
        "RootDeviceType": "ebs",
        "EbsOptimized": bool(machine.moto.ebs_optimized),
        "EnaSupport": True,
        "CpuOptions": {
            "CoreCount": cpu.get("DefaultCores", 1),
            "ThreadsPerCore": cpu.get("DefaultThreadsPerCore", 1),
        },
        "BootMode": machine.boot_mode,
        "CurrentInstanceBootMode": "uefi" if machine.moto.architecture == "arm64" else "legacy-bios",
    }


def _options(machine: Machine) -> dict[str, Any]:
    options = machine.moto.metadata_options
    return {
        "SourceDestCheck": bool(machine.moto.source_dest_check),
        "ProductCodes": [],
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "UsageOperationUpdateTime": machine.launched_at,
        "HibernationOptions": {"Configured": False},
        "EnclaveOptions": {"Enabled": False},
        "MaintenanceOptions": {"AutoRecovery": machine.auto_recovery, "RebootMigration": "default"},
        "MetadataOptions": {
            "State": "applied",
            "HttpTokens": options.http_tokens,
            "HttpPutResponseHopLimit": options.http_put_response_hop_limit,
            "HttpEndpoint": options.http_endpoint,
            "HttpProtocolIpv6": options.http_protocol_ipv6,
            "InstanceMetadataTags": options.instance_metadata_tags,
        },
    }


def _interface(region: Region, eni: Any) -> dict[str, Any]:
    association = interfaces.association(region, eni)
    return {
        "NetworkInterfaceId": eni.id,
        "Association": association,
        "Attachment": {
            "AttachmentId": eni.attachment_id,
            "AttachTime": eni.attach_time,
            "DeleteOnTermination": str(eni.delete_on_termination).lower() == "true",
            "DeviceIndex": eni.device_index,
            "NetworkCardIndex": 0,
            "Status": "attached",
        },
        "Description": eni.description,
        "Groups": [{"GroupId": group.id, "GroupName": group.name} for group in eni.group_set],
        "InterfaceType": "interface",
        "MacAddress": eni.mac_address,
        "OwnerId": ACCOUNT_ID,
        "PrivateIpAddress": eni.private_ip_address,
        "PrivateIpAddresses": [
            {"Primary": True, "PrivateIpAddress": eni.private_ip_address, "Association": association}
        ],
        "SourceDestCheck": bool(eni.source_dest_check),
        "Status": eni.status,
        "SubnetId": eni.subnet.id,
        "VpcId": eni.subnet.vpc_id,
    }


def _disks(region: Region, machine: Machine) -> list[dict[str, Any]]:
    return [
        {
            "DeviceName": device,
            "Ebs": {
                "VolumeId": disk.volume_id,
                "Status": _attachment_state(region, disk.volume_id),
                "AttachTime": disk.attach_time,
                "DeleteOnTermination": disk.delete_on_termination,
            },
        }
        for device, disk in machine.moto.block_device_mapping.items()
    ]


def _attachment_state(region: Region, volume_id: str) -> str:
    volume = region.backend.volumes.get(volume_id)
    return str(volume.attachment.status) if volume is not None and volume.attachment else "attached"


def describe_credits(region: Region, args: Args) -> Answer:
    """EC2 API reference, DescribeInstanceCreditSpecifications."""
    ids = args.get("InstanceIds") or ()
    rows = [
        {"InstanceId": machine.id, "CpuCredits": machine.cpu_credits}
        for machine in region.machines.values()
        if machine.cpu_credits and (not ids or machine.id in ids)
    ]
    return {"InstanceCreditSpecifications": rows}


def describe_attribute(region: Region, args: Args) -> Answer | None:
    """User data is returned as it was sent, binary or not. Attributes not handled here are left to moto."""
    instance = find(region, [args.get("InstanceId", "")])[0]
    attribute = args.get("Attribute")
    if attribute == "userData":
        value = str(instance.moto.user_data) if instance.moto.user_data else None
        return {"InstanceId": instance.id, "UserData": {"Value": value}}
    if attribute == "instanceInitiatedShutdownBehavior":
        behaviour = instance.moto.instance_initiated_shutdown_behavior
        return {"InstanceId": instance.id, "InstanceInitiatedShutdownBehavior": {"Value": behaviour}}
    if attribute == "disableApiStop":
        return {"InstanceId": instance.id, "DisableApiStop": {"Value": _no_stop(instance)}}
    if attribute == "groupSet":
        return {"InstanceId": instance.id, "Groups": _groups(instance)}
    return None


def terminate_instances(region: Region, args: Args) -> Answer:
    """Terminates none if an id is unknown. A protected instance blocks its whole zone. Terminating twice changes
    nothing.

    AWS: EC2 API Reference, TerminateInstances.
    """
    ids = args.get("InstanceIds") or ()
    if not ids:
        raise AwsError("MissingParameter", "The request must contain the parameter InstanceId")
    machines = find(region, ids)
    protected = [machine for machine in machines if protection(machine) and machine.state != TERMINATED]
    for instance in machines:
        if protected and instance.zone not in {other.zone for other in protected}:
            _terminate(region, instance)
    for instance in protected:
        if instance.state != TERMINATED:
            raise AwsError(
                "OperationNotPermitted",
                f"The instance '{instance.id}' may not be terminated. Modify its '{protection(instance)}' instance attribute "
                "and try again.",
            )
    return {"TerminatingInstances": [_terminate(region, machine) for machine in machines]}


def protection(machine: Machine) -> str:
    """The attribute that blocks termination: stop protection does so, too (EC2 user guide)."""
    if machine.moto.disable_api_termination:
        return "disableApiTermination"
    return "disableApiStop" if _no_stop(machine) else ""


def _no_stop(machine: Machine) -> bool:
    return (
        str(machine.moto.disable_api_stop).lower() == "true"
    )  # moto stores the string of ModifyInstanceAttribute


def _terminate(region: Region, instance: Machine) -> dict[str, Any]:
    before = {"Code": instance.state, "Name": STATES[instance.state]}
    machine.shut_down(region, instance, code=machine.USER_SHUTDOWN, by_user=True)
    spot.close(region, instance, status="instance-terminated-by-user")
    after = {"Code": instance.state, "Name": STATES[instance.state]}
    return {"InstanceId": instance.id, "PreviousState": before, "CurrentState": after}


def check_stop(region: Region, args: Args) -> None:
    """A spot instance of a one-time request can be terminated, not stopped."""
    for instance in find(region, args.get("InstanceIds") or ()):
        if instance.spot:
            raise AwsError(
                "UnsupportedOperation",
                f"You can't stop the Spot Instance '{instance.id}' because it is associated with a one-time Spot Instance "
                "request. You can only stop Spot Instances associated with persistent Spot Instance requests.",
            )


def stopped(region: Region, args: Args) -> None:
    """An automatic address is released; an Elastic IP stays (EC2 User Guide, "Public IPv4 addresses")."""
    for instance in find(region, args.get("InstanceIds") or ()):
        machine.explain(instance, machine.USER_SHUTDOWN, by_user=True, moment=region.now())
        for eni in _interfaces(instance):
            if eni.public_ip and interfaces.elastic_ip(region, eni) is None:
                eni.public_ip = None
        region.plugins.ended(region, instance)


def _check_start(region: Region, args: Args) -> None:
    """EC2 API Reference, StartInstances: a stopped instance starts, a running one is left as it is."""
    for instance in find(region, args.get("InstanceIds") or ()):
        if instance.state not in (machine.STOPPED, machine.RUNNING, machine.PENDING):
            raise AwsError(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in a state from which it can be started.",
            )


def start_instances(region: Region, args: Args) -> Answer:
    """The instance is pending again, and gets a new automatic address unless it has an Elastic IP."""
    _check_start(region, args)
    changes = []
    for instance in find(region, args.get("InstanceIds") or ()):
        before = {"Code": instance.state, "Name": STATES[instance.state]}
        if instance.state == machine.STOPPED:
            launch.start_again(region, instance)
        after = {"Code": instance.state, "Name": STATES[instance.state]}
        changes.append({"InstanceId": instance.id, "PreviousState": before, "CurrentState": after})
    return {"StartingInstances": changes}
