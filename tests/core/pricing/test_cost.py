"""What a life costs, against arithmetic written out, and what must hold of any."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.model import ORCHESTRATOR_ROLE, ROLE_KEY, PricePoint, Resource
from bacalhau_spot.core.pricing.cost import (
    PriceSteps,
    Rates,
    Usage,
    Window,
    charge,
    sum_charges,
    sum_charges_by,
)
from bacalhau_spot.core.pricing.list_prices import usd_per_hour

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
HERE = ("us-east-1", "us-east-1a", "t3.medium")
RATES = Rates(
    on_demand={("us-east-1", "t3.medium"): Decimal("0.0416")}, gib_month={"us-east-1": Decimal("0.08")}
)


def after(**spans: float) -> datetime:
    return NOON + timedelta(**spans)


def life(*, ended: datetime | None = None, begun: datetime = NOON, **more: object) -> Usage:
    region, zone, kind = HERE
    return Usage("i-1", region, zone, kind, begun, ended, **more)  # type: ignore[arg-type]


def steps(*changes: tuple[datetime, str]) -> PriceSteps:
    _, zone, kind = HERE
    return PriceSteps({"us-east-1": [PricePoint(kind, zone, since, Decimal(usd)) for since, usd in changes]})


FLAT = steps((after(days=-1), "0.012"))


def test_a_plain_hour_and_a_half() -> None:
    """Instance, volume and address, each by the second."""
    cost = charge(life(ended=after(minutes=90), volume_gib=20), FLAT, RATES, Window(now=after(hours=5)))
    assert cost.instance_usd == Decimal("0.012") * Decimal("1.5")
    assert cost.address_usd == Decimal("0.005") * Decimal("1.5")
    assert cost.volume_usd == pytest.approx(Decimal(20) * Decimal("0.08") * Decimal("1.5") / 730)
    assert cost.on_demand_usd == Decimal("0.0416") * Decimal("1.5")
    assert cost.current_usd_per_hour == 0


def test_a_price_change_counts_from_the_next_instance_hour() -> None:
    """Launched at 12:10, the price rises at 12:30: the first instance-hour, until 13:10, keeps the old price."""
    changing = steps((after(days=-1), "0.010"), (after(minutes=30), "0.020"))
    cost = charge(
        life(begun=after(minutes=10), ended=after(minutes=100)), changing, RATES, Window(now=after(hours=9))
    )
    assert cost.instance_usd == Decimal("0.010") * 1 + Decimal("0.020") * Decimal("0.5")


def test_a_minute_is_the_least() -> None:
    """Ten seconds are paid as sixty; sixty-one as sixty-one."""
    for lived, paid in ((0, 60), (10, 60), (60, 60), (61, 61)):
        cost = charge(life(ended=after(seconds=lived)), FLAT, RATES, Window(now=after(hours=1)))
        assert cost.seconds == paid
        assert cost.instance_usd == Decimal("0.012") * paid / 3600


@pytest.mark.parametrize(("lived_s", "costs"), [(3599, False), (3600, True)])
def test_taken_back_in_the_first_hour_is_free(lived_s: int, costs: bool) -> None:
    """The instance, not its volume and address; and only if it was AWS that ended it."""
    lost = life(ended=after(seconds=lived_s), interrupted=True, volume_gib=20)
    cost = charge(lost, FLAT, RATES, Window(now=after(hours=3)))
    assert bool(cost.instance_usd) is costs
    assert cost.volume_usd > 0 and cost.address_usd > 0
    cost = charge(replace(lost, interrupted=False), FLAT, RATES, Window(now=after(hours=3)))
    assert cost.instance_usd == Decimal("0.012") * lived_s / 3600


def test_a_living_one_costs_until_now_and_per_hour_from_now() -> None:
    changing = steps((after(days=-1), "0.010"), (after(minutes=90), "0.020"))
    cost = charge(life(volume_gib=73), changing, RATES, Window(now=after(hours=2)))
    assert cost.instance_usd == Decimal("0.020")  # both instance-hours began before the change
    assert cost.current_usd_per_hour == Decimal("0.020") + Decimal("0.008") + Decimal("0.005")


def test_what_has_no_price_is_told() -> None:
    """Before the first known change nothing is known: those seconds are counted, not guessed."""
    late = steps((after(minutes=61), "0.012"))
    cost = charge(life(ended=after(hours=3)), late, RATES, Window(now=after(hours=4)))
    assert (cost.unpriced_s, cost.instance_usd) == (Decimal(7200), Decimal("0.012"))
    assert sum_charges([cost]).saving is None
    nowhere = charge(life(ended=after(hours=1)), FLAT, Rates(), Window(now=after(hours=4)))
    assert nowhere.on_demand_usd is None
    assert sum_charges([nowhere, cost]).on_demand_usd is None


def test_on_demand_instances_pay_their_own_price() -> None:
    cost = charge(life(ended=after(hours=2), spot=False), FLAT, RATES, Window(now=after(hours=4)))
    assert cost.instance_usd == cost.on_demand_usd == Decimal("0.0832")


def test_a_volume_without_an_instance() -> None:
    """It costs as a volume, and counts as no instance."""
    left = Usage("vol-1", "us-east-1", "us-east-1a", "", NOON, volume_gib=730, address=False)
    total = sum_charges([charge(left, FLAT, RATES, Window(now=after(hours=10)))])
    assert (total.instances, total.usd, total.current_usd_per_hour) == (0, Decimal("0.8"), Decimal("0.08"))
    assert total.on_demand_usd == Decimal("0.8")
    assert total.saving == 0


def test_sums_by_what_is_asked() -> None:
    usages = [
        life(ended=after(hours=1)),
        replace(life(), id="i-2", zone="us-east-1b"),
        replace(life(), id="i-3", region="eu-west-1", zone="eu-west-1a"),
    ]
    charges = [charge(usage, FLAT, RATES, Window(now=after(hours=2))) for usage in usages]
    sums = sum_charges_by(charges, lambda charge: (charge.region,))
    assert [(name, each.instances, each.running) for (name,), each in sums.items()] == [
        ("eu-west-1", 1, 1),
        ("us-east-1", 2, 1),
    ]
    assert sum(each.usd for each in sums.values()) == sum_charges(charges).usd


moments = st.integers(0, 40_000).map(lambda seconds: after(seconds=seconds))
usd = st.decimals("0.001", "9", places=4)
changes = st.lists(st.tuples(moments, usd), max_size=6).map(
    lambda prices: [(after(days=-1), Decimal("0.01")), *prices]
)
lives = st.builds(
    lambda begun, lasted, taken, gib: life(
        begun=begun,
        ended=None if lasted is None else begun + timedelta(seconds=lasted),
        interrupted=taken,
        volume_gib=gib,
    ),
    moments,
    st.integers(0, 20_000),
    st.booleans(),
    st.integers(0, 100),
)


def points(prices: list[tuple[datetime, Decimal]]) -> PriceSteps:
    return steps(*((since, str(price)) for since, price in prices))


@given(lives, changes, moments, moments)
def test_windows_add_up(
    usage: Usage, prices: list[tuple[datetime, Decimal]], cut: datetime, end: datetime
) -> None:
    """What two windows that meet cost is what the whole costs, wherever the cut is."""
    cut, end = sorted((cut, end))
    parts = [Window(now=cut), Window(since=cut, now=end)]
    halves = [
        charge(usage, points(prices), RATES, window) for window in parts if usage.started_at <= window.now
    ]
    total = sum_charges(
        [charge(usage, points(prices), RATES, Window(now=end))] if usage.started_at <= end else []
    )
    # A life that begins at the cut begins in the second window.
    if usage.started_at == cut:
        halves = halves[1:]
    assert abs(sum_charges(halves).usd - total.usd) < Decimal("1e-18")
    assert sum((half.seconds for half in halves), Decimal(0)) == total.seconds


@given(lives, changes, st.integers(0, 20_000), st.decimals("0", "1", places=4))
def test_longer_and_dearer_never_costs_less(
    usage: Usage, prices: list[tuple[datetime, Decimal]], more_s: int, dearer: Decimal
) -> None:
    assert usage.ended_at is not None
    late = Window(now=after(days=2))
    now = charge(usage, points(prices), RATES, late)
    longer = charge(
        replace(usage, ended_at=usage.ended_at + timedelta(seconds=more_s)), points(prices), RATES, late
    )
    raised = charge(usage, points([(since, price + dearer) for since, price in prices]), RATES, late)
    assert now.usd <= longer.usd
    assert now.usd <= raised.usd
    assert now.seconds >= 60


def test_what_nuke_shows_an_hour() -> None:
    """A node at its pool's price, with a public address; an orchestrator on demand, whose address is listed apart."""
    where = ("us-east-1", "us-east-1a")
    node = Resource("instance", "i-1", where[0], type="t3.small", zone=where[1])
    host = replace(node, id="i-2", tags={ROLE_KEY: ORCHESTRATOR_ROLE})
    address = Resource("elastic-ip", "eipalloc-1", where[0])
    spot = {(where[0], "t3.small", where[1]): Decimal("0.007")}
    assert usd_per_hour([node], spot=spot, rates=Rates()) == Decimal("0.012")
    assert usd_per_hour([host, address], spot=spot, rates=Rates()) == Decimal("0.0258")
    assert usd_per_hour([node], spot={}, rates=Rates()) is None
    large = {("us-east-1", "m7i.large", "us-east-1a"): Decimal("0.05")}
    assert usd_per_hour([replace(host, type="m7i.large")], spot=large, rates=Rates()) == Decimal("0.05")
    assert usd_per_hour([replace(host, type="m7i.large")], spot={}, rates=Rates()) is None


def test_nuke_uses_the_price_list_of_the_region() -> None:
    """As `cost` and the plan do; it lists gp3 alone, so another type of volume keeps its price."""
    host = Resource("instance", "i-1", "sa-east-1", type="t3.small", tags={ROLE_KEY: ORCHESTRATOR_ROLE})
    volume = Resource("volume", "vol-1", "sa-east-1", type="gp3", size_gib=730)
    listed = Rates(
        on_demand={("sa-east-1", "t3.small"): Decimal("0.0336")}, gib_month={"sa-east-1": Decimal("0.15")}
    )
    assert usd_per_hour([host], spot={}, rates=listed) == Decimal("0.0336")
    assert usd_per_hour([volume], spot={}, rates=listed) == Decimal("0.15")
    assert usd_per_hour([replace(volume, type="io1")], spot={}, rates=listed) == Decimal("0.125")
