"""Costs by price history, against arithmetic written out, and what must hold of any history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.model import PricePoint
from bacalhau_spot.core.pricing.backtest import Period, backtest_cost

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
END = NOON + timedelta(hours=4)
LISTED = {"t3.medium": Decimal("0.04"), "m6a.large": Decimal("0.09")}


def point(kind: str, zone: str, hours: float, usd: str) -> PricePoint:
    return PricePoint(kind, f"us-east-1{zone}", NOON + timedelta(hours=hours), Decimal(usd))


# Zone a: t3 0.010, from the third hour on 0.030. Zone b: t3 0.020, and m6a 0.050 all the time.
HISTORY = (
    point("t3.medium", "a", -3, "0.010"),
    point("t3.medium", "a", 2, "0.030"),
    point("t3.medium", "b", -3, "0.020"),
    point("m6a.large", "b", -3, "0.050"),
)


def test_a_range_and_a_typical_cost() -> None:
    """Three nodes for four hours: the cheapest, the mean of each zone's cheapest, the most expensive pool at each moment."""
    cost = backtest_cost(HISTORY, nodes=3, on_demand=LISTED, period=Period(NOON, END))
    assert cost is not None
    assert cost.low == 3 * (2 * Decimal("0.010") + 2 * Decimal("0.020"))
    assert cost.typical == 3 * (2 * Decimal("0.015") + 2 * Decimal("0.025"))
    assert cost.high == 3 * 4 * Decimal("0.050")
    assert (cost.average, cost.lowest, cost.highest) == (Decimal("0.02"), Decimal("0.010"), Decimal("0.050"))
    assert cost.on_demand == 3 * 4 * Decimal("0.04")
    assert cost.saving == Decimal("0.5")
    assert (cost.known, cost.above) == (timedelta(hours=4), timedelta(0))


def test_pools_above_the_maximum_price_do_not_count() -> None:
    """Under 0.015 a node ran for two hours in zone a; then no pool was allowed, and nothing cost anything."""
    period = Period(NOON, END, Decimal("0.015"))
    cost = backtest_cost(HISTORY, nodes=1, on_demand=LISTED, period=period)
    assert cost is not None
    assert cost.low == cost.typical == cost.high == Decimal("0.020")
    assert (cost.above, cost.known) == (timedelta(hours=2), timedelta(hours=4))
    assert cost.on_demand == 2 * Decimal("0.04")


def test_time_without_a_price_is_unknown() -> None:
    cost = backtest_cost(
        [point("t3.medium", "a", 1, "0.010")], nodes=1, on_demand={}, period=Period(NOON, END)
    )
    assert cost is not None
    assert (cost.known, cost.typical, cost.on_demand) == (timedelta(hours=3), Decimal("0.030"), None)
    assert backtest_cost([], nodes=1, on_demand={}, period=Period(NOON, END)) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["t3.medium", "m6a.large"]),
            st.sampled_from("abc"),
            st.integers(-99, 99),
            st.integers(1, 9999),
        ),
        min_size=1,
    ),
    st.none() | st.integers(1, 9999),
)
def test_typical_lies_in_the_range(rows: list[tuple[str, str, int, int]], limit: int | None) -> None:
    points = [point(kind, zone, hours, str(Decimal(usd) / 10_000)) for kind, zone, hours, usd in rows]
    bound = None if limit is None else Decimal(limit) / 10_000
    cost = backtest_cost(points, nodes=2, on_demand=LISTED, period=Period(NOON, END, bound))
    if cost is not None:
        slack = Decimal("1e-18")
        assert cost.low - slack <= cost.typical <= cost.high + slack
        assert timedelta(0) <= cost.above <= cost.known <= END - NOON
        assert bound is None or cost.high <= bound * 8
