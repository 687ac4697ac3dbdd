"""Machine images: current Ubuntu, Debian and Amazon Linux in every region, and their public SSM parameters."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import filters, paging
from aws_spot_sandbox.ec2.codec import timestamp
from aws_spot_sandbox.http_types import AwsError, Call, Handler, Reply
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_spot_sandbox.ec2.region import Answer, Args, Region

CANONICAL, DEBIAN, AMAZON = "099720109477", "136693071363", "137112412989"
IMAGE_ID = re.compile(r"ami-([0-9a-f]{8}|[0-9a-f]{17})")
EC2_ARCHITECTURE = {"amd64": "x86_64", "arm64": "arm64"}
JSON_TYPE = "application/x-amz-json-1.1"


@dataclass(frozen=True)
class Series:
    """A distribution's release: the name patterns of its images and parameters. The last serial is the current one."""

    owner: str
    image: str
    parameter: str
    description: str
    root_device: str
    volume_type: str
    serials: tuple[str, ...]


SERIES = (
    Series(
        CANONICAL,
        "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-{arch}-server-{serial}",
        "/aws/service/canonical/ubuntu/server/22.04/stable/current/{arch}/hvm/ebs-gp2/ami-id",
        "Canonical, Ubuntu, 22.04 LTS, {arch} jammy image build on {date}",
        "/dev/sda1",
        "gp2",
        ("20260612", "20261021"),
    ),
    Series(
        CANONICAL,
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{arch}-server-{serial}",
        "/aws/service/canonical/ubuntu/server/24.04/stable/current/{arch}/hvm/ebs-gp3/ami-id",
        "Canonical, Ubuntu, 24.04 LTS, {arch} noble image build on {date}",
        "/dev/sda1",
        "gp3",
        ("20260628", "20261028"),
    ),
    Series(
        DEBIAN,
        "debian-12-{arch}-{serial}-2053",
        "/aws/service/debian/release/12/latest/{arch}",
        "Debian 12 ({serial}-2053)",
        "/dev/xvda",
        "gp3",
        ("20260706", "20261012"),
    ),
    Series(
        AMAZON,
        "al2023-ami-2023.9.{serial}.0-kernel-6.1-{arch}",
        "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{ec2_arch}",
        "Amazon Linux 2023 AMI 2023.9.{serial}.0 {ec2_arch} HVM kernel-6.1",
        "/dev/xvda",
        "gp3",
        ("20260901", "20261103"),
    ),
)


@dataclass(frozen=True)
class Image:
    """The attributes of an image that a launch and DescribeImages need, for the sandbox's images and moto's."""

    id: str
    name: str
    architecture: str  # x86_64, arm64
    owner: str
    description: str
    created: datetime
    root_device: str
    volume_type: str
    volume_gib: int
    snapshot_id: str
    owner_alias: str | None = None
    public: bool = True
    virtualization: str = "hvm"
    state: str = "available"
    platform: str | None = None
    protected: bool = False
    encrypted: bool = False
    instance_store: bool = False  # its root device is not an EBS volume
    copy_of: str = ""  # the source's id
    installed: str = ""  # what a plug-in has installed on the instance that it was made of


def published(region: str) -> dict[str, Image]:
    """The public images of a region. As on AWS, the same build has a different id in each region."""
    matches = {}
    for series in SERIES:
        for arch in EC2_ARCHITECTURE:
            for serial in series.serials:
                image = _image(region, series, arch, serial)
                matches[image.id] = image
    return matches


def public_parameter(region: str, name: str) -> str | None:
    for series in SERIES:
        for arch, ec2_arch in EC2_ARCHITECTURE.items():
            if name == series.parameter.format(arch=arch, ec2_arch=ec2_arch):
                return _image(region, series, arch, series.serials[-1]).id
    return None


def _image(region: str, series: Series, arch: str, serial: str) -> Image:
    name = series.image.format(arch=arch, serial=serial)
    digest = hashlib.sha256(f"{region}/{name}".encode()).hexdigest()
    created = datetime.fromisoformat(f"{serial[:4]}-{serial[4:6]}-{serial[6:]}T04:10:31+00:00")
    return Image(
        id=f"ami-0{digest[:16]}",
        name=name,
        architecture=EC2_ARCHITECTURE[arch],
        owner=series.owner,
        description=series.description.format(
            arch=arch, ec2_arch=EC2_ARCHITECTURE[arch], serial=serial, date=f"{created:%Y-%m-%d}"
        ),
        created=created,
        root_device=series.root_device,
        volume_type=series.volume_type,
        volume_gib=8,
        snapshot_id=f"snap-0{digest[16:32]}",
        owner_alias="amazon",
    )


def _of_moto(ami: Any) -> Image:
    return Image(
        id=ami.id,
        name=ami.name or "",
        architecture=ami.architecture or "x86_64",
        owner=ami.owner_id,
        description=ami.description or "",
        created=ami.creation_date,
        root_device=ami.root_device_name,
        volume_type="gp2",
        volume_gib=8,
        snapshot_id=ami.ebs_snapshot.id,
        owner_alias=ami.owner_alias,
        public=ami.is_public,
        virtualization=ami.virtualization_type or "hvm",
        state=ami.state,
        platform=ami.platform,
    )


def find(region: Region, image_id: str) -> Image:
    """The image, or AWS's error."""
    if not IMAGE_ID.fullmatch(image_id):
        raise AwsError("InvalidAMIID.Malformed", f'Invalid id: "{image_id}"')
    known = region.images.get(image_id)
    if known is not None:
        return known
    ami = region.backend.amis.get(image_id)
    if ami is None:
        raise AwsError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    return _of_moto(ami)


FILTERS: dict[str, filters.Getter[Image]] = {
    "architecture": lambda image: image.architecture,
    "creation-date": lambda image: timestamp(image.created),
    "description": lambda image: image.description,
    "ena-support": lambda _: True,
    "hypervisor": lambda _: "xen",
    "image-id": lambda image: image.id,
    "image-type": lambda _: "machine",
    "is-public": lambda image: image.public,
    "name": lambda image: image.name,
    "owner-alias": lambda image: image.owner_alias,
    "owner-id": lambda image: image.owner,
    "platform": lambda image: image.platform,
    "root-device-name": lambda image: image.root_device,
    "root-device-type": lambda _: "ebs",
    "state": lambda image: image.state,
    "virtualization-type": lambda image: image.virtualization,
    "block-device-mapping.volume-type": lambda image: image.volume_type,
    "block-device-mapping.snapshot-id": lambda image: image.snapshot_id,
}


def describe_images(region: Region, args: Args) -> Answer:
    if args.get("ImageIds"):
        images = [find(region, image_id) for image_id in args["ImageIds"]]
    else:
        images = [*region.images.values(), *map(_of_moto, region.backend.amis.values())]
    if args.get("Owners"):
        owners = {ACCOUNT_ID if owner == "self" else owner for owner in args["Owners"]}
        images = [image for image in images if image.owner in owners or image.owner_alias in owners]
    images = filters.select(images, args.get("Filters"), FILTERS, lambda image: region.tags(image.id))
    shown, token = paging.page(images, args)
    return {"Images": [_described(region, image) for image in shown], "NextToken": token}


def _described(region: Region, image: Image) -> dict[str, Any]:
    disk = {
        "SnapshotId": image.snapshot_id,
        "VolumeSize": image.volume_gib,
        "VolumeType": image.volume_type,
        "DeleteOnTermination": True,
        "Encrypted": image.encrypted,
    }
    return {
        "ImageId": image.id,
        "Name": image.name,
        "Description": image.description,
        "Architecture": image.architecture,
        "CreationDate": timestamp(image.created),
        "ImageLocation": f"{image.owner_alias or image.owner}/{image.name}",
        "ImageType": "machine",
        "ImageOwnerAlias": image.owner_alias,
        "OwnerId": image.owner,
        "Public": image.public,
        "State": image.state,
        "DeregistrationProtection": "enabled-without-cooldown" if image.protected else "disabled",
        "Platform": image.platform,
        "PlatformDetails": "Windows" if image.platform else "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "SourceImageId": image.copy_of or None,
        "RootDeviceName": None if image.instance_store else image.root_device,
        "RootDeviceType": "instance-store" if image.instance_store else "ebs",
        "SriovNetSupport": "simple",
        "VirtualizationType": image.virtualization,
        "Hypervisor": "xen",
        "EnaSupport": True,
        "BlockDeviceMappings": []
        if image.instance_store
        else [{"DeviceName": image.root_device, "Ebs": disk}],
        "Tags": region.tag_set(image.id) or None,
    }


def answer_parameters(call: Call, moto: Handler) -> Reply:
    """SSM's GetParameter and GetParameters: the public image parameters from here, everything else from moto."""
    request = json.loads(call.body or b"{}")
    if call.action == "GetParameter":
        value = public_parameter(call.region, str(request.get("Name", "")))
        return (
            moto(call)
            if value is None
            else _json({"Parameter": _parameter(call.region, request["Name"], value)})
        )
    names = [str(name) for name in request.get("Names", [])]
    values = {name: public_parameter(call.region, name) for name in names}
    answer: dict[str, Any] = {"Parameters": [], "InvalidParameters": []}
    unknown = [name for name in names if values[name] is None]
    if unknown:
        reply = moto(_with_names(call, request, unknown))
        if reply.status != 200:  # noqa: PLR2004 - HTTP status OK
            return reply
        answer = json.loads(reply.body)
    answer["Parameters"] += [_parameter(call.region, name, value) for name, value in values.items() if value]
    return _json(answer)


def _with_names(call: Call, request: Mapping[str, Any], names: Iterable[str]) -> Call:
    return replace(call, body=json.dumps({**request, "Names": list(names)}).encode())


def _parameter(region: str, name: str, value: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Type": "String",
        "Value": value,
        "Version": 41,
        "LastModifiedDate": 1792000000.0,
        "ARN": f"arn:aws:ssm:{region}::parameter{name}",
        "DataType": "aws:ec2:image",
    }


def _json(answer: Mapping[str, Any]) -> Reply:
    return Reply(json.dumps(answer).encode(), content_type=JSON_TYPE)
