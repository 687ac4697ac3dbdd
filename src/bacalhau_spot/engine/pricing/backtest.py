"""Reads AWS's price history for a backtest: of the configured regions, and of the best others by today's prices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.core.model import RegionSpec
from bacalhau_spot.core.placement.demand import nodes_by_region
from bacalhau_spot.core.pricing.backtest import Backtest, BacktestRow, backtest_cost
from bacalhau_spot.core.pricing.list_prices import HOURS_A_MONTH
from bacalhau_spot.engine.aws_calls.discovery import check_permitted, in_all_regions
from bacalhau_spot.engine.placement.market import acceptable_types, matching_types
from bacalhau_spot.engine.pricing.prices import pool_prices, price_history, rates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.core.model import ClusterSpec, PricePoint
    from bacalhau_spot.core.pricing.backtest import Period
    from bacalhau_spot.core.pricing.cost import Rates
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.placement.offers import OffersQuery

# The history of a type is a page of AWS's answer for every few weeks and zones: more types add calls and no insight.
MAX_TYPES = 10


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A region with its types and the price of a typical node now; None: not offered there."""

    region: str
    types: tuple[str, ...]
    usd_per_hour: Decimal | None


async def backtest(
    calls: AwsCalls,
    spec: ClusterSpec,
    query: OffersQuery,
    *,
    regions: Sequence[str],
    period: Period,
    alternatives: int,
) -> tuple[Backtest, tuple[ApiFailure, ...]]:
    """`query`: the types of the alternatives; `regions`: those of the alternatives; the configured ones are added.

    One call a region for today's prices, two for all list prices, and the history of the configured regions and of
    `alternatives` others. Returns AWS's refusals. Raises CloudError if the credentials are refused.
    """
    look = list(dict.fromkeys([*(region.name for region in spec.regions), *regions]))
    found, unseen = await in_all_regions(look, partial(_candidate, calls, spec, query))
    check_permitted(found, unseen)
    scope = _scope(spec, found, alternatives)
    read = scope.read
    names = [each.region for each in read]
    history, silent = await price_history(
        calls,
        {each.region: [(name, "") for name in each.types] for each in read},
        since=dict.fromkeys(names, period.since),
        now=period.until,
    )
    listed, refused = await rates(calls, regions=sorted(names), types=sorted(scope.types))
    return _result(spec, scope, _Pricing(history, listed, period)), (*unseen, *silent, *refused)


@dataclass(frozen=True, slots=True)
class _Scope:
    """`configured`: the nodes by region; `others`: alternatives; `left`: further ones, not read."""

    found: Mapping[str, _Candidate]
    configured: Mapping[str, int]
    others: tuple[_Candidate, ...]
    left: int
    automatic: bool

    @property
    def read(self) -> tuple[_Candidate, ...]:
        return (*(self.found[name] for name in self.configured if name in self.found), *self.others)

    @property
    def types(self) -> set[str]:
        return {name for each in self.read for name in each.types}

    @property
    def nodes(self) -> int:
        return sum(self.configured.values())


def _scope(spec: ClusterSpec, found: Mapping[str, _Candidate], alternatives: int) -> _Scope:
    """For `regions: auto`, the regions that are the cheapest today stand for the configuration."""
    offered = sorted(filter(_is_offered, found.values()), key=_by_price)
    automatic = spec.auto_regions is not None and not spec.regions
    if automatic:
        cheapest = sorted(each.region for each in offered[: spec.auto_regions])
        spec = replace(spec, regions=tuple(map(RegionSpec, cheapest)))
    configured = {name: count for name, count in nodes_by_region(spec).items() if count}
    others = [each for each in offered if each.region not in configured]
    return _Scope(
        found, configured, tuple(others[:alternatives]), max(0, len(others) - alternatives), automatic
    )


def _is_offered(candidate: _Candidate) -> bool:
    return candidate.usd_per_hour is not None


def _by_price(candidate: _Candidate) -> tuple[Decimal, str]:
    return candidate.usd_per_hour or Decimal(0), candidate.region


def _result(spec: ClusterSpec, scope: _Scope, price: _Pricing) -> Backtest:
    alternatives = [price.row(each.region, each.types, scope.nodes) for each in scope.others]
    return Backtest(
        period=price.period,
        nodes=scope.nodes,
        configured=tuple(
            price.row(name, scope.found[name].types if name in scope.found else (), count)
            for name, count in scope.configured.items()
        ),
        alternatives=tuple(sorted(alternatives, key=_by_cost)),
        types=tuple(
            price.row(each.region, (name,), scope.configured.get(each.region, scope.nodes))
            for each in scope.read
            for name in each.types
        ),
        fixed_usd=_fixed_usd(spec, scope.configured, price.rates, price.period),
        others=scope.left,
        notes=("`regions: auto`: the regions with the lowest prices today stand for the configuration",)
        if scope.automatic
        else (),
    )


def _by_cost(row: BacktestRow) -> tuple[bool, Decimal, str]:
    return row.cost is None, Decimal(0) if row.cost is None else row.cost.typical, row.region


async def _candidate(calls: AwsCalls, spec: ClusterSpec, query: OffersQuery, region: str) -> _Candidate:
    names = await _types_of(calls, spec, query, region)
    prices = await pool_prices(calls, region, names) if names else {}
    zones: dict[str, Decimal] = {}
    by_type: dict[str, Decimal] = {}
    for (_, name, zone), usd in prices.items():
        zones[zone] = min(zones.get(zone, usd), usd)
        by_type[name] = min(by_type.get(name, usd), usd)
    cheapest = tuple(sorted(by_type, key=lambda name: (by_type[name], name))[:MAX_TYPES])
    typical = sum(zones.values(), Decimal(0)) / len(zones) if zones else None
    return _Candidate(region, cheapest, typical)


async def _types_of(calls: AwsCalls, spec: ClusterSpec, query: OffersQuery, region: str) -> tuple[str, ...]:
    """Of a configured region those of the configuration, elsewhere those of the query."""
    named = {each.name: each for each in spec.regions}
    if region in named:
        return await acceptable_types(calls, spec, named[region], region)
    if query.types or query.requirements is None:
        return query.types
    return (await matching_types(calls, query.requirements, region)).names


@dataclass(frozen=True, slots=True)
class _Pricing:
    history: Mapping[str, Sequence[PricePoint]]
    rates: Rates
    period: Period

    def row(self, region: str, types: Sequence[str], nodes: int) -> BacktestRow:
        points = [point for point in self.history.get(region, ()) if point.type in types]
        on_demand = {
            name: usd
            for (where, name), usd in self.rates.on_demand.items()
            if where == region and name in types
        }
        cost = backtest_cost(points, nodes=nodes, on_demand=on_demand, period=self.period)
        return BacktestRow(region, tuple(types), nodes, cost)


def _fixed_usd(spec: ClusterSpec, nodes: Mapping[str, int], listed: Rates, period: Period) -> Decimal:
    """Volumes and addresses of the nodes for the whole period."""
    hours = Decimal(int((period.until - period.since).total_seconds())) / 3600
    total = Decimal(0)
    for region, count in nodes.items():
        volume = listed.gib_month_of(region) * spec.instance.root_volume_gib / HOURS_A_MONTH
        address = listed.address_hour if spec.instance.public_ip else Decimal(0)
        total += (volume + address) * count * hours
    return total
