"""The average, lowest and highest price of a capacity pool over a period, weighted by time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from bacalhau_spot.core.model import PricePoint

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class PriceStatistics:
    """`average`: weighted by time. `known`: the part of the period with a price; `above`: with a price above the limit."""

    average: Decimal
    low: Decimal
    high: Decimal
    last: Decimal
    known: timedelta
    above: timedelta = timedelta(0)


def price_statistics(
    points: Iterable[PricePoint], *, since: datetime, until: datetime, limit: Decimal | None = None
) -> PriceStatistics | None:
    """Of one pool's prices, in any order. None without a price in the period; `since` is before `until`."""
    spans = [*price_spans(points, since=since, until=until)]
    known = sum((span for span, _ in spans), timedelta(0))
    if not known:
        return None
    weighted = sum((usd * (span // _MICROSECOND) for span, usd in spans), Decimal(0))
    return PriceStatistics(
        average=weighted / (known // _MICROSECOND),
        low=min(usd for _, usd in spans),
        high=max(usd for _, usd in spans),
        last=spans[-1][1],
        known=known,
        above=sum((span for span, usd in spans if limit is not None and usd > limit), timedelta(0)),
    )


def price_spans(
    points: Iterable[PricePoint], *, since: datetime, until: datetime
) -> Iterator[tuple[timedelta, Decimal]]:
    """How long each price was in force within the period. A price from before the period begins with it."""
    steps = sorted(points, key=lambda point: point.since)
    ends = [*(point.since for point in steps), until]
    for step, (start, end) in zip(steps, pairwise(ends), strict=True):
        span = min(end, until) - max(start, since)
        if span > timedelta(0):
            yield span, step.usd_per_hour
