"""Offers of all regions with their prices, quotas and scores: all regions in parallel, with a few calls each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.model import Pool, PricePoint
from bacalhau_spot.core.placement.offers import (
    TYPES_FOR_A_SCORE,
    GlobalMarketData,
    Offers,
    RegionMarketData,
    fits,
    pool_offers,
    ranked,
    region_offer,
)
from bacalhau_spot.engine.aws_calls.cache import NullCache
from bacalhau_spot.engine.aws_calls.caller import api_failure
from bacalhau_spot.engine.aws_calls.discovery import in_all_regions
from bacalhau_spot.engine.placement.market import Types, matching_types
from bacalhau_spot.engine.placement.placement_scores import headrooms, placement_scores

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from bacalhau_spot.core.model import Requirements, TypeInfo
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.cache import Cache
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

T = TypeVar("T")
Rates = dict[str, dict[str, int]]

_WEEK = timedelta(days=7)
_RATES = "interruption-rates"
_RATES_FRESH = timedelta(days=1)  # AWS updates the file about once a day


@dataclass(frozen=True, slots=True)
class OffersQuery:
    """The query: types by name, by requirements, or both. `nodes`: the number of nodes for one region.

    `described_in`: the regions to describe the types, if one of them is asked about.
    """

    types: tuple[str, ...] = ()
    requirements: Requirements | None = None
    nodes: int = 1
    described_in: tuple[str, ...] = ()


@dataclass(slots=True)
class _MarketScan:
    """The state of a running scan."""

    calls: AwsCalls
    query: OffersQuery
    account: str
    cache: Cache = field(default_factory=NullCache)
    partial_failures: list[ApiFailure] = field(default_factory=list)

    async def optional(self, part: Awaitable[T], otherwise: T) -> T:
        """A part that the answer does not need: a refusal is recorded, and `otherwise` is returned."""
        try:
            return await part
        except CloudError as error:
            self.partial_failures.append(api_failure(error))
            return otherwise


async def all_offers(
    calls: AwsCalls,
    query: OffersQuery,
    *,
    regions: Sequence[str],
    account: str,
    cache: Cache,
    rates: Callable[[], Awaitable[Rates | None]],
) -> Offers:
    """Everything about all pools and regions. Raises CloudError only when the credentials are refused in every region."""
    look = _MarketScan(calls, query, account, cache)
    types, infos, unseen = await _select_types(look, regions)
    answers, on_demand, scores, interruptions = await asyncio.gather(
        in_all_regions(
            list(types), lambda region: _region_data(look, region, types[region].names, infos, span=_WEEK)
        ),
        look.optional(calls.read("", partial(calls.cloud.on_demand_prices, list(types), sorted(infos))), {}),
        _scores(look, types),
        _interruptions(cache, rates),
    )
    seen, blind = answers
    known = GlobalMarketData(infos, on_demand, interruptions, scores)
    pools = {region: pool_offers(data, known) for region, data in seen.items()}
    return Offers(
        nodes=query.nodes,
        pools=tuple(offer for pool in pools.values() for offer in pool),
        regions=ranked(
            (region_offer(data, known, pools[region]) for region, data in seen.items() if pools[region]),
            nodes=query.nodes,
        ),
        regions_scanned=tuple(seen),
        failed_regions=(*unseen, *blind),
        partial_failures=tuple(look.partial_failures),
        notes=_notes(types, rates_known=bool(interruptions)),
    )


async def region_offers(
    calls: AwsCalls, query: OffersQuery, *, regions: Sequence[str], account: str, cache: Cache
) -> Offers:
    """Only prices, quotas and scores, to choose regions. Three calls per region, two for all. Raises as `all_offers`."""
    look = _MarketScan(calls, query, account, cache)
    types, infos, unseen = await _select_types(look, regions)
    (seen, blind), scores = await asyncio.gather(
        in_all_regions(
            list(types), lambda region: _region_data(look, region, types[region].names, infos, span=None)
        ),
        _scores(look, types),
    )
    known = GlobalMarketData(infos, scores=scores)
    return Offers(
        nodes=query.nodes,
        regions=ranked(
            (region_offer(data, known, pool_offers(data, known)) for data in seen.values()), nodes=query.nodes
        ),
        regions_scanned=tuple(seen),
        failed_regions=(*unseen, *blind),
        partial_failures=tuple(look.partial_failures),
    )


async def _select_types(
    scan: _MarketScan, regions: Sequence[str]
) -> tuple[dict[str, Types], dict[str, TypeInfo], tuple[ApiFailure, ...]]:
    """The acceptable types of each region that answered, their descriptions, and the failures of the other regions."""
    types, unseen = await in_all_regions(regions, partial(_types, scan))
    infos, blind = await _infos(scan, types)
    dark = {failure.region for failure in blind}
    seen = {region: here for region, here in types.items() if region not in dark}
    return seen, infos, (*unseen, *blind)


async def _types(scan: _MarketScan, region: str) -> Types:
    """The named types, or the cheapest of those that meet the requirements, because AWS returns hundreds."""
    calls, query = scan.calls, scan.query
    if query.types or query.requirements is None:
        return Types(query.types, query.types)
    return await matching_types(calls, query.requirements, region)


async def _infos(
    scan: _MarketScan, types: Mapping[str, Types]
) -> tuple[dict[str, TypeInfo], tuple[ApiFailure, ...]]:
    """The types by name that meet the requirements; and the failures of regions without a described type.

    A type is the same everywhere: the first region, a configured one, describes its types, the other regions describe the rest.
    """
    infos: dict[str, TypeInfo] = {}
    failures: list[ApiFailure] = []
    order = sorted(types, key=lambda region: region not in scan.query.described_in)
    for regions in (order[:1], order[1:]):
        missing = {name for here in types.values() for name in here.names} - set(infos)
        if missing:
            failures += await _describe(scan, sorted(missing), regions, into=infos)
    undescribed = tuple(
        failure for failure in failures if infos.keys().isdisjoint(types[failure.region].names)
    )
    requirements = scan.query.requirements
    return {
        name: info for name, info in infos.items() if requirements is None or fits(info, requirements)
    }, undescribed


async def _describe(
    scan: _MarketScan, names: Sequence[str], regions: Sequence[str], *, into: dict[str, TypeInfo]
) -> tuple[ApiFailure, ...]:
    """Adds the types to `into`; returns the failures by region."""

    async def described(region: str) -> tuple[TypeInfo, ...]:
        return await scan.calls.read(region, partial(scan.calls.cloud.types, region, names))

    found, failures = await in_all_regions(regions, described)
    into.update({info.name: info for here in found.values() for info in here})
    return failures


async def _region_data(
    scan: _MarketScan,
    region: str,
    names: Iterable[str],
    infos: Mapping[str, TypeInfo],
    *,
    span: timedelta | None,
) -> RegionMarketData:
    """With a `span`, its price history and every pool; otherwise the current prices and the priced pools."""
    here = {name: infos[name] for name in names if name in infos}
    if not here:
        return RegionMarketData(region)
    pools, history, room = await asyncio.gather(
        _pools(scan, region, sorted(here)) if span else _no_rates(),
        _history(scan, region, sorted(here), span=span or timedelta(0)),
        scan.optional(headrooms(scan.calls, region, here), {}),
    )
    priced = {(point.type, point.zone) for point in history}
    found = tuple(Pool(type=name, zone=zone) for name, zone in (pools if span else sorted(priced)))
    return RegionMarketData(region, found, history, room)


async def _no_rates() -> tuple[tuple[str, str], ...]:
    return ()


async def _pools(scan: _MarketScan, region: str, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return await scan.calls.read(region, partial(scan.calls.cloud.pools, region, names))


async def _history(
    scan: _MarketScan, region: str, names: Sequence[str], *, span: timedelta
) -> tuple[PricePoint, ...]:
    now = scan.calls.clock.now()
    return await scan.calls.read(
        region, partial(scan.calls.cloud.spot_history, region, names, since=now - span, until=now)
    )


async def _scores(scan: _MarketScan, types: Mapping[str, Types]) -> dict[str, int]:
    scores = await placement_scores(
        scan.calls,
        scan.cache,
        account=scan.account,
        types=_per_type(types),
        nodes=scan.query.nodes,
        regions=list(types),
    )
    if scores.problem is not None:
        scan.partial_failures.append(scores.problem)
    return dict(scores.by_region)


def _per_type(types: Mapping[str, Types]) -> set[str]:
    return {name for here in types.values() for name in here.all_of_them}


async def _interruptions(
    cache: Cache, rates: Callable[[], Awaitable[Rates | None]]
) -> dict[tuple[str, str], int]:
    """Empty if they are not available."""
    found = _remembered_rates(cache)
    if found is None:
        found = await rates()
        if found is not None:
            cache.put(_RATES, "linux", found)
    return {(region, name): band for region, here in (found or {}).items() for name, band in here.items()}


def _remembered_rates(cache: Cache) -> Rates | None:
    """None also for a file that somebody has edited."""
    found = cache.get(_RATES, "linux", max_age=_RATES_FRESH)
    if not isinstance(found, dict):
        return None
    rows = [row for here in found.values() for row in (here.values() if isinstance(here, dict) else [None])]
    return found if all(type(row) is int for row in rows) else None


def _notes(types: Mapping[str, Types], *, rates_known: bool) -> tuple[str, ...]:
    remarks = []
    if 0 < len(_per_type(types)) < TYPES_FOR_A_SCORE:
        remarks.append(f"no placement scores: AWS scores {TYPES_FOR_A_SCORE} instance types or more")
    if not rates_known:
        remarks.append("no interruption rates: AWS's public file could not be read")
    return tuple(remarks)
