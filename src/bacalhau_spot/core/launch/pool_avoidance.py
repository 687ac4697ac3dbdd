"""Capacity pools that a launch avoids because EC2 interrupted nodes in them shortly before.

Rules:
1. Avoidance never makes a launch impossible: a region whose other pools cannot hold the nodes avoids none.
2. It costs little: a region whose cheapest other pool costs more than one and a half times its cheapest pool avoids none.
3. It is a preference. AWS chooses among the other pools; if these have no capacity, the launch uses the avoided ones
   before it moves nodes to another region (engine/launch/region_launch.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.launch.pool_limits import headroom, max_per_pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import ClusterSpec, Market, Offer, Pool

# EC2 interrupts when it needs the capacity back, and does not publish when a pool has capacity again.
# `price-capacity-optimized` also weighs the price, and may choose the same cheap pool again at once. karpenter leaves such a
# pool out for three minutes, because it launches at any time; a cluster that is completed by hand or by a crontab needs a
# longer period. AWS lists a terminated instance for one hour, so half of this period needs no audit log.
AVOIDED_FOR: Final = timedelta(hours=2)
_MOST_NAMED: Final = 4
_MOST_EXPENSIVE: Final = Decimal("1.5")


@dataclass(frozen=True, slots=True)
class InterruptedPool:
    """A pool, and the time of its last interruption."""

    pool: Pool
    interrupted_at: datetime


@dataclass(frozen=True, slots=True)
class PoolAvoidance:
    """The offers of a region without the avoided pools. `not_avoided`: interrupted pools that the launch needs."""

    offers: tuple[Offer, ...]
    avoided: tuple[InterruptedPool, ...] = ()
    not_avoided: tuple[InterruptedPool, ...] = ()


def pool_avoidance(
    spec: ClusterSpec,
    market: Market,
    interrupted: Mapping[Pool, datetime],
    *,
    launch: int,
    counts: Mapping[Pool, int],
) -> PoolAvoidance:
    """`interrupted`: pools with recent interruptions. `counts`: present nodes of each pool."""
    affected = tuple(
        InterruptedPool(offer.pool, interrupted[offer.pool])
        for offer in market.offers
        if offer.pool in interrupted
    )
    others = tuple(offer for offer in market.offers if offer.pool not in interrupted)
    if not affected:
        return PoolAvoidance(market.offers)
    if _suffice(spec, others, market.offers, launch=launch, counts=counts):
        return PoolAvoidance(others, avoided=affected)
    return PoolAvoidance(market.offers, not_avoided=affected)


def _suffice(
    spec: ClusterSpec,
    others: Sequence[Offer],
    every: Sequence[Offer],
    *,
    launch: int,
    counts: Mapping[Pool, int],
) -> bool:
    """Whether the other pools can hold the nodes: within the limits of price and of nodes in a pool."""
    if not others or not _affordable(spec, others, every):
        return False
    limit = max_per_pool(spec)
    return limit is None or sum(headroom((offer.pool for offer in others), counts, limit).values()) >= launch


def _affordable(spec: ClusterSpec, others: Sequence[Offer], every: Sequence[Offer]) -> bool:
    """Whether another pool is within `max_price_usd_per_hour`, and little dearer than the cheapest. Unknown prices may be."""
    known = _prices(others)
    if len(known) < len(others):
        return True
    limit = min(_prices(every)) * _MOST_EXPENSIVE
    if spec.max_price_usd_per_hour is not None:
        limit = min(limit, spec.max_price_usd_per_hour)
    return min(known) <= limit


def _prices(offers: Iterable[Offer]) -> list[Decimal]:
    return [offer.usd_per_hour for offer in offers if offer.usd_per_hour is not None]


def avoidance_notes(avoidances: Mapping[str, PoolAvoidance]) -> tuple[str, ...]:
    """The effect on a plan, by region; one sentence each."""
    avoided = [found.pool for avoidance in avoidances.values() for found in avoidance.avoided]
    notes = []
    if avoided:
        pools = "1 capacity pool" if len(avoided) == 1 else f"{len(avoided)} capacity pools"
        hours = AVOIDED_FOR // timedelta(hours=1)
        notes.append(
            f"avoids {pools} in which EC2 interrupted nodes in the last {hours} hours: {_names(avoided)}"
        )
    needed = {name: avoidance.not_avoided for name, avoidance in avoidances.items() if avoidance.not_avoided}
    notes += [
        f"does not avoid recently interrupted capacity pools of {name}, because its other pools cannot hold the nodes or "
        f"cost over 50 % more: {_names([found.pool for found in pools])}"
        for name, pools in needed.items()
    ]
    return tuple(notes)


def _names(pools: Sequence[Pool]) -> str:
    names = [f"{pool.type} in {pool.zone}" for pool in pools]
    return ", ".join(names[:_MOST_NAMED]) + (
        f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    )
