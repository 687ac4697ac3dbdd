"""A region's offers: pools, types, prices, images."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.ec2_params import LINUX, linux_prices, parse_usd
from bacalhau_spot.cloud.replies import required
from bacalhau_spot.core.model import Arch, Image, TypeInfo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from bacalhau_spot.cloud.session import Session
    from bacalhau_spot.core.model import Requirements

# SSM accepts at most ten parameters per call (SSM API reference, GetParameters).
_PARAMETERS_A_CALL = 10

# The limit of types in DescribeSpotPriceHistory is not documented. For more, all types are queried, as karpenter does
# (karpenter-provider-aws, pricing.go: no `InstanceTypes` at all).
_MOST_NAMED_TYPES = 100


class AwsMarketPlace:
    """`port.MarketPlace` over botocore."""

    _session: Session

    async def pools(self, region: str, types: Sequence[str]) -> tuple[tuple[str, str], ...]:
        rows = await self._session.pages(
            "ec2",
            region,
            "describe_instance_type_offerings",
            "InstanceTypeOfferings",
            LocationType="availability-zone",
            Filters=[{"Name": "instance-type", "Values": list(types)}],
        )
        return tuple(
            sorted((row["InstanceType"], row["Location"]) for row in rows if _is_own(row["Location"], region))
        )

    async def types(self, region: str, names: Sequence[str]) -> tuple[TypeInfo, ...]:
        # A filter, because one unknown name in `InstanceTypes` fails the whole call.
        rows = await self._session.pages(
            "ec2",
            region,
            "describe_instance_types",
            "InstanceTypes",
            Filters=[{"Name": "instance-type", "Values": list(names)}],
        )
        return tuple(sorted((_type_info(row) for row in rows), key=lambda info: info.name))

    async def matching_types(self, region: str, requirements: Requirements) -> tuple[str, ...]:
        rows = await self._session.pages(
            "ec2",
            region,
            "get_instance_types_from_instance_requirements",
            "InstanceTypes",
            ArchitectureTypes=[requirements.arch.value]
            if requirements.arch
            else [arch.value for arch in Arch],
            VirtualizationTypes=["hvm"],
            InstanceRequirements={
                "VCpuCount": _bounds(requirements.vcpus_min, requirements.vcpus_max),
                "MemoryMiB": _bounds(_mib(requirements.memory_gib_min), _mib(requirements.memory_gib_max)),
                "InstanceGenerations": ["current"],
                "BurstablePerformance": "included",
                "BareMetal": "excluded",
                **_gpus(requirements),
                **_families(requirements),
            },
        )
        return tuple(sorted(row["InstanceType"] for row in rows))

    async def spot_prices(self, region: str, types: Sequence[str]) -> dict[tuple[str, str], Decimal]:
        # A start in the future returns exactly the current prices (EC2 API reference, DescribeSpotPriceHistory).
        rows = await self._session.pages(
            "ec2",
            region,
            "describe_spot_price_history",
            "SpotPriceHistory",
            **({"InstanceTypes": list(types)} if len(types) <= _MOST_NAMED_TYPES else {}),
            ProductDescriptions=LINUX,
            StartTime=datetime.now(UTC),
        )
        wanted = frozenset(types)
        newest: dict[tuple[str, str], dict[str, Any]] = {}
        for row in linux_prices(rows):
            pool = (row["InstanceType"], row["AvailabilityZone"])
            if pool[0] not in wanted or not _is_own(pool[1], region):
                continue
            if pool not in newest or row["Timestamp"] > newest[pool]["Timestamp"]:
                newest[pool] = row
        return {pool: parse_usd(row["SpotPrice"]) for pool, row in newest.items()}

    async def parameters(self, region: str, names: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(names), _PARAMETERS_A_CALL):
            batch = list(names[start : start + _PARAMETERS_A_CALL])
            reply = await self._session.call("ssm", region, "get_parameters", Names=batch)
            rows = required(reply, "Parameters", operation="get_parameters", region=region)
            found.update({row["Name"]: row["Value"] for row in rows})
        return found

    async def images(self, region: str, ids: Sequence[str]) -> tuple[Image, ...]:
        rows = await self._session.pages("ec2", region, "describe_images", "Images", ImageIds=list(ids))
        return tuple(_image(row) for row in rows if row["Architecture"] in list(Arch))


def _is_own(zone: str, region: str) -> bool:
    """Whether it is one of the region's own zones. Local and Wavelength Zones, which have longer names, cannot be used."""
    return re.fullmatch(re.escape(region) + r"[a-z]", zone) is not None


def _image(row: dict[str, Any]) -> Image:
    """An instance-store image has no root device (recorded by cloud-custodian), or one without a volume."""
    device = str(row.get("RootDeviceName") or "")
    sizes = {
        mapping.get("DeviceName"): mapping["Ebs"].get("VolumeSize", 0)
        for mapping in row.get("BlockDeviceMappings", ())
        if "Ebs" in mapping
    }
    return Image(
        id=row["ImageId"],
        arch=Arch(row["Architecture"]),
        root_device="" if row.get("RootDeviceType") == "instance-store" else device,
        volume_gib=sizes.get(device, 0),
        unknown_key=any(
            mapping.get("DeviceName") == device and mapping.get("Ebs", {}).get("Encrypted", False)
            for mapping in row.get("BlockDeviceMappings", ())
        ),
    )


def _type_info(row: dict[str, Any]) -> TypeInfo:
    archs = row.get("ProcessorInfo", {}).get("SupportedArchitectures", ())
    gpus = row.get("GpuInfo", {}).get("Gpus", ())
    return TypeInfo(
        name=row["InstanceType"],
        archs=tuple(Arch(arch) for arch in archs if arch in list(Arch)),
        vcpus=row.get("VCpuInfo", {}).get("DefaultVCpus", 0),
        memory_mib=row.get("MemoryInfo", {}).get("SizeInMiB", 0),
        spot="spot" in row.get("SupportedUsageClasses", ["spot"]),
        gpus=sum(gpu.get("Count", 0) for gpu in gpus),
        # A type has GPUs of one model.
        gpu_name=str(gpus[0].get("Name", "")) if gpus else "",
        gpu_memory_mib=gpus[0].get("MemoryInfo", {}).get("SizeInMiB", 0) if gpus else 0,
    )


def _gpus(requirements: Requirements) -> dict[str, Any]:
    if requirements.gpus_min is None and requirements.gpus_max is None:
        return {}
    count = _bounds(requirements.gpus_min, requirements.gpus_max)
    # With AcceleratorTypes `gpu`, types without any accelerator would not match.
    return {"AcceleratorCount": count, **({"AcceleratorTypes": ["gpu"]} if count["Min"] else {})}


def _families(requirements: Requirements) -> dict[str, Any]:
    # `*` matches any text in these names (EC2 API reference, InstanceRequirements).
    names = [f"{family}.*" for family in requirements.families]
    return {"AllowedInstanceTypes": names} if names else {}


def _mib(gib: Decimal | None) -> int | None:
    return None if gib is None else int(gib * 1024)


def _bounds(low: int | None, high: int | None) -> dict[str, int]:
    bounds = {"Min": low or 0}
    if high is not None:
        bounds["Max"] = high
    return bounds
