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
        "pools": [_pool(pool) for pool in offers.pools],
        "regions": [_region(region, nodes=offers.nodes) for region in offers.regions],
        "regions_scanned": list(offers.regions_scanned),
        "failed_regions": [problem_data(failure) for failure in offers.failed_regions],
        "partial_failures": [problem_data(failure) for failure in offers.partial_failures],
        "written": written,
    }


def _deal(metrics: OfferMetrics) -> Data:
    return {
        "usd_per_hour": _usd(metrics.usd_per_hour),
        "week": None
        if metrics.low is None or metrics.high is None
        else {"low": _usd(metrics.low), "high": _usd(metrics.high)},
        "on_demand_usd_per_hour": _usd(metrics.on_demand_usd_per_hour),
        "saving": None if metrics.saving is None else str(metrics.saving.quantize(_FOUR)),
        "interruption": None if metrics.interruption is None else INTERRUPTIONS[metrics.interruption],
        "score": metrics.score,
        "quota_headroom": metrics.quota_headroom,
    }


def _usd(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount.quantize(_MICRO))


def _pool(offer: PoolOffer) -> Data:
    return {
        "region": offer.region,
        "zone": offer.pool.zone,
        "type": offer.pool.type,
        "arch": str(offer.arch),
        "vcpus": offer.info.vcpus,
        "memory_mib": offer.info.memory_mib,
        "gpus": offer.info.gpus,
        **_deal(offer),
    }


def _region(offer: RegionOffer, *, nodes: int) -> Data:
    return {
        "region": offer.region,
        "zones": offer.zones,
        "pools": offer.pools,
        "types": list(offer.types),
        "suitability": _STANDINGS[suitability(offer, nodes)],
        **_deal(offer),
    }
