"""Offers: a row for each pool or region, and the missing data."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.error_catalog.categories import MORE_TYPES
from bacalhau_spot.core.placement.offers import INTERRUPTIONS, LOW_SCORE, Suitability, suitability
from bacalhau_spot.core.problem import regions_by_failure
from bacalhau_spot.ui.formatting import comma_list, error_label, plural, usd, usd_range
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, failed_regions_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from bacalhau_spot.core.model import TypeInfo
    from bacalhau_spot.core.placement.offers import OfferMetrics, Offers, PoolOffer, RegionOffer
    from bacalhau_spot.core.problem import ApiFailure

_UNKNOWN = "-"
_MIB_PER_GIB = 1024
_DEAL = ("spot now", "7 days", "on demand", "saving", "interrupted", "score", "room")
_POOL = ("region", "zone", "type", "vCPU", "GiB", "GPU", "arch", *_DEAL)
_REGION = ("region", "zones", "pools", *_DEAL, "remark")
_NUMBERS = ("vCPU", "GiB", "zones", "pools", *_DEAL)
# Columns to drop in a narrow window, in this order.
_SPARE = (
    "arch",
    "pools",
    "zones",
    "7 days",
    "on demand",
    "GiB",
    "vCPU",
    "room",
    "interrupted",
    "score",
    "saving",
)

_WRITE = "--write writes the best regions into the configuration"
# Reasons for missing data, where the error's own message would mislead.
_REASONS = {"MaxConfigLimitExceeded": "daily limit of placement score requests reached"}
# The data of each operation.
_WHAT = {
    "GetProducts": "on-demand prices",
    "GetSpotPlacementScores": "placement scores",
    "GetServiceQuota": "room in the quotas",
    "DescribeInstances": "room in the quotas",
    "DescribeInstanceTypes": "room in the quotas",
}


def offers_view(offers: Offers, *, by_region: bool, ranked: bool, more: int) -> Group:
    """`ranked`: the regions are in the program's order, which is explained. `more`: number of hidden rows."""
    rows = len(offers.regions) if by_region else len(offers.pools)
    parts: list[RenderableType] = []
    if rows:
        parts.append(_regions(offers) if by_region else _pools(offers.pools))
        parts.append(Paragraph(_counts(offers, by_region=by_region, shown=rows, more=more), style="bold"))
        if by_region and ranked:
            parts.append(Paragraph(_order(offers.nodes), style="dim"))
    else:
        where = plural(len(offers.regions_scanned), "region")
        parts.append(Paragraph(f"nothing to offer in {where}; by size, for all types: {MORE_TYPES}"))
    parts += _failed_regions(offers)
    if rows:
        parts.append(
            Paragraph(
                _WRITE if by_region else f"--by region shows the best regions first; {_WRITE}", style="cyan"
            )
        )
    return Group(*parts)


def _pools(pools: Sequence[PoolOffer]) -> TextTable:
    return TextTable(
        _POOL,
        [
            (
                pool.region,
                pool.pool.zone.removeprefix(pool.region),
                pool.pool.type,
                str(pool.info.vcpus),
                _gib(pool.info.memory_mib),
                _gpus(pool.info),
                str(pool.arch),
                *_deal(pool),
            )
            for pool in pools
        ],
        right=_NUMBERS,
        spare=_SPARE,
    )


def _gpus(info: TypeInfo) -> str:
    """`4 A10G, 24 GiB`: their number, their model, and the memory of each."""
    memory = f", {_gib(info.gpu_memory_mib)} GiB" if info.gpu_memory_mib else ""
    return f"{info.gpus} {info.gpu_name}".rstrip() + memory if info.gpus else ""


def _regions(offers: Offers) -> TextTable:
    return TextTable(
        _REGION,
        [
            (
                region.region,
                str(region.zones),
                str(region.pools),
                *_deal(region),
                _remark(region, offers.nodes),
            )
            for region in offers.regions
        ],
        right=_NUMBERS,
        spare=_SPARE,
    )


def _deal(metrics: OfferMetrics) -> tuple[str, ...]:
    return (
        _UNKNOWN if metrics.usd_per_hour is None else usd(metrics.usd_per_hour),
        _UNKNOWN if metrics.low is None or metrics.high is None else usd_range(metrics.low, metrics.high),
        _UNKNOWN if metrics.on_demand_usd_per_hour is None else usd(metrics.on_demand_usd_per_hour),
        _UNKNOWN if metrics.saving is None else f"{metrics.saving * 100:.0f}%",
        _UNKNOWN if metrics.interruption is None else INTERRUPTIONS[metrics.interruption],
        _UNKNOWN if metrics.score is None else str(metrics.score),
        _UNKNOWN if metrics.quota_headroom is None else str(metrics.quota_headroom),
    )


def _gib(mib: int) -> str:
    return f"{(Decimal(mib) / _MIB_PER_GIB).normalize():f}"


def _remark(offer: RegionOffer, nodes: int) -> str:
    return {
        Suitability.SUITABLE: "",
        Suitability.LOW_SCORE: "low score",
        Suitability.NO_QUOTA: f"no room for {plural(nodes, 'node')}",
        Suitability.NO_PRICE: "no price",
    }[suitability(offer, nodes)]


def _counts(offers: Offers, *, by_region: bool, shown: int, more: int) -> str:
    noun = "region" if by_region else "capacity pool"
    if more:
        return f"the first {shown} of {plural(shown + more, noun)}; all of them with --top {shown + more}"
    regions = len({pool.region for pool in offers.pools})
    return plural(shown, noun) + ("" if by_region else f" in {plural(regions, 'region')}")


def _order(nodes: int) -> str:
    return (
        f"in order: quota for {plural(nodes, 'node')}, a placement score above {LOW_SCORE}, "
        "then the price of a typical node: the mean of each zone's cheapest pool"
    )


def _failed_regions(offers: Offers) -> list[RenderableType]:
    lines: list[RenderableType] = [Paragraph(remark, style="yellow") for remark in offers.notes]
    lines += _partial_failures(offers.partial_failures)
    lines += failed_regions_text(offers.failed_regions)
    return lines


# Operations that are called in one region for all.
_OF_ALL = frozenset({"GetProducts", "GetSpotPlacementScores"})


def _partial_failures(failures: Sequence[ApiFailure]) -> list[Paragraph]:
    """Data that AWS did not return; one line for each reason."""

    def gap(failure: ApiFailure) -> tuple[str, str, bool]:
        what = _WHAT.get(failure.operation, failure.operation)
        return what, _REASONS.get(failure.code) or error_label(failure.code), failure.operation in _OF_ALL

    return [
        Paragraph(
            f"not available: {what}{'' if of_all else _places(list(filter(None, regions)))} ({reason})",
            style="yellow",
        )
        for (what, reason, of_all), regions in regions_by_failure(failures, gap).items()
    ]


def _places(regions: Sequence[str]) -> str:
    return f" in {comma_list(regions)}" if regions else ""
