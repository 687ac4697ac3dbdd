"""Averages of prices over time, against arithmetic written out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.model import PricePoint
from bacalhau_spot.core.pricing.price_statistics import price_statistics

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def point(hours: float, usd: str) -> PricePoint:
    return PricePoint("t3.medium", "us-east-1a", NOON + timedelta(hours=hours), Decimal(usd))


def test_each_price_counts_for_the_time_that_it_was_in_force() -> None:
    """0.010 from before the period for two hours, 0.040 for one hour, 0.020 for one hour."""
    points = [point(3, "0.020"), point(-5, "0.010"), point(2, "0.040"), point(4, "9")]
    found = price_statistics(points, since=NOON, until=NOON + timedelta(hours=4), limit=Decimal("0.015"))
    assert found is not None
    assert found.average == Decimal("0.020")
    assert (found.low, found.high, found.last) == (Decimal("0.010"), Decimal("0.040"), Decimal("0.020"))
    assert (found.known, found.above) == (timedelta(hours=4), timedelta(hours=2))


def test_time_before_the_first_price_is_unknown() -> None:
    """It counts neither in the average nor as above the limit; a limit that is met is not exceeded."""
    found = price_statistics(
        [point(1, "0.030")], since=NOON, until=NOON + timedelta(hours=4), limit=Decimal("0.030")
    )
    assert found is not None
    assert (found.average, found.known, found.above) == (Decimal("0.030"), timedelta(hours=3), timedelta(0))


def test_no_price_in_the_period_is_no_result() -> None:
    until = NOON + timedelta(hours=4)
    assert price_statistics([], since=NOON, until=until) is None
    assert price_statistics([point(5, "0.010")], since=NOON, until=until) is None


@given(st.lists(st.tuples(st.integers(-500, 500), st.integers(1, 10**6)), min_size=1), st.integers(1, 400))
def test_the_average_lies_between_the_extremes(rows: list[tuple[int, int]], hours: int) -> None:
    """And all times lie in the period."""
    points = [point(at, str(Decimal(usd) / 10**6)) for at, usd in rows]
    period = timedelta(hours=hours)
    found = price_statistics(points, since=NOON, until=NOON + period, limit=Decimal("0.5"))
    if found is not None:
        assert found.low <= found.average.quantize(Decimal("1e-12")) <= found.high
        assert timedelta(0) <= found.above <= found.known <= period
