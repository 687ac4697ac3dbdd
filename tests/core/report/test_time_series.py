"""Nodes and costs over time: the points of a known life, and the agreement with the totals for any life."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.pricing.cost import PriceSteps, Rates, Usage, Window, charge, sum_charges
from bacalhau_spot.core.report.time_series import cost_points, node_counts
from support.costs import LIVES, NOON, RATES, STEPS

HOURS = st.integers(0, 3000).map(lambda minutes: timedelta(minutes=minutes))


def life(number: int, begun: timedelta, length: timedelta | None, *, interrupted: bool = False) -> Usage:
    start = NOON - begun
    end = None if length is None else min(NOON, start + length)
    return Usage(
        f"i-{number}",
        *("us-east-1", "us-east-1a", "t3.medium"),
        start,
        end,
        interrupted=interrupted and end is not None,
        volume_gib=20,
    )


def test_a_point_at_each_launch_and_end() -> None:
    """Of nodes only, with every region in each; the last one is now."""
    orchestrator = replace(LIVES[0], id="i-9", orchestrator=True, spot=False)
    points = node_counts((*LIVES, orchestrator), Window(now=NOON))
    assert [(NOON - point.at, dict(point.nodes)) for point in points] == [
        (timedelta(hours=26.5), {"eu-west-1": 2, "us-east-1": 2}),
        (timedelta(hours=26), {"eu-west-1": 2, "us-east-1": 1}),
        (timedelta(hours=25.9), {"eu-west-1": 2, "us-east-1": 2}),
        (timedelta(hours=2), {"eu-west-1": 1, "us-east-1": 2}),
        (timedelta(0), {"eu-west-1": 1, "us-east-1": 2}),
    ]


def test_a_window_begins_with_the_nodes_that_run_then() -> None:
    points = node_counts(LIVES, Window(now=NOON, since=NOON - timedelta(hours=3)))
    assert points[0].at == NOON - timedelta(hours=3)
    assert dict(points[0].nodes) == {"eu-west-1": 2, "us-east-1": 2}


def test_without_usage_there_are_no_points() -> None:
    assert node_counts((), Window(now=NOON)) == ()
    assert cost_points((), STEPS, RATES, Window(now=NOON)) == ()


def test_an_unknown_price_is_no_number() -> None:
    """Without list prices there is no on-demand line; without spot prices the sum is not complete."""
    points = cost_points(LIVES, PriceSteps({}), Rates(), Window(now=NOON))
    assert points[-1].on_demand_usd is None
    assert not points[-1].complete


@given(
    st.lists(st.tuples(HOURS, st.none() | HOURS, st.booleans()), min_size=1, max_size=6),
    st.none() | HOURS,
)
def test_the_last_point_is_the_total(
    lives: list[tuple[timedelta, timedelta | None, bool]], since: timedelta | None
) -> None:
    """Whatever was launched when, in any window: the parts add up, and the sum never falls."""
    usages = [
        life(number, begun, length, interrupted=interrupted)
        for number, (begun, length, interrupted) in enumerate(lives)
    ]
    window = Window(now=NOON, since=None if since is None else NOON - since)
    counted = [usage for usage in usages if window.since is None or usage.end(NOON) >= window.since]
    points = cost_points(counted, STEPS, RATES, window)
    total = sum_charges(charge(usage, STEPS, RATES, window) for usage in counted)
    if not points:
        assert total.usd == 0
        return
    assert points[-1].usd == pytest.approx(total.usd, abs=Decimal("1e-9"))
    assert points[-1].on_demand_usd == pytest.approx(total.on_demand_usd, abs=Decimal("1e-9"))
    assert len(points) <= 100
    assert all(left.usd <= right.usd for left, right in pairwise(points))
