"""The market of each region for this cluster: pools with their prices, and the images for their architectures."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.core.images.account_image import BAKED
from bacalhau_spot.core.launch.plan import offers_from
from bacalhau_spot.core.model import Arch, Image, Market, RegionSpec
from bacalhau_spot.engine.aws_calls.caller import gather_all
from bacalhau_spot.engine.placement.image_list import baked_images

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.core.model import ClusterSpec, Offer, Requirements, TypeInfo
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

AUTO = "auto"
_SSM = "ssm:"

# Canonical's public parameter for the current Ubuntu LTS (Canonical, "Finding Ubuntu images with the AWS SSM Parameter Store").
_UBUNTU = "/aws/service/canonical/ubuntu/server/24.04/stable/current/{arch}/hvm/ebs-gp3/ami-id"
_CANONICAL_ARCH = {Arch.X86_64: "amd64", Arch.ARM64: "arm64"}
# The root device of all of Canonical's EBS images, so no call is needed for it.
_UBUNTU_ROOT = "/dev/sda1"

# With `requirements`, AWS returns hundreds of types. More pools than these do not improve a fleet.
MAX_TYPES = 20


@dataclass(frozen=True, slots=True)
class Types:
    """The acceptable types of a region. `all_of_them` includes the expensive ones, for which no details are fetched."""

    names: tuple[str, ...] = ()
    all_of_them: tuple[str, ...] = ()


async def markets(calls: AwsCalls, spec: ClusterSpec, *, regions: Sequence[str]) -> dict[str, Market]:
    """The market of each region. At most five calls per region, and one for all types together."""
    named = {region.name: region for region in spec.regions}
    specs = [named.get(name, RegionSpec(name)) for name in regions]
    types = await gather_all(*(acceptable_types(calls, spec, region, region.name) for region in specs))
    wanted = dict(zip(regions, types, strict=True))
    infos = await _type_infos(calls, wanted)
    found = await gather_all(
        *(
            _market(calls, spec, region, wanted[region.name], _some(infos, wanted[region.name]))
            for region in specs
        )
    )
    return {market.region: market for market in found}


def _some(infos: Mapping[str, TypeInfo], names: Sequence[str]) -> dict[str, TypeInfo]:
    return {name: infos[name] for name in names if name in infos}


async def acceptable_types(
    calls: AwsCalls, spec: ClusterSpec, region: RegionSpec | None, name: str
) -> tuple[str, ...]:
    """The configured types, or the cheapest of those that meet the requirements."""
    if region is not None and region.instance_types:
        return region.instance_types
    if spec.requirements is None:
        return spec.instance_types
    return (await matching_types(calls, spec.requirements, name)).names


async def matching_types(calls: AwsCalls, requirements: Requirements, region: str) -> Types:
    """The types that meet the requirements, and the cheapest of them; without prices, the alphabetically first."""
    names = await calls.read(region, partial(calls.cloud.matching_types, region, requirements))
    if len(names) <= MAX_TYPES:
        return Types(names, names)
    prices = await calls.read(region, partial(calls.cloud.spot_prices, region, names))
    order = sorted(prices, key=lambda pool: (prices[pool], pool))
    cheapest = tuple(dict.fromkeys(name for name, _ in order)) or names
    return Types(cheapest[:MAX_TYPES], names)


async def _type_infos(calls: AwsCalls, wanted: Mapping[str, Sequence[str]]) -> dict[str, TypeInfo]:
    """A type is the same in every region: each is described once, in the first region that offers it."""
    infos: dict[str, TypeInfo] = {}
    for region, names in wanted.items():
        missing = sorted(set(names) - set(infos))
        if missing:
            type_infos = await calls.read(region, partial(calls.cloud.types, region, missing))
            infos.update({info.name: info for info in type_infos})
    return infos


async def _market(
    calls: AwsCalls,
    spec: ClusterSpec,
    region: RegionSpec,
    types: Sequence[str],
    infos: Mapping[str, TypeInfo],
) -> Market:
    name, image = region.name, region.image or spec.image
    archs = sorted({arch for info in infos.values() for arch in info.archs})
    pools, prices, images = await asyncio.gather(
        calls.read(name, lambda: calls.cloud.pools(name, types)),
        calls.read(name, lambda: calls.cloud.spot_prices(name, types)),
        images_of(calls, spec, name, image, archs or [Arch.X86_64]),
    )
    not_spot = {info.name for info in infos.values() if not info.spot}
    sold = [(type_name, zone) for type_name, zone in pools if type_name not in not_spot]
    offers = offers_from(sold, {type_name: info.archs for type_name, info in infos.items()}, prices)
    return Market(name, offers, _images_for(image, images, offers))


def _images_for(image: str, images: Sequence[Image], offers: Sequence[Offer]) -> dict[Arch, Image]:
    """By architecture. For `auto`, only the images in use; for a configured image, all, so that a mismatch is reported."""
    used = {offer.arch for offer in offers}
    return {found.arch: found for found in images if image != AUTO or found.arch in used}


async def images_of(
    calls: AwsCalls, spec: ClusterSpec, region: str, image: str, archs: Sequence[Arch]
) -> tuple[Image, ...]:
    """The images for `auto`, `baked`, a parameter or an id; empty if the region has none."""
    if image == BAKED:
        return await baked_images(calls, spec.naming, region, version=spec.bacalhau.version, archs=archs)
    if image == AUTO:
        names = {_UBUNTU.format(arch=_CANONICAL_ARCH[arch]): arch for arch in archs}
        values = await calls.read(region, lambda: calls.cloud.parameters(region, sorted(names)))
        return tuple(
            Image(id=values[name], arch=arch, root_device=_UBUNTU_ROOT)
            for name, arch in names.items()
            if name in values
        )
    image_id = image
    if image.startswith(_SSM):
        name = image.removeprefix(_SSM)
        values = await calls.read(region, lambda: calls.cloud.parameters(region, [name]))
        if name not in values:
            return ()
        image_id = values[name]
    return await calls.read(region, lambda: calls.cloud.images(region, [image_id]))
