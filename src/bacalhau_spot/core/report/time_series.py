"""A cluster over time: the nodes in each region, and the cost beside the on-demand price.

Rules:
1. Both come from the usage behind `cost` (core/pricing/usage_history.py): the last point is the total of `cost`.
2. The series begins with the first usage in the window, so that a young cluster fills the chart.
3. A node without a recorded end counts until it was last seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from bacalhau_spot.core.pricing.cost import charge, sum_charges

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.core.pricing.cost import CostTotal, PriceSteps, Rates, Usage, Window

# More points show nothing more at the width of a page.
_MOST_POINTS = 96
_STEPS = (
    *(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12)),
)
_DAY = timedelta(days=1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NodeCount:
    """The number of nodes in each region from `at` on; of every region in each point."""

    at: datetime
    nodes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CostPoint:
    """The cost from the beginning of the series until `at`. `on_demand_usd` None: a price is unknown.

    `complete` False: hours without a known spot price are missing.
    """

    at: datetime
    usd: Decimal
    on_demand_usd: Decimal | None
    complete: bool = True


def series_start(usages: Sequence[Usage], window: Window) -> datetime:
    """The first launch, or the beginning of the window if that is later; without usage, the end of the window."""
    first = min((usage.started_at for usage in usages), default=window.now)
    return max(first, window.since or first)


def node_counts(usages: Sequence[Usage], window: Window) -> tuple[NodeCount, ...]:
    """A point at the start, at each launch and end of a node, and now."""
    nodes = [usage for usage in usages if usage.type and not usage.orchestrator]
    if not nodes:
        return ()
    regions = sorted({usage.region for usage in nodes})
    return tuple(
        NodeCount(at, {region: _present(nodes, region, at) for region in regions})
        for at in _changes(nodes, window)
    )


def _changes(nodes: Sequence[Usage], window: Window) -> list[datetime]:
    start = series_start(nodes, window)
    ends = [usage.ended_at for usage in nodes if usage.ended_at is not None]
    moments = {start, window.now, *(usage.started_at for usage in nodes), *ends}
    return sorted(at for at in moments if start <= at <= window.now)


def _present(nodes: Sequence[Usage], region: str, at: datetime) -> int:
    return sum(
        usage.region == region and usage.started_at <= at and (usage.ended_at is None or at < usage.ended_at)
        for usage in nodes
    )


def cost_points(
    usages: Sequence[Usage], steps: PriceSteps, rates: Rates, window: Window
) -> tuple[CostPoint, ...]:
    """The sum at each point of time, from zero at the start."""
    if not usages:
        return ()
    # Of a usage without an end, the billed minimum would count again in each part.
    ended = [replace(usage, ended_at=usage.end(window.now)) for usage in usages]
    times = _times(series_start(usages, window), window.now)
    usd, on_demand, complete = Decimal(0), _zero(), True
    points = [CostPoint(times[0], usd, on_demand)]
    for begin, end in pairwise(times):
        part = replace(window, since=begin, now=end)
        total = _part_total(ended, steps, rates, part, last=end == window.now)
        usd += total.usd
        on_demand = (
            None if on_demand is None or total.on_demand_usd is None else on_demand + total.on_demand_usd
        )
        complete = complete and not total.unpriced_s
        points.append(CostPoint(end, usd, on_demand, complete))
    return tuple(points)


def _part_total(
    usages: Sequence[Usage], steps: PriceSteps, rates: Rates, part: Window, *, last: bool
) -> CostTotal:
    """A usage that begins with the end of a part counts in the next one."""
    begin = part.since
    return sum_charges(
        charge(usage, steps, rates, part)
        for usage in usages
        if (last or usage.started_at < part.now) and (begin is None or usage.end(part.now) >= begin)
    )


def _zero() -> Decimal | None:
    return Decimal(0)


def _times(start: datetime, now: datetime) -> list[datetime]:
    """The start, round times between, and the end."""
    step = _step(now - start)
    first = start + (_EPOCH - start) % step
    between = (first + number * step for number in range(_MOST_POINTS + 1))
    return [start, *(at for at in between if start < at < now), now]


def _step(span: timedelta) -> timedelta:
    """The shortest that gives few enough points."""
    for step in _STEPS:
        if span <= step * _MOST_POINTS:
            return step
    return _DAY * max(1, -(-span // (_DAY * _MOST_POINTS)))
