"""What `offers` prints for programs."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from bacalhau_spot.core.placement.offers import INTERRUPTIONS, Suitability, suitability
from bacalhau_spot.ui.json_output.values import Data, problem_data

if TYPE_CHECKING:
    from bacalhau_spot.core.placement.offers import OfferMetrics, Offers, PoolOffer, RegionOffer

_MICRO = Decimal("0.000001")
_FOUR = Decimal("0.0001")
_STANDINGS = {
    Suitability.SUITABLE: "fit",
    Suitability.LOW_SCORE: "low-score",
    Suitability.NO_QUOTA: "no-room",
    Suitability.NO_PRICE: "no-price",
}


def offers_data(offers: Offers, *, written: Data | None = None) -> Data:
    """`written`: what --write has put, or would put, into the configuration."""
    return {
        "nodes": offers.nodes,
        "pools": [_pool(one) for one in offers.pools],
        "regions": [_region(one, nodes=offers.nodes) for one in offers.regions],
        "regions_scanned": list(offers.regions_scanned),
        "failed_regions": [problem_data(problem) for problem in offers.failed_regions],
        "partial_failures": [problem_data(problem) for problem in offers.partial_failures],
        "written": written,
    }


def _deal(one: OfferMetrics) -> Data:
    return {
        "usd_per_hour": _usd(one.usd_per_hour),
        "week": None
        if one.low is None or one.high is None
        else {"low": _usd(one.low), "high": _usd(one.high)},
        "on_demand_usd_per_hour": _usd(one.on_demand_usd_per_hour),
        "saving": None if one.saving is None else str(one.saving.quantize(_FOUR)),
        "interruption": None if one.interruption is None else INTERRUPTIONS[one.interruption],
        "score": one.score,
        "quota_headroom": one.quota_headroom,
    }


def _usd(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount.quantize(_MICRO))


def _pool(one: PoolOffer) -> Data:
    return {
        "region": one.region,
        "zone": one.pool.zone,
        "type": one.pool.type,
        "arch": str(one.arch),
        "vcpus": one.info.vcpus,
        "memory_mib": one.info.memory_mib,
        "gpus": one.info.gpus,
        **_deal(one),
    }


def _region(one: RegionOffer, *, nodes: int) -> Data:
    return {
        "region": one.region,
        "zones": one.zones,
        "pools": one.pools,
        "types": list(one.types),
        "suitability": _STANDINGS[suitability(one, nodes)],
        **_deal(one),
    }
