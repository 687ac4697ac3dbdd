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
    from decimal import Decimal

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
    """The market of each region: two calls per region, and one for all types together, all at the same time."""
    return await markets_of(calls, spec, await wanted_types(calls, spec, regions=regions))


async def wanted_types(
    calls: AwsCalls, spec: ClusterSpec, *, regions: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The acceptable types of each region. With `requirements` AWS names them; otherwise this makes no call."""
    named = {region.name: region for region in spec.regions}
    types = await gather_all(*(acceptable_types(calls, spec, named.get(name), name) for name in regions))
    return dict(zip(regions, types, strict=True))


async def markets_of(
    calls: AwsCalls, spec: ClusterSpec, wanted: Mapping[str, Sequence[str]]
) -> dict[str, Market]:
    """The market of each region for its types."""
    named = {region.name: region for region in spec.regions}
    images = {name: (named[name].image if name in named else None) or spec.image for name in wanted}
    first, goods = await asyncio.gather(
        _first_infos(calls, wanted),
        gather_all(*(_goods(calls, spec, name, images[name], types) for name, types in wanted.items())),
    )
    found = dict(zip(wanted, goods, strict=True))
    infos = first | await _more_infos(calls, found, known=first)
    return {
        name: _market(name, images[name], one, {info: infos[info] for info in wanted[name] if info in infos})
        for name, one in found.items()
    }


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


async def _first_infos(calls: AwsCalls, wanted: Mapping[str, Sequence[str]]) -> dict[str, TypeInfo]:
    """All types, as the first region describes them: a type is the same in every region. Without those it does not offer."""
    names = sorted({name for types in wanted.values() for name in types})
    return await _described(calls, next(iter(wanted)), names) if names else {}


async def _more_infos(
    calls: AwsCalls, goods: Mapping[str, _Goods], *, known: Mapping[str, TypeInfo]
) -> dict[str, TypeInfo]:
    """The other types that a region sells, each as the first of these regions describes it."""
    missing: dict[str, str] = {}
    for region, one in goods.items():
        for name, _ in one.pools:
            if name not in known:
                missing.setdefault(name, region)
    names: dict[str, list[str]] = {}
    for name, region in sorted(missing.items()):
        names.setdefault(region, []).append(name)
    parts = await gather_all(*(_described(calls, region, part) for region, part in names.items()))
    return {name: info for part in parts for name, info in part.items()}


async def _described(calls: AwsCalls, region: str, names: Sequence[str]) -> dict[str, TypeInfo]:
    infos = await calls.read(region, partial(calls.cloud.types, region, names))
    return {info.name: info for info in infos}


@dataclass(frozen=True, slots=True)
class _Goods:
    """What a region sells. `images`: of all architectures."""

    pools: Sequence[tuple[str, str]]
    prices: Mapping[tuple[str, str], Decimal]
    images: Sequence[Image]


async def _goods(calls: AwsCalls, spec: ClusterSpec, name: str, image: str, types: Sequence[str]) -> _Goods:
    (pools, prices), images = await asyncio.gather(
        _pools(calls, name, types), images_of(calls, spec, name, image, sorted(Arch))
    )
    return _Goods(pools, prices, images)


async def _pools(
    calls: AwsCalls, name: str, types: Sequence[str]
) -> tuple[Sequence[tuple[str, str]], dict[tuple[str, str], Decimal]]:
    """The pools that AWS sells as spot are those with a price. A region without any price is asked what it offers."""
    prices = await calls.read(name, lambda: calls.cloud.spot_prices(name, types))
    return list(prices) or await calls.read(name, lambda: calls.cloud.pools(name, types)), prices


def _market(name: str, image: str, goods: _Goods, infos: Mapping[str, TypeInfo]) -> Market:
    not_spot = {info.name for info in infos.values() if not info.spot}
    sold = [(type_name, zone) for type_name, zone in goods.pools if type_name not in not_spot]
    offers = offers_from(sold, {type_name: info.archs for type_name, info in infos.items()}, goods.prices)
    return Market(name, offers, _images_for(image, goods.images, offers, infos))


def _images_for(
    image: str, images: Sequence[Image], offers: Sequence[Offer], infos: Mapping[str, TypeInfo]
) -> dict[Arch, Image]:
    """By architecture. For `auto`, only the images in use, and for `baked`, those for the types; for a configured image, all,
    so that a mismatch is reported.
    """
    used = {offer.arch for offer in offers}
    fitting = {arch for info in infos.values() for arch in info.archs} or {Arch.X86_64}
    wanted = used if image == AUTO else fitting if image == BAKED else set(Arch)
    return {found.arch: found for found in images if found.arch in wanted}


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
