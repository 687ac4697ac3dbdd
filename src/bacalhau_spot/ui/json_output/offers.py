"""The output of `offers` for programs."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

from bacalhau_spot.core.model import Arch
from bacalhau_spot.core.placement.offers import INTERRUPTIONS, Suitability, suitability
from bacalhau_spot.ui.json_output.values import (
    Amount,
    Count,
    Keywords,
    PriceRangeOutput,
    ProblemOutput,
    SignedAmount,
    Time,
    exact,
    fraction,
    hours,
    problem_data,
    time_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.placement.offers import OfferMetrics, Offers, PoolOffer, RegionOffer
    from bacalhau_spot.core.pricing.backtest import Backtest, BacktestCost, BacktestRow
    from bacalhau_spot.core.problem import ApiFailure

SuitabilityName = Literal["fit", "low-score", "no-room", "no-price"]
_SUITABILITY_NAMES: dict[Suitability, SuitabilityName] = {
    Suitability.SUITABLE: "fit",
    Suitability.LOW_SCORE: "low-score",
    Suitability.NO_QUOTA: "no-room",
    Suitability.NO_PRICE: "no-price",
}


class OfferMetricsOutput(TypedDict):
    usd_per_hour: Amount | None
    """US dollars; of a region: the mean of each zone's cheapest pool; null if unknown"""
    week: PriceRangeOutput | None
    """the lowest and the highest spot price of the last seven days"""
    on_demand_usd_per_hour: Amount | None
    """US dollars; null if unknown"""
    saving: SignedAmount | None
    """the saved fraction of the on-demand price: 0.65 is 65%"""
    interruption: Annotated[str, Keywords(enum=list(INTERRUPTIONS))] | None
    """last month's rate from AWS's Spot Instance Advisor; of a region: the highest of the pools in its price"""
    score: Annotated[int, Keywords(minimum=1, maximum=10)] | None
    """AWS's placement score of the region for `nodes` nodes"""
    quota_headroom: Count | None
    """the number of additional nodes within the spot quota"""


class _Pool(TypedDict):
    region: str
    zone: str
    type: str
    """instance type"""
    arch: Arch
    vcpus: Count
    memory_mib: Count
    gpus: Count
    gpu_name: str | None
    """the model of each GPU, such as `T4`"""
    gpu_memory_mib: Count | None
    """the memory of each GPU"""


class _Region(TypedDict):
    region: str
    zones: Count
    pools: Count
    types: list[str]
    suitability: SuitabilityName
    """`low-score`: a low placement score; `no-room`: no quota for `nodes` nodes; `no-price`: no offer"""


class PoolOfferOutput(_Pool, OfferMetricsOutput):
    """A capacity pool."""


class RegionOfferOutput(_Region, OfferMetricsOutput):
    pass


class WrittenOfferOutput(TypedDict):
    """The change of the configuration by `--write`, or with `--dry-run` the proposed one."""

    path: str
    regions: list[str]
    instance_types: list[str] | None
    """null: none on the command line, so those of the file remain"""
    changed: bool
    """whether the file was changed"""
    diff: str
    """in unified form; empty without a difference"""


class OffersOutput(TypedDict):
    nodes: Annotated[int, Keywords(minimum=1)]
    """the number of nodes to launch in one region"""
    pools: list[PoolOfferOutput]
    """sorted as requested"""
    regions: list[RegionOfferOutput]
    """best first, or sorted as requested"""
    regions_scanned: list[str]
    failed_regions: list[ProblemOutput]
    """regions that could not be scanned"""
    partial_failures: list[ProblemOutput]
    """failed queries; their values are null"""
    written: WrittenOfferOutput | None
    """null without `--write`"""


class BacktestCostOutput(TypedDict):
    """US dollars; the first four per hour, of one instance."""

    average_usd_per_hour: Amount
    """of a typical node, weighted by time: the mean of each zone's cheapest pool"""
    lowest_usd_per_hour: Amount
    highest_usd_per_hour: Amount
    usd: Amount
    """of all nodes for the period, at typical prices"""
    usd_range: PriceRangeOutput
    """all nodes in the cheapest pool at each moment, or in the most expensive one"""
    on_demand_usd: Amount | None
    """of the cheapest of the types; null if unknown"""
    saving: SignedAmount | None
    hours_known: Amount
    """those with a price from AWS"""
    hours_above_limit: Amount
    """every pool cost more than `max_price_usd_per_hour`: no node runs, and it costs nothing"""


class BacktestRowOutput(TypedDict):
    region: str
    types: list[str]
    nodes: Count
    cost: BacktestCostOutput | None
    """null: AWS returned no price"""


class BacktestOutput(TypedDict):
    """With `--backtest`. Price history is not availability history."""

    since: Time
    until: Time
    nodes: Count
    limit_usd_per_hour: Amount | None
    """`max_price_usd_per_hour`"""
    configured: list[BacktestRowOutput]
    total: BacktestCostOutput | None
    """of the configured regions; null if one has no price"""
    fixed_usd: Amount
    """volumes and public addresses of the configured nodes"""
    alternatives: list[BacktestRowOutput]
    """all nodes in one other region, the cheapest first"""
    types: list[BacktestRowOutput]
    """each of these regions with one type alone"""
    regions_not_read: Count
    """regions with offers that are more expensive today"""
    price_calls: Count
    """calls of DescribeSpotPriceHistory"""
    failures: list[ProblemOutput]


def backtest_data(found: Backtest, *, calls: int, failures: Sequence[ApiFailure] = ()) -> BacktestOutput:
    return {
        "since": time_text(found.period.since),
        "until": time_text(found.period.until),
        "nodes": found.nodes,
        "limit_usd_per_hour": exact(found.period.limit),
        "configured": [_backtest_row(row) for row in found.configured],
        "total": _backtest_cost(found.total),
        "fixed_usd": exact(found.fixed_usd),
        "alternatives": [_backtest_row(row) for row in found.alternatives],
        "types": [_backtest_row(row) for row in found.types],
        "regions_not_read": found.others,
        "price_calls": calls,
        "failures": [problem_data(failure) for failure in failures],
    }


def _backtest_row(row: BacktestRow) -> BacktestRowOutput:
    return {
        "region": row.region,
        "types": list(row.types),
        "nodes": row.nodes,
        "cost": _backtest_cost(row.cost),
    }


def _backtest_cost(cost: BacktestCost | None) -> BacktestCostOutput | None:
    if cost is None:
        return None
    return {
        "average_usd_per_hour": exact(cost.average),
        "lowest_usd_per_hour": exact(cost.lowest),
        "highest_usd_per_hour": exact(cost.highest),
        "usd": exact(cost.typical),
        "usd_range": {"low": exact(cost.low), "high": exact(cost.high)},
        "on_demand_usd": exact(cost.on_demand),
        "saving": fraction(cost.saving),
        "hours_known": hours(Decimal(int(cost.known.total_seconds()))),
        "hours_above_limit": hours(Decimal(int(cost.above.total_seconds()))),
    }


def offers_data(offers: Offers, *, written: WrittenOfferOutput | None = None) -> OffersOutput:
    return {
        "nodes": offers.nodes,
        "pools": [_pool(pool) for pool in offers.pools],
        "regions": [_region(region, nodes=offers.nodes) for region in offers.regions],
        "regions_scanned": list(offers.regions_scanned),
        "failed_regions": [problem_data(failure) for failure in offers.failed_regions],
        "partial_failures": [problem_data(failure) for failure in offers.partial_failures],
        "written": written,
    }


def _metrics(metrics: OfferMetrics) -> OfferMetricsOutput:
    return {
        "usd_per_hour": exact(metrics.usd_per_hour),
        "week": None
        if metrics.low is None or metrics.high is None
        else {"low": exact(metrics.low), "high": exact(metrics.high)},
        "on_demand_usd_per_hour": exact(metrics.on_demand_usd_per_hour),
        "saving": fraction(metrics.saving),
        "interruption": None if metrics.interruption is None else INTERRUPTIONS[metrics.interruption],
        "score": metrics.score,
        "quota_headroom": metrics.quota_headroom,
    }


def _pool(offer: PoolOffer) -> PoolOfferOutput:
    return {
        "region": offer.region,
        "zone": offer.pool.zone,
        "type": offer.pool.type,
        "arch": offer.arch,
        "vcpus": offer.info.vcpus,
        "memory_mib": offer.info.memory_mib,
        "gpus": offer.info.gpus,
        "gpu_name": offer.info.gpu_name or None,
        "gpu_memory_mib": offer.info.gpu_memory_mib or None,
        **_metrics(offer),
    }


def _region(offer: RegionOffer, *, nodes: int) -> RegionOfferOutput:
    return {
        "region": offer.region,
        "zones": offer.zones,
        "pools": offer.pools,
        "types": list(offer.types),
        "suitability": _SUITABILITY_NAMES[suitability(offer, nodes)],
        **_metrics(offer),
    }
