"""Capacity pools and regions with their metrics, and their ranking.

The order of regions (`ranked`):
1. Regions whose quota has no room for the nodes come last: nothing can be launched there.
2. Regions with a low placement score (up to LOW_SCORE of 10) come before those: a launch is likely to fall short.
3. The others are sorted by the current price of a typical node, then by score, then by name.
Unknown values count neither for nor against a region.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum
from typing import TYPE_CHECKING

from bacalhau_spot.core.placement.quotas import Headroom, family_of, quota_of
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bacalhau_spot.core.model import Arch, Pool, PricePoint, Requirements, TypeInfo
    from bacalhau_spot.core.problem import ApiFailure

# How often AWS took back instances of a type in the last month, as the Spot Instance Advisor groups them.
INTERRUPTIONS = ("<5%", "5-10%", "10-15%", "15-20%", ">20%")
# EC2 user guide, "Spot placement score": 10 is highly likely to succeed, 1 is not. The limit of "low" is our choice.
LOW_SCORE = 3
# As above: with fewer instance types the score is always low and has no meaning.
TYPES_FOR_A_SCORE = 3
HIGHEST_SCORE = 10  # so many regions does an answer name

_MIB_PER_GIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferMetrics:
    """The metrics of pools and regions; None is unknown.

    `usd_per_hour`: current spot price of a node; `low` and `high`: over the last seven days. `interruption`: an index
    of INTERRUPTIONS. `score`: of the region. `quota_headroom`: further nodes that the quota allows.
    """

    region: str
    usd_per_hour: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    on_demand_usd_per_hour: Decimal | None = None
    interruption: int | None = None
    score: int | None = None
    quota_headroom: int | None = None

    @property
    def saving(self) -> Decimal | None:
        """The part of the on-demand price that spot saves; below zero where spot is dearer."""
        if self.usd_per_hour is None or not self.on_demand_usd_per_hour:
            return None
        return 1 - self.usd_per_hour / self.on_demand_usd_per_hour


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOffer(OfferMetrics):
    """One capacity pool."""

    pool: Pool
    info: TypeInfo

    @property
    def arch(self) -> Arch:
        return self.info.archs[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionOffer(OfferMetrics):
    """One region, over all its pools of the acceptable types.

    Its price is that of a typical node: the mean of each zone's cheapest pool, because AWS weighs capacity against
    price and seldom puts all nodes into the cheapest pool. Range and on-demand price are of the same pools, the
    interruption rate is that of the worst. The room is counted in the largest type, so that the nodes fit whichever AWS
    chooses.
    """

    zones: int = 0
    pools: int = 0
    types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offers:
    """The result of `offers`. `nodes`: nodes for one region. `regions` are ranked.

    `failed_regions`: regions that could not be scanned. `partial_failures`: missing data that the result does without.
    `notes`: further sentences for the user.
    """

    nodes: int
    pools: tuple[PoolOffer, ...] = ()
    regions: tuple[RegionOffer, ...] = ()
    regions_scanned: tuple[str, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    partial_failures: tuple[ApiFailure, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.INCOMPLETE if self.failed_regions else ExitCode.DONE


@dataclass(frozen=True, slots=True)
class RegionMarketData:
    """AWS's data on one region: pools of the acceptable types, prices, and the quotas that count them."""

    region: str
    pools: tuple[Pool, ...] = ()
    history: tuple[PricePoint, ...] = ()
    headrooms: Mapping[str, Headroom] = field(default_factory=dict)  # by the quota's code


@dataclass(frozen=True, slots=True)
class GlobalMarketData:
    """AWS's data on all regions. `interruptions`: an index of INTERRUPTIONS by (region, type)."""

    type_infos: Mapping[str, TypeInfo] = field(default_factory=dict)
    on_demand: Mapping[tuple[str, str], Decimal] = field(default_factory=dict)
    interruptions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    scores: Mapping[str, int] = field(default_factory=dict)


def fits(info: TypeInfo, requirements: Requirements) -> bool:
    """Whether a type meets the requirements."""
    memory_gib = Decimal(info.memory_mib) / _MIB_PER_GIB
    return (
        _within(info.vcpus, requirements.vcpus_min, requirements.vcpus_max)
        and _within(memory_gib, requirements.memory_gib_min, requirements.memory_gib_max)
        and _within(info.gpus, requirements.gpus_min or 0, requirements.gpus_max)
        and requirements.arch in {None, *info.archs}
        and (not requirements.families or _of_family(info.name, requirements.families))
    )


def _of_family(name: str, families: Sequence[str]) -> bool:
    own = family_of(name)
    return any(own.startswith(family[:-1]) if family.endswith("*") else own == family for family in families)


def _within(value: Decimal | int, low: Decimal | int, high: Decimal | int | None) -> bool:
    return value >= low and (high is None or value <= high)


def pool_offers(market: RegionMarketData, data: GlobalMarketData) -> tuple[PoolOffer, ...]:
    """Every pool of the region with a known type."""
    moves: dict[tuple[str, str], list[PricePoint]] = {}
    for point in market.history:
        moves.setdefault((point.type, point.zone), []).append(point)
    return tuple(
        _pool_offer(
            market, data, pool, sorted(moves.get((pool.type, pool.zone), ()), key=lambda point: point.since)
        )
        for pool in market.pools
        if pool.type in data.type_infos and data.type_infos[pool.type].archs
    )


def _pool_offer(
    market: RegionMarketData, data: GlobalMarketData, pool: Pool, moves: Sequence[PricePoint]
) -> PoolOffer:
    prices = [point.usd_per_hour for point in moves]
    return PoolOffer(
        region=market.region,
        pool=pool,
        info=data.type_infos[pool.type],
        usd_per_hour=prices[-1] if prices else None,
        low=min(prices, default=None),
        high=max(prices, default=None),
        on_demand_usd_per_hour=data.on_demand.get((market.region, pool.type)),
        interruption=data.interruptions.get((market.region, pool.type)),
        score=data.scores.get(market.region),
        quota_headroom=quota_headroom([data.type_infos[pool.type]], market.headrooms),
    )


def quota_headroom(infos: Iterable[TypeInfo], headrooms: Mapping[str, Headroom]) -> int | None:
    """Nodes for which the quotas have room, whichever type AWS chooses; None when one quota is unknown."""
    largest: dict[str, int] = {}
    for info in infos:
        quota = quota_of(info.name)
        if quota is None or quota.code not in headrooms:
            return None
        largest[quota.code] = max(info.vcpus, largest.get(quota.code, 1))
    return sum(headrooms[code].nodes(vcpus) for code, vcpus in largest.items()) if largest else None


def region_offer(market: RegionMarketData, data: GlobalMarketData, pools: Sequence[PoolOffer]) -> RegionOffer:
    """The region as a whole. `pools` are its pool offers."""
    cheapest = _cheapest_of_zones(pools)
    infos = {pool.pool.type: pool.info for pool in pools}
    ranges = [price for offer in cheapest for price in (offer.low, offer.high) if price is not None]
    return RegionOffer(
        region=market.region,
        usd_per_hour=_mean([offer.usd_per_hour for offer in cheapest]),
        low=min(ranges, default=None),
        high=max(ranges, default=None),
        on_demand_usd_per_hour=_mean([offer.on_demand_usd_per_hour for offer in cheapest]),
        interruption=max(
            (offer.interruption for offer in cheapest if offer.interruption is not None), default=None
        ),
        score=data.scores.get(market.region),
        quota_headroom=quota_headroom(infos.values(), market.headrooms),
        zones=len({pool.pool.zone for pool in pools}),
        pools=len(pools),
        types=tuple(sorted(infos)),
    )


def _cheapest_of_zones(pools: Sequence[PoolOffer]) -> list[PoolOffer]:
    """Of each zone the cheapest pool; zones without any price are left out."""
    by_type: dict[str, PoolOffer] = {}
    for pool in sorted(pools, key=_price_key):
        if pool.usd_per_hour is not None:
            by_type.setdefault(pool.pool.zone, pool)
    return [by_type[zone] for zone in sorted(by_type)]


def _mean(values: Sequence[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) / len(known) if known and len(known) == len(values) else None


class Suitability(IntEnum):
    """The drawbacks of a region, least first."""

    SUITABLE = 0
    LOW_SCORE = 1
    NO_QUOTA = 2
    NO_PRICE = 3  # AWS sells nothing there that is acceptable


def suitability(offer: RegionOffer, nodes: int) -> Suitability:
    """For a region that is to take so many nodes."""
    if offer.usd_per_hour is None:
        return Suitability.NO_PRICE
    if offer.quota_headroom is not None and offer.quota_headroom < max(1, nodes):
        return Suitability.NO_QUOTA
    if offer.score is not None and offer.score <= LOW_SCORE:
        return Suitability.LOW_SCORE
    return Suitability.SUITABLE


def ranked(offers: Iterable[RegionOffer], *, nodes: int) -> tuple[RegionOffer, ...]:
    """Best first, by the rules above."""
    return tuple(
        sorted(
            offers,
            key=lambda offer: (
                suitability(offer, nodes),
                offer.usd_per_hour or 0,
                -(offer.score or 0),
                offer.region,
            ),
        )
    )


def round_up_target(nodes: int) -> int:
    """The number of nodes to ask a score for: 1, 2, 5, 10, 20, 50 … and not below `nodes`.

    AWS limits how many different questions it answers a day: a node more or less is then the same question.
    """
    size = 1
    while True:
        for step in (size, 2 * size, 5 * size):
            if step >= nodes:
                return step
        size *= 10


def fill_missing_scores(scores: Mapping[str, int], regions: Iterable[str]) -> dict[str, int]:
    """`scores`, with inferred scores for regions that an answer left out because ten others are better.

    If even the ten best are low, the others are low too; otherwise they are unknown.
    """
    worst = min(scores.values(), default=HIGHEST_SCORE)
    if len(scores) < HIGHEST_SCORE or worst > LOW_SCORE:
        return dict(scores)
    return {**dict.fromkeys(regions, worst), **scores}


def _price_key(offer: PoolOffer) -> tuple[bool, Decimal, str, str]:
    return (offer.usd_per_hour is None, offer.usd_per_hour or Decimal(0), offer.pool.zone, offer.pool.type)


# Sort keys of offers, best first. `rank` is the order of regions above.
SORTS: Mapping[str, Callable[[OfferMetrics], Decimal | int | None]] = {
    "price": lambda metrics: metrics.usd_per_hour,
    "saving": lambda metrics: None if metrics.saving is None else -metrics.saving,
    "score": lambda metrics: None if metrics.score is None else -metrics.score,
    "interruption": lambda metrics: metrics.interruption,
    "room": lambda metrics: None if metrics.quota_headroom is None else -metrics.quota_headroom,
}


def sort_pools(pools: Iterable[PoolOffer], by: str) -> tuple[PoolOffer, ...]:
    """By a key of SORTS, then by price; unknown values last."""
    key = SORTS[by]
    return tuple(sorted(pools, key=lambda pool: (key(pool) is None, key(pool) or 0, _price_key(pool))))


def sort_regions(regions: Iterable[RegionOffer], by: str) -> tuple[RegionOffer, ...]:
    """`regions` are ranked, and the sort is stable."""
    key = SORTS[by]
    return tuple(sorted(regions, key=lambda region: (key(region) is None, key(region) or 0)))
