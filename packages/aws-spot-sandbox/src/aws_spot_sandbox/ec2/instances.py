"""Describing and terminating instances. moto paginates by reservation and takes two milliseconds per instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import catalog, filters, launch, machine, paging, spot
from aws_spot_sandbox.ec2.codec import timestamp
from aws_spot_sandbox.ec2.machine import STATES, TERMINATED, Machine
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_spot_sandbox.ec2.region import Answer, Args, Region


def _interfaces(one: Machine) -> list[Any]:
    return list(one.moto.nics.values())


def _first(one: Machine, name: str) -> Any:
    interfaces = _interfaces(one)
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
    machine.adopt(region)
    ids = args.get("InstanceIds")
    machines = find(region, ids) if ids else list(region.machines.values())
    return filters.select(machines, args.get("Filters"), getters, lambda one: region.tags(one.id))


def describe_instances(region: Region, args: Args) -> Answer:
    if args.get("InstanceIds") and args.get("MaxResults"):
        raise AwsError(
            "InvalidParameterCombination",
            "The parameter instancesSet cannot be used with the parameter maxResults",
        )
    machines = sorted(selected(region, args, FILTERS), key=lambda one: one.order)
    largest = max(1000, len(machines)) if args.get("InstanceIds") else 1000
    shown, token = paging.page(machines, args, largest=largest, smallest=5)
    return {"Reservations": reservations(region, shown), "NextToken": token}


def reservations(region: Region, shown: Iterable[Machine]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in shown:
        fresh = {"ReservationId": one.reservation_id, "OwnerId": ACCOUNT_ID, "Groups": [], "Instances": []}
        found.setdefault(one.reservation_id, fresh)["Instances"].append(described(region, one))
    return list(found.values())


def run_instances(region: Region, args: Args) -> Answer:
    made = launch.run_instances(region, args)
    return reservations(region, made)[0]


def _groups(one: Machine) -> list[dict[str, str]]:
    interfaces = _interfaces(one)
    if not interfaces:
        return []
    groups = {group.id: group for group in interfaces[0].group_set}
    return [{"GroupId": group.id, "GroupName": group.name} for group in groups.values()]


def _public_name(one: Machine) -> str:
    address = _first(one, "public_ip")
    return f"ec2-{address.replace('.', '-')}.{one.moto.region_name}.compute.amazonaws.com" if address else ""


FILTERS: dict[str, filters.Getter[Machine]] = {
    "affinity": lambda _: None,
    "architecture": lambda one: one.moto.architecture,
    "availability-zone": lambda one: one.zone,
    "client-token": lambda one: one.client_token,
    "dns-name": _public_name,
    "hypervisor": lambda _: "xen",
    "iam-instance-profile.arn": lambda one: one.profile.get("Arn"),
    "image-id": lambda one: one.moto.image_id,
    "instance-id": lambda one: one.id,
    # On-demand instances have no lifecycle: the filter matches only `spot` and `scheduled`.
    "instance-lifecycle": lambda one: "spot" if one.spot else None,
    "instance-state-code": lambda one: str(one.state),
    "instance-state-name": lambda one: STATES[one.state],
    "instance-type": lambda one: one.type,
    "instance.group-id": lambda one: [group["GroupId"] for group in _groups(one)],
    "instance.group-name": lambda one: [group["GroupName"] for group in _groups(one)],
    "ip-address": lambda one: _first(one, "public_ip"),
    "key-name": lambda one: one.moto.key_name,
    "launch-time": lambda one: timestamp(one.launched_at),
    "network-interface.network-interface-id": lambda one: [eni.id for eni in _interfaces(one)],
    "network-interface.subnet-id": lambda one: _first(one, "subnet_id"),
    "network-interface.vpc-id": lambda one: _first(one, "vpc_id"),
    "network-interface.group-id": lambda one: [group["GroupId"] for group in _groups(one)],
    "owner-id": lambda _: ACCOUNT_ID,
    "placement-group-name": lambda one: one.placement_group or None,
    "private-ip-address": lambda one: _first(one, "private_ip_address"),
    "reservation-id": lambda one: one.reservation_id,
    "root-device-name": lambda one: one.moto.root_device_name,
    "root-device-type": lambda _: "ebs",
    "spot-instance-request-id": lambda one: one.spot_request_id,
    "state-reason-code": lambda one: one.moto.state_reason.code,
    "subnet-id": lambda one: _first(one, "subnet_id"),
    "tenancy": lambda _: "default",
    "virtualization-type": lambda one: one.moto.virtualization_type,
    "vpc-id": lambda one: _first(one, "vpc_id"),
    "block-device-mapping.volume-id": lambda one: [
        disk.volume_id for disk in one.moto.block_device_mapping.values()
    ],
}


def described(region: Region, one: Machine) -> dict[str, Any]:
    """An instance as DescribeInstances returns it. A terminated one has no interfaces and no volumes."""
    moto = one.moto
    primary = next(iter(_interfaces(one)), None)
    reason = moto.state_reason
    return {
        "InstanceId": one.id,
        "ImageId": moto.image_id,
        "State": {"Code": one.state, "Name": STATES[one.state]},
        "StateTransitionReason": moto._reason,  # noqa: SLF001 - moto's accessor returns the same
        "StateReason": {"Code": reason.code, "Message": reason.message} if reason.code else None,
        "InstanceType": one.type,
        "InstanceLifecycle": "spot" if one.spot else None,
        "SpotInstanceRequestId": one.spot_request_id or None,
        "KeyName": moto.key_name,
        "AmiLaunchIndex": moto.ami_launch_index,
        "LaunchTime": one.launched_at,
        "Placement": {"AvailabilityZone": one.zone, "GroupName": one.placement_group, "Tenancy": "default"},
        "Monitoring": {"State": moto.monitoring_state},
        "PrivateDnsName": moto.private_dns_name if primary else "",
        "PrivateIpAddress": primary.private_ip_address if primary else None,
        "PublicDnsName": _public_name(one),
        "PublicIpAddress": primary.public_ip if primary else None,
        "SubnetId": primary.subnet.id if primary else None,
        "VpcId": primary.subnet.vpc_id if primary else None,
        "SecurityGroups": _groups(one),
        "NetworkInterfaces": [_interface(eni) for eni in _interfaces(one)],
        "BlockDeviceMappings": _disks(one),
        "IamInstanceProfile": one.profile or None,
        "ClientToken": one.client_token,
        "Tags": region.tag_set(one.id) or None,
        **_hardware(one),
        **_options(one),
    }


def _hardware(one: Machine) -> dict[str, Any]:
    info = catalog.type_info(one.type) or {}
    cpu = info.get("VCpuInfo", {})
    return {
        "Architecture": one.moto.architecture,
        "VirtualizationType": one.moto.virtualization_type,
        "Hypervisor": "xen",
        "RootDeviceName": one.moto.root_device_name,
        "RootDeviceType": "ebs",
        "EbsOptimized": bool(one.moto.ebs_optimized),
        "EnaSupport": True,
        "CpuOptions": {
            "CoreCount": cpu.get("DefaultCores", 1),
            "ThreadsPerCore": cpu.get("DefaultThreadsPerCore", 1),
        },
        "BootMode": one.boot_mode,
        "CurrentInstanceBootMode": "uefi" if one.moto.architecture == "arm64" else "legacy-bios",
    }


def _options(one: Machine) -> dict[str, Any]:
    options = one.moto.metadata_options
    return {
        "SourceDestCheck": bool(one.moto.source_dest_check),
        "ProductCodes": [],
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "UsageOperationUpdateTime": one.launched_at,
        "HibernationOptions": {"Configured": False},
        "EnclaveOptions": {"Enabled": False},
        "MaintenanceOptions": {"AutoRecovery": "default"},
        "MetadataOptions": {
            "State": "applied",
            "HttpTokens": options.http_tokens,
            "HttpPutResponseHopLimit": options.http_put_response_hop_limit,
            "HttpEndpoint": options.http_endpoint,
            "HttpProtocolIpv6": options.http_protocol_ipv6,
            "InstanceMetadataTags": options.instance_metadata_tags,
        },
    }


def _interface(eni: Any) -> dict[str, Any]:
    association = None
    if eni.public_ip:
        association = {"PublicIp": eni.public_ip, "PublicDnsName": "", "IpOwnerId": "amazon"}
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


def _disks(one: Machine) -> list[dict[str, Any]]:
    return [
        {
            "DeviceName": device,
            "Ebs": {
                "VolumeId": disk.volume_id,
                "Status": "attached",
                "AttachTime": disk.attach_time,
                "DeleteOnTermination": disk.delete_on_termination,
            },
        }
        for device, disk in one.moto.block_device_mapping.items()
    ]


def describe_credits(region: Region, args: Args) -> Answer:
    """EC2 API reference, DescribeInstanceCreditSpecifications."""
    ids = args.get("InstanceIds") or ()
    rows = [
        {"InstanceId": one.id, "CpuCredits": one.cpu_credits}
        for one in region.machines.values()
        if one.cpu_credits and (not ids or one.id in ids)
    ]
    return {"InstanceCreditSpecifications": rows}


def describe_attribute(region: Region, args: Args) -> Answer | None:
    """User data is returned as it was sent, binary or not. Attributes not handled here are left to moto."""
    one = find(region, [args.get("InstanceId", "")])[0]
    attribute = args.get("Attribute")
    if attribute == "userData":
        value = str(one.moto.user_data) if one.moto.user_data else None
        return {"InstanceId": one.id, "UserData": {"Value": value}}
    if attribute == "instanceInitiatedShutdownBehavior":
        behaviour = one.moto.instance_initiated_shutdown_behavior
        return {"InstanceId": one.id, "InstanceInitiatedShutdownBehavior": {"Value": behaviour}}
    if attribute == "disableApiStop":
        return {"InstanceId": one.id, "DisableApiStop": {"Value": _no_stop(one)}}
    if attribute == "groupSet":
        return {"InstanceId": one.id, "Groups": _groups(one)}
    return None


def terminate_instances(region: Region, args: Args) -> Answer:
    """Terminates none if an id is unknown. A protected instance blocks its whole zone. Terminating twice changes
    nothing.

    AWS: EC2 API Reference, TerminateInstances.
    """
    machine.adopt(region)
    ids = args.get("InstanceIds") or ()
    if not ids:
        raise AwsError("MissingParameter", "The request must contain the parameter InstanceId")
    machines = find(region, ids)
    protected = [one for one in machines if protection(one) and one.state != TERMINATED]
    for one in machines:
        if protected and one.zone not in {other.zone for other in protected}:
            _terminate(region, one)
    for one in protected:
        if one.state != TERMINATED:
            raise AwsError(
                "OperationNotPermitted",
                f"The instance '{one.id}' may not be terminated. Modify its '{protection(one)}' instance attribute "
                "and try again.",
            )
    return {"TerminatingInstances": [_terminate(region, one) for one in machines]}


def protection(one: Machine) -> str:
    """The attribute that blocks termination: stop protection does so, too (EC2 user guide)."""
    if one.moto.disable_api_termination:
        return "disableApiTermination"
    return "disableApiStop" if _no_stop(one) else ""


def _no_stop(one: Machine) -> bool:
    return (
        str(one.moto.disable_api_stop).lower() == "true"
    )  # moto stores the string of ModifyInstanceAttribute


def _terminate(region: Region, one: Machine) -> dict[str, Any]:
    before = {"Code": one.state, "Name": STATES[one.state]}
    machine.shut_down(region, one, code=machine.USER_SHUTDOWN, by_user=True)
    spot.close(region, one, status="instance-terminated-by-user")
    after = {"Code": one.state, "Name": STATES[one.state]}
    return {"InstanceId": one.id, "PreviousState": before, "CurrentState": after}


def check_stop(region: Region, args: Args) -> None:
    """A spot instance of a one-time request can be terminated, not stopped."""
    for one in find(region, args.get("InstanceIds") or ()):
        if one.spot:
            raise AwsError(
                "UnsupportedOperation",
                f"You can't stop the Spot Instance '{one.id}' because it is associated with a one-time Spot Instance "
                "request. You can only stop Spot Instances associated with persistent Spot Instance requests.",
            )
