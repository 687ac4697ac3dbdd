"""The cost of a number of nodes by AWS's price history: in the pools that a fleet could have chosen from.

Rules:
1. AWS chooses the pools, so a cost is a range: at each moment from the cheapest to the most expensive pool. The typical cost
   is the mean, over the zones, of each zone's cheapest pool, as in `offers` (core/placement/offers.py).
2. Pools above the maximum price are not launched: they do not count. A time in which all pools are above it costs nothing,
   because nothing would have run, and counts as `above`.
3. A time before the first known price counts as unknown, not as free: sums are of the known time, and `known` is its length.
4. AWS publishes prices, not capacity: nothing here says that the nodes could have been launched, or would not have been
   interrupted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import PricePoint

_MICROSECOND = timedelta(microseconds=1)
_HOUR = timedelta(hours=1)
_ZERO = Decimal(0)
# A zone and a type.
_PoolKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class BacktestCost:
    """Of all nodes together, in USD; `average`, `lowest` and `highest`: of one instance, in USD per hour.

    `average`: typical, weighted by time. `on_demand` None: unknown. `above`: the time in which every pool was above the
    maximum price; of a sum, the longest of its parts.
    """

    nodes: int
    low: Decimal
    typical: Decimal
    high: Decimal
    average: Decimal
    lowest: Decimal
    highest: Decimal
    on_demand: Decimal | None
    known: timedelta
    above: timedelta = timedelta(0)

    @property
    def saving(self) -> Decimal | None:
        return 1 - self.typical / self.on_demand if self.on_demand else None


@dataclass(frozen=True, slots=True)
class BacktestRow:
    """One region with these types. `cost` None: AWS returned no price for them in the period."""

    region: str
    types: tuple[str, ...]
    nodes: int
    cost: BacktestCost | None


@dataclass(frozen=True, slots=True)
class Period:
    """`limit`: the maximum price of one instance."""

    since: datetime
    until: datetime
    limit: Decimal | None = None


def backtest_cost(
    points: Sequence[PricePoint], *, nodes: int, on_demand: Mapping[str, Decimal], period: Period
) -> BacktestCost | None:
    """Of `nodes` in one region's pools. `on_demand`: USD per hour by type. None without a price in the period."""
    if not points:
        return None
    sums = _Sums()
    for span, prices in _moments(points, period):
        sums.add(span, prices, period.limit)
    if not sums.known:
        return None
    hour = _HOUR // _MICROSECOND
    running = (sums.known - sums.above) // _MICROSECOND
    cheapest = _cheapest_on_demand(points, on_demand)
    return BacktestCost(
        nodes=nodes,
        low=sums.low * nodes / hour,
        typical=sums.typical * nodes / hour,
        high=sums.high * nodes / hour,
        average=sums.typical / running if running else Decimal(0),
        lowest=sums.lowest or Decimal(0),
        highest=sums.highest or Decimal(0),
        on_demand=None if cheapest is None else cheapest * running * nodes / hour,
        known=sums.known,
        above=sums.above,
    )


def _cheapest_on_demand(points: Iterable[PricePoint], on_demand: Mapping[str, Decimal]) -> Decimal | None:
    """The cheapest type does the same work: the harder comparison. None if a type has no list price."""
    types = {point.type for point in points}
    return min(on_demand[name] for name in types) if types <= on_demand.keys() else None


class _Sums:
    """Price times microseconds, and times, while the period is read in order."""

    def __init__(self) -> None:
        self.low = self.typical = self.high = Decimal(0)
        self.lowest: Decimal | None = None
        self.highest: Decimal | None = None
        self.known = self.above = timedelta(0)

    def add(self, span: timedelta, prices: Mapping[_PoolKey, Decimal], limit: Decimal | None) -> None:
        self.known += span
        every = prices.values()
        self.lowest = min(every) if self.lowest is None else min(self.lowest, *every)
        self.highest = max(every) if self.highest is None else max(self.highest, *every)
        usable = {pool: usd for pool, usd in prices.items() if limit is None or usd <= limit}
        if not usable:
            self.above += span
            return
        weight = span // _MICROSECOND
        zones: dict[str, Decimal] = {}
        for (zone, _), usd in usable.items():
            zones[zone] = min(zones.get(zone, usd), usd)
        self.low += min(usable.values()) * weight
        self.typical += sum(zones.values(), Decimal(0)) / len(zones) * weight
        self.high += max(usable.values()) * weight


def _moments(
    points: Iterable[PricePoint], period: Period
) -> Iterator[tuple[timedelta, Mapping[_PoolKey, Decimal]]]:
    """How long each combination of prices was in force within the period. A pool counts from its first known price on."""
    steps = sorted(points, key=lambda point: point.since)
    ends = [*(step.since for step in steps), period.until]
    prices: dict[_PoolKey, Decimal] = {}
    for step, (start, end) in zip(steps, pairwise(ends), strict=True):
        prices[step.zone, step.type] = step.usd_per_hour
        span = min(end, period.until) - max(start, period.since)
        if span > timedelta(0):
            yield span, prices


def backtest_total(rows: Sequence[BacktestRow]) -> BacktestCost | None:
    """The sum of rows with a cost; None if a row has none."""
    costs = [row.cost for row in rows if row.cost is not None]
    return reduce(_plus, costs) if costs and len(costs) == len(rows) else None


def _plus(left: BacktestCost, right: BacktestCost) -> BacktestCost:
    known = left.on_demand is not None and right.on_demand is not None
    nodes = left.nodes + right.nodes
    return BacktestCost(
        nodes=nodes,
        low=left.low + right.low,
        typical=left.typical + right.typical,
        high=left.high + right.high,
        average=(left.average * left.nodes + right.average * right.nodes) / nodes,
        lowest=min(left.lowest, right.lowest),
        highest=max(left.highest, right.highest),
        on_demand=(left.on_demand or _ZERO) + (right.on_demand or _ZERO) if known else None,
        known=min(left.known, right.known),
        above=max(left.above, right.above),
    )


@dataclass(frozen=True, slots=True)
class Backtest:
    """`configured`: a row for each region of the configuration; `alternatives`: all nodes in one other region, the cheapest
    first; `types`: each region of both with one type alone.

    `others`: further regions with offers, whose history was not read. `fixed_usd`: volumes and public addresses of the
    configured nodes over the period.
    """

    period: Period
    nodes: int
    configured: tuple[BacktestRow, ...]
    alternatives: tuple[BacktestRow, ...]
    types: tuple[BacktestRow, ...]
    fixed_usd: Decimal = Decimal(0)
    others: int = 0
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> BacktestCost | None:
        return backtest_total(self.configured)

    @property
    def best(self) -> BacktestRow | None:
        """The cheapest alternative, if it is cheaper than the configuration."""
        total = self.total
        first = next((row for row in self.alternatives if row.cost is not None), None)
        if total is None or first is None or first.cost is None or first.cost.typical >= total.typical:
            return None
        return first
