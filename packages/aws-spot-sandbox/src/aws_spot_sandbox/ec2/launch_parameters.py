"""Launch parameters: launch template, override and call, merged as AWS merges them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import catalog, images, profiles, templates
from aws_spot_sandbox.ec2.tags import check_metadata_keys
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_spot_sandbox.ec2.region import Region

TagsByKind = dict[str, dict[str, str]]
SSM_PREFIX = "resolve:ssm:"
DIFFERENT_ARCHITECTURES = (
    "The architecture '{type_arch}' of the specified instance type does not match the architecture '{image_arch}' of the "
    "specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use "
    "'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI."
)


@dataclass(frozen=True)
class Launch:
    """One instance to launch: everything is resolved and checked except capacity and price."""

    image: images.Image
    type: str
    subnet: Any
    zone: str
    groups: tuple[Any, ...]
    public_ip: bool
    interface: Mapping[str, Any]
    devices: tuple[Mapping[str, Any], ...]
    data: Mapping[str, Any]  # the merged launch data, for parameters that are only stored
    tags: TagsByKind
    spot: bool
    max_price: float | None
    template: tuple[str, int] | None


def tags_by_kind(specifications: Iterable[Mapping[str, Any]] | None) -> TagsByKind:
    kind: TagsByKind = {}
    for specification in specifications or ():
        tags = {str(tag["Key"]): str(tag.get("Value", "")) for tag in specification.get("Tags") or ()}
        kind.setdefault(str(specification.get("ResourceType", "")), {}).update(tags)
    return kind


def merged(data: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """The override wins per parameter. Tags are merged by key. An override's zone becomes a placement."""
    result = {**data, **{key: value for key, value in override.items() if key != "TagSpecifications"}}
    tags = tags_by_kind(data.get("TagSpecifications"))
    for kind, more in tags_by_kind(override.get("TagSpecifications")).items():
        tags.setdefault(kind, {}).update(more)
    result["TagSpecifications"] = [
        {"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in values.items()]}
        for kind, values in tags.items()
    ]
    if override.get("AvailabilityZone"):
        result["Placement"] = {
            **(result.get("Placement") or {}),
            "AvailabilityZone": override["AvailabilityZone"],
        }
    return result


def resolve(
    region: Region,
    data: Mapping[str, Any],
    *,
    spot: bool,
    template: tuple[str, int] | None,
    max_price: Any = None,
) -> Launch:
    """Check the merged launch data in AWS's order: image, type, key, network, architecture, disks."""
    image = _image(region, data)
    name = str(data.get("InstanceType") or "m1.small")
    _check_type(name)
    _check_key(region, data.get("KeyName"))
    interface = _primary(data)
    subnet = _subnet(region, data, interface)
    groups = _groups(region, data, interface, subnet)
    _check_offered(region, name, subnet.availability_zone)
    _check_architecture(name, image)
    _check_credits(name, data)
    templates.check_user_data(str(data.get("UserData") or ""), code="InvalidParameterValue")
    profiles.check(region, data.get("IamInstanceProfile"))
    tags = tags_by_kind(data.get("TagSpecifications"))
    _check_request_tags(tags, spot=spot)
    if (data.get("MetadataOptions") or {}).get("InstanceMetadataTags") == "enabled":
        check_metadata_keys(tags.get("instance", {}))
    public = interface.get("AssociatePublicIpAddress")
    return Launch(
        image=image,
        type=name,
        subnet=subnet,
        zone=subnet.availability_zone,
        groups=groups,
        public_ip=bool(subnet.map_public_ip_on_launch if public is None else public),
        interface=interface,
        devices=_devices(image, data.get("BlockDeviceMappings") or ()),
        data=data,
        tags=tags,
        spot=spot,
        max_price=float(max_price) if max_price else None,
        template=template,
    )


def _image(region: Region, data: Mapping[str, Any]) -> images.Image:
    image_id = str(data.get("ImageId") or "")
    if not image_id:
        raise AwsError("MissingParameter", "The request must contain the parameter ImageId")
    if image_id.startswith(SSM_PREFIX):
        name = image_id.removeprefix(SSM_PREFIX)
        value = region.parameter(region.name, name)
        if value is None:
            raise AwsError("InvalidParameterValue", f"Could not resolve the SSM parameter {name}.")
        image_id = value
    image = images.find(region, image_id)
    if image.state != "available":
        # EC2 API Reference, "Error codes": not in a state from which you can launch an instance.
        raise AwsError("InvalidAMIID.Unavailable", f"The image ID '{image_id}' is not available")
    return image


def _check_type(name: str) -> None:
    if catalog.type_info(name) is None:
        raise AwsError("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")


def _check_key(region: Region, name: str | None) -> None:
    if name and name not in region.backend.key_pairs:
        raise AwsError("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")


def _primary(data: Mapping[str, Any]) -> Mapping[str, Any]:
    interfaces = data.get("NetworkInterfaces") or ()
    for interface in interfaces:
        if int(interface.get("DeviceIndex") or 0) == 0:
            if data.get("SecurityGroupIds") or data.get("SecurityGroups"):
                raise AwsError(
                    "InvalidParameterCombination",
                    "Network interfaces and an instance-level security groups may not be specified on the same request",
                )
            primary: Mapping[str, Any] = interface
            return primary
    return {}


def _subnet(region: Region, data: Mapping[str, Any], interface: Mapping[str, Any]) -> Any:
    subnet_id = data.get("SubnetId") or interface.get("SubnetId")
    zone = (data.get("Placement") or {}).get("AvailabilityZone")
    if subnet_id:
        subnet = region.subnet(subnet_id)
        if zone and zone != subnet.availability_zone:
            raise AwsError(
                "InvalidParameterValue",
                f"The availability zone '{zone}' does not match the zone of subnet '{subnet_id}'.",
            )
        return subnet
    if zone and zone not in region.zones():
        raise AwsError("InvalidParameterValue", f"Invalid availability zone: [{zone}]")
    default = next((vpc for vpc in region.backend.vpcs.values() if vpc.is_default), None)
    if default is None:
        raise AwsError(
            "VPCIdNotSpecified",
            "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.",
        )
    subnets = [
        subnet
        for subnet in region.subnets()
        if subnet.vpc_id == default.id and zone in (None, subnet.availability_zone)
    ]
    if not subnets:
        raise AwsError(
            "MissingInput", f"No subnets found for the default VPC '{default.id}'. Please specify a subnet."
        )
    offered = [
        subnet
        for subnet in subnets
        if subnet.availability_zone in catalog.zones_offering(region, str(data.get("InstanceType")))
    ]
    return (offered or subnets)[0]


def _groups(
    region: Region, data: Mapping[str, Any], interface: Mapping[str, Any], subnet: Any
) -> tuple[Any, ...]:
    ids = list(interface.get("Groups") or data.get("SecurityGroupIds") or ())
    groups = [region.group(group_id) for group_id in ids]
    groups += [_group_named(region, name, subnet.vpc_id) for name in data.get("SecurityGroups") or ()]
    for group in groups:
        if group.vpc_id != subnet.vpc_id:
            raise AwsError(
                "InvalidParameter",
                f"Security group {group.id} and subnet {subnet.id} belong to different networks.",
            )
    if not groups:
        groups = [
            group for group in region.groups() if group.vpc_id == subnet.vpc_id and group.name == "default"
        ]
    return tuple({group.id: group for group in groups}.values())


def _group_named(region: Region, name: str, vpc_id: str) -> Any:
    for group in region.groups():
        if group.vpc_id == vpc_id and group.name == name:
            return group
    raise AwsError("InvalidGroup.NotFound", f"The security group '{name}' does not exist in VPC '{vpc_id}'")


def _check_offered(region: Region, name: str, zone: str) -> None:
    zones = catalog.zones_offering(region, name)
    if zone in zones:
        return
    if not zones:
        raise AwsError(
            "Unsupported",
            "The requested configuration is currently not supported. Please check the documentation for supported "
            "configurations.",
        )
    raise AwsError(
        "Unsupported",
        f"Your requested instance type ({name}) is not supported in your requested Availability Zone ({zone}). Please "
        f"retry your request by not specifying an Availability Zone or choosing {', '.join(zones)}.",
    )


def _check_architecture(name: str, image: images.Image) -> None:
    known = catalog.architectures(name)
    if image.architecture not in known:
        shown = next((arch for arch in known if arch != "i386"), known[0])
        raise AwsError(
            "InvalidParameterValue",
            DIFFERENT_ARCHITECTURES.format(type_arch=shown, image_arch=image.architecture),
        )


def _check_credits(name: str, data: Mapping[str, Any]) -> None:
    """EC2 API reference, RequestLaunchTemplateData: valid only for T instances; an error for others (terraform#5081)."""
    wanted = (data.get("CreditSpecification") or {}).get("CpuCredits")
    if wanted and not catalog.burstable(name):
        raise AwsError(
            "InvalidParameterCombination",
            f"The instance type {name} does not support the credit specification '{wanted}'.",
        )
    if wanted not in (None, "standard", "unlimited"):
        raise AwsError("InvalidParameterValue", f"Invalid value '{wanted}' for CpuCredits.")


def _check_request_tags(tags: TagsByKind, *, spot: bool) -> None:
    if "spot-instances-request" in tags and not spot:
        raise AwsError(
            "InvalidParameterValue",
            "You cannot specify tags for Spot instances requests if there are no Spot instances requests being created "
            "by the request.",
        )


def _devices(image: images.Image, mappings: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """The image's root disk, changed by the mapping of the same name, and the other mapped disks."""
    if image.instance_store:
        raise AwsError("NonEBSInstance", f"The image {image.id} has no EBS root device.")
    root = {"VolumeSize": image.volume_gib, "VolumeType": image.volume_type, "SnapshotId": image.snapshot_id}
    disks: dict[str, dict[str, Any]] = {image.root_device: {"DeleteOnTermination": True, **root}}
    for mapping in mappings:
        device, disk = str(mapping.get("DeviceName")), mapping.get("Ebs")
        if disk is None:  # NoDevice or an instance store volume
            continue
        disks[device] = {**disks.get(device, {"DeleteOnTermination": True}), **disk}
        if not disks[device].get("VolumeSize"):
            raise AwsError("MissingParameter", "The request must contain the parameter size or snapshotId")
    size = int(disks[image.root_device]["VolumeSize"])
    if size < image.volume_gib:
        raise AwsError(
            "InvalidBlockDeviceMapping",
            f"Volume of size {size}GB is smaller than snapshot '{image.snapshot_id}', expect size >= {image.volume_gib}GB",
        )
    return tuple({"DeviceName": device, **disk} for device, disk in disks.items())
