"""Spot price history as lines of a chart: a step line for each pool, with marks for the cluster's instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from decimal import Decimal

    from bacalhau_spot.core.model import PricePoint
    from bacalhau_spot.core.pricing.cost import Usage

# A reader cannot distinguish more lines, and no palette for colour-blind readers has more colours.
MAX_LINES = 8


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One pool's price: from each time until the next; the last one until the end of the chart."""

    region: str
    zone: str
    type: str
    steps: tuple[tuple[datetime, Decimal], ...]

    @property
    def name(self) -> str:
        return f"{self.type} {self.zone}"

    @property
    def last(self) -> Decimal:
        return self.steps[-1][1]

    def at(self, moment: datetime) -> Decimal:
        """The price in force; before the first step the first."""
        held = [usd for since, usd in self.steps if since <= moment]
        return held[-1] if held else self.steps[0][1]


@dataclass(frozen=True, slots=True)
class InterruptionMark:
    """Launches or interruptions of `count` instances of a pool: `launched` or `taken back`."""

    line: PriceLine
    moment: datetime
    label: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class PriceChart:
    """A chart from `since` to `now`. `omitted_lines`: pools beyond the maximum number of lines."""

    cluster: str
    since: datetime
    now: datetime
    lines: tuple[PriceLine, ...] = ()
    interruptions: tuple[InterruptionMark, ...] = ()
    omitted_lines: int = 0

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(sorted({line.region for line in self.lines}))


def price_chart_of(
    cluster: str,
    points: Mapping[str, Iterable[PricePoint]],
    usages: Iterable[Usage],
    *,
    since: datetime,
    now: datetime,
) -> PriceChart:
    """The lines of these pools; of each region the cheapest where there are too many."""
    lines: list[PriceLine] = []
    left_out = 0
    for region, found in sorted(points.items()):
        here = sorted(_lines(region, found, since=since), key=lambda line: (line.last, line.name))
        lines += here[:MAX_LINES]
        left_out += max(0, len(here) - MAX_LINES)
    return PriceChart(cluster, since, now, tuple(lines), _marks(lines, usages, since=since), left_out)


def _lines(region: str, points: Iterable[PricePoint], *, since: datetime) -> list[PriceLine]:
    steps: dict[tuple[str, str], list[tuple[datetime, Decimal]]] = {}
    for point in sorted(points, key=lambda point: point.since):
        # The price that was in force at the beginning came before it: its line begins there.
        steps.setdefault((point.zone, point.type), []).append((max(point.since, since), point.usd_per_hour))
    return [PriceLine(region, zone, type_name, tuple(found)) for (zone, type_name), found in steps.items()]


def _marks(
    lines: Iterable[PriceLine], usages: Iterable[Usage], *, since: datetime
) -> tuple[InterruptionMark, ...]:
    by_pool = {(line.zone, line.type): line for line in lines}
    counts: dict[tuple[str, str, datetime, str], int] = {}
    for usage in usages:
        ends = ((usage.ended_at, "taken back"),) if usage.interrupted else ()
        for moment, what in ((usage.started_at, "launched"), *ends):
            if moment is not None and moment >= since and (usage.zone, usage.type) in by_pool:
                key = (usage.zone, usage.type, moment, what)
                counts[key] = counts.get(key, 0) + 1
    return tuple(
        InterruptionMark(by_pool[zone, type_name], moment, what, count)
        for (zone, type_name, moment, what), count in sorted(counts.items())
    )
