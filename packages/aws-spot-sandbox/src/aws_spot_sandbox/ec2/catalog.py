"""Instance types: their attributes (moto's data, which is AWS's) and the zones that offer them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES, InstanceType

from aws_spot_sandbox.ec2 import filters, paging
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.ec2.region import Answer, Args, Region

# Offerings of regions that moto has no data for: the general purpose families that AWS offers in a new region.
FAMILIES_EVERYWHERE = (
    "t3", "t3a", "t4g", "m5", "m5a", "m6a", "m6i", "m6g", "m7g", "m7i",
    "c5", "c6a", "c6i", "c6g", "c7g", "c7i", "r5", "r6i", "r6g",
)  # fmt: skip
OFFERING_FILTERS = {
    "location": lambda offer: offer["Location"],
    "instance-type": lambda offer: offer["InstanceType"],
}


def type_info(name: str) -> Mapping[str, Any] | None:
    info: Mapping[str, Any] | None = INSTANCE_TYPES.get(name)
    return info


def vcpus(name: str) -> int:
    info = type_info(name)
    return int(info["VCpuInfo"]["DefaultVCpus"]) if info else 1


def memory_mib(name: str) -> int:
    info = type_info(name)
    return int(info["MemoryInfo"]["SizeInMiB"]) if info else 1024


def usable_as_spot(name: str) -> bool:
    """AWS: EC2 API reference, InstanceTypeInfo, SupportedUsageClasses: hpc and some other types have no spot instances."""
    info = type_info(name)
    return info is None or "spot" in info.get("SupportedUsageClasses", ["spot"])


def architectures(name: str) -> list[str]:
    info = type_info(name)
    return list(info["ProcessorInfo"]["SupportedArchitectures"]) if info else ["x86_64"]


def burstable(name: str) -> bool:
    return bool((type_info(name) or {}).get("BurstablePerformanceSupported"))


def pools(region: Region) -> dict[str, set[str]]:
    """The types offered in each zone. Cached, because each launch checks it for every pool."""
    refused = tuple(region.world.settings.not_offered)
    if refused not in region.offers:
        region.offers = {refused: pools_of(region, region.name)}
    return region.offers[refused]


def pools_of(region: Region, name: str) -> dict[str, set[str]]:
    """As `pools`, for a region that need not be this one."""
    known = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(name)
    offered: dict[str, set[str]] = {zone.name: set() for zone in region.backend.zones.get(name, [])}
    if known:
        for row in known:
            # moto's offerings include zones that its regions lack (eu-west-2d), in which nothing can be created.
            if row["Location"] in offered:
                offered[row["Location"]].add(row["InstanceType"])
    else:
        general = {name for name in INSTANCE_TYPES if name.partition(".")[0] in FAMILIES_EVERYWHERE}
        offered = {zone: set(general) for zone in offered}
    for pool in region.world.settings.not_offered:
        zone, _, kind = pool.partition("/")
        if zone in offered:
            offered[zone].discard(kind)
    return offered


def zones_offering(region: Region, name: str) -> list[str]:
    return sorted(zone for zone, names in pools(region).items() if name in names)


def types_offered(region: Region) -> set[str]:
    types: set[str] = set()
    for names in pools(region).values():
        types |= names
    return types


def _locations(region: Region, kind: str) -> dict[str, set[str]]:
    if kind == "region":
        return {region.name: types_offered(region)}
    if kind == "availability-zone":
        return pools(region)
    if kind == "availability-zone-id":
        ids = {zone.name: zone.zone_id for zone in region.backend.zones.get(region.name, [])}
        return {ids.get(zone, zone): names for zone, names in pools(region).items()}
    raise AwsError("InvalidParameterValue", f"Invalid value '{kind}' for LocationType.")


def describe_offerings(region: Region, args: Args) -> Answer:
    kind = args.get("LocationType", "region")
    rows = [
        {"InstanceType": name, "LocationType": kind, "Location": place}
        for place, names in sorted(_locations(region, kind).items())
        for name in sorted(names)
    ]
    rows = filters.select(rows, args.get("Filters"), OFFERING_FILTERS)
    shown, token = paging.page(rows, args, smallest=5)
    return {"InstanceTypeOfferings": shown, "NextToken": token}


def describe_types(region: Region, args: Args) -> Answer:
    """The region's types, 100 per page. A type offered only in other regions fails with InvalidInstanceType."""
    offered, names = types_offered(region), args.get("InstanceTypes")
    missing = sorted(set(names or ()) - offered)
    if missing:
        raise AwsError(
            "InvalidInstanceType",
            f"The following supplied instance types do not exist: [{', '.join(missing)}]",
        )
    rows = [INSTANCE_TYPES[name] for name in sorted(names or offered) if name in INSTANCE_TYPES]
    shown, token = paging.page(filters.select(rows, args.get("Filters"), TYPE_FILTERS), args, largest=100)
    return {"InstanceTypes": shown, "NextToken": token}


def _attribute(path: list[str]) -> filters.Getter[dict[str, Any]]:
    def get(row: dict[str, Any]) -> Any:
        value: Any = row
        for key in path:
            value = (value or {}).get(key)
        return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value

    return get


# moto has the path of each filter's value, but applies the filters one by one to every type.
TYPE_FILTERS = {name: _attribute(path) for name, path in InstanceType._filter_attributes.items()}  # noqa: SLF001 - as above


def matching(region: Region, requirements: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Attribute-based selection: vCPUs, memory, architecture, and AWS's defaults for the other attributes in use here."""
    kinds = wanted.get("ArchitectureTypes") or []
    virtualization = wanted.get("VirtualizationTypes") or []
    names = []
    for name in sorted(types_offered(region)):
        info = type_info(name)
        if info is None or not _fits(info, requirements, name):
            continue
        if kinds and not set(kinds) & set(architectures(name)):
            continue
        if virtualization and not set(virtualization) & set(info["SupportedVirtualizationTypes"]):
            continue
        names.append(name)
    return names


def _fits(info: Mapping[str, Any], wanted: Mapping[str, Any], name: str) -> bool:
    return (
        _between(info["VCpuInfo"]["DefaultVCpus"], wanted.get("VCpuCount"))
        and _between(info["MemoryInfo"]["SizeInMiB"], wanted.get("MemoryMiB"))
        and _memory_per_vcpu(info, wanted)
        and _option(wanted.get("BareMetal", "excluded"), has=bool(info.get("BareMetal")))
        and _option(
            wanted.get("BurstablePerformance", "excluded"),
            has=bool(info.get("BurstablePerformanceSupported")),
        )
        and _generation(info, wanted)
        and _names(name, wanted)
        and _between(_accelerators(info), wanted.get("AcceleratorCount"))
    )


def _between(value: float, bounds: Mapping[str, Any] | None) -> bool:
    low, high = (bounds or {}).get("Min"), (bounds or {}).get("Max")
    return (low is None or value >= low) and (high is None or value <= high)


def _memory_per_vcpu(info: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    gib = info["MemoryInfo"]["SizeInMiB"] / 1024
    return _between(gib / info["VCpuInfo"]["DefaultVCpus"], wanted.get("MemoryGiBPerVCpu"))


def _accelerators(info: Mapping[str, Any]) -> int:
    return sum(int(gpu.get("Count", 0)) for gpu in info.get("GpuInfo", {}).get("Gpus", []))


def _option(wish: str, *, has: bool) -> bool:
    return wish == "included" or has == (wish == "required")


def _generation(info: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    generations = wanted.get("InstanceGenerations")
    current = "current" if info.get("CurrentGeneration") else "previous"
    return not generations or current in generations


def _names(name: str, wanted: Mapping[str, Any]) -> bool:
    allowed, excluded = wanted.get("AllowedInstanceTypes"), wanted.get("ExcludedInstanceTypes")
    if allowed and not filters.any_matches(allowed, name):
        return False
    return not (excluded and filters.any_matches(excluded, name))


def types_from_requirements(region: Region, args: Args) -> Answer:
    names = matching(region, args.get("InstanceRequirements") or {}, args)
    shown, token = paging.page([{"InstanceType": name} for name in names], args)
    return {"InstanceTypes": shown, "NextToken": token}
