"""What pools and regions offer, and in which order they are best."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.model import Arch, Pool, PricePoint, Requirements, TypeInfo
from bacalhau_spot.core.placement.offers import (
    LOW_SCORE,
    SORTS,
    GlobalMarketData,
    PoolOffer,
    RegionMarketData,
    RegionOffer,
    fill_missing_scores,
    fits,
    pool_offers,
    quota_headroom,
    ranked,
    region_offer,
    sort_pools,
    sort_regions,
)
from bacalhau_spot.core.placement.quotas import STANDARD, Headroom

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
SMALL = TypeInfo("t3.medium", (Arch.X86_64,), 2, 4096)
LARGE = TypeInfo("m6a.xlarge", (Arch.X86_64,), 4, 16384)
GPU = TypeInfo("g4dn.xlarge", (Arch.X86_64,), 4, 16384, gpus=1)
ARM = TypeInfo("t4g.small", (Arch.ARM64,), 2, 2048)
ANYTHING = Requirements(0, Decimal(0))


def point(type_name: str, zone: str, usd: str, *, hours_ago: int = 1) -> PricePoint:
    return PricePoint(type_name, zone, NOON - timedelta(hours=hours_ago), Decimal(usd))


SEEN = RegionMarketData(
    "r",
    (Pool("t3.medium", "ra"), Pool("t3.medium", "rb"), Pool("m6a.xlarge", "ra"), Pool("mystery.large", "ra")),
    (
        point("t3.medium", "ra", "0.02", hours_ago=1),
        point("t3.medium", "ra", "0.03", hours_ago=90),
        point("t3.medium", "ra", "0.01", hours_ago=40),
        point("t3.medium", "rb", "0.04"),
        point("m6a.xlarge", "ra", "0.08"),
    ),
    {STANDARD.code: Headroom(STANDARD, vcpus=32, used=6)},
)
KNOWN = GlobalMarketData(
    {"t3.medium": SMALL, "m6a.xlarge": LARGE},
    on_demand={("r", "t3.medium"): Decimal("0.05"), ("r", "m6a.xlarge"): Decimal("0.1")},
    interruptions={("r", "t3.medium"): 0, ("r", "m6a.xlarge"): 3},
    scores={"r": 7},
)


def test_a_pool_shows_its_price_now_and_its_week() -> None:
    """Whatever the order of the price changes; a type that nothing is known of is left out."""
    first, second, third = pool_offers(SEEN, KNOWN)
    assert (first.usd_per_hour, first.low, first.high) == (Decimal("0.02"), Decimal("0.01"), Decimal("0.03"))
    assert first.saving == Decimal("0.6")
    assert (first.interruption, third.interruption) == (0, 3)
    assert (first.quota_headroom, third.quota_headroom) == (13, 6)
    assert second.score == 7
    bare = pool_offers(RegionMarketData("r", SEEN.pools), GlobalMarketData({"t3.medium": SMALL}))[0]
    assert (bare.usd_per_hour, bare.low, bare.saving, bare.quota_headroom, bare.score) == (None,) * 5


def test_a_region_is_judged_by_what_a_node_typically_costs() -> None:
    """The mean of each zone's cheapest pool, beside what else these show; room for the largest of all."""
    complete = region_offer(SEEN, KNOWN, pool_offers(SEEN, KNOWN))
    assert complete.usd_per_hour == Decimal("0.03")
    assert complete.on_demand_usd_per_hour == Decimal("0.05")
    assert (complete.low, complete.high) == (Decimal("0.01"), Decimal("0.04"))
    assert (complete.interruption, complete.quota_headroom, complete.zones, complete.pools) == (0, 6, 2, 3)
    assert complete.types == ("m6a.xlarge", "t3.medium")
    nothing = region_offer(RegionMarketData("r"), GlobalMarketData(), ())
    assert (nothing.usd_per_hour, nothing.quota_headroom, nothing.pools) == (None, None, 0)


def test_room_adds_up_over_quotas_and_is_unknown_where_one_is() -> None:
    """A node of another family takes nothing from this quota; what is not known is not guessed."""
    headrooms = {"L-34B43A08": Headroom(STANDARD, 10, 0), "L-3819A6DF": Headroom(STANDARD, 9, 0)}
    assert quota_headroom([SMALL, LARGE, GPU], headrooms) == 2 + 2
    assert quota_headroom([SMALL, GPU], {"L-34B43A08": Headroom(STANDARD, 10, 0)}) is None
    assert quota_headroom([TypeInfo("mac2.metal", (Arch.ARM64,), 8, 1)], headrooms) is None


@pytest.mark.parametrize(
    ("change", "fitting"),
    [
        ({}, {"t3.medium", "m6a.xlarge", "g4dn.xlarge", "t4g.small"}),
        ({"vcpus_min": 3}, {"m6a.xlarge", "g4dn.xlarge"}),
        ({"vcpus_max": 2}, {"t3.medium", "t4g.small"}),
        ({"memory_gib_min": Decimal("2.5"), "memory_gib_max": Decimal(4)}, {"t3.medium"}),
        ({"arch": Arch.ARM64}, {"t4g.small"}),
        ({"gpus_min": 1}, {"g4dn.xlarge"}),
        ({"gpus_min": 0, "gpus_max": 0, "vcpus_min": 4}, {"m6a.xlarge"}),
        ({"families": ("t3", "m6a")}, {"t3.medium", "m6a.xlarge"}),
        ({"families": ("m6*", "t4g")}, {"m6a.xlarge", "t4g.small"}),
    ],
)
def test_a_type_fits_what_it_meets(change: dict[str, object], fitting: set[str]) -> None:
    """Both ends of a range count, and a family is the whole name before the dot: t3 is not t3a."""
    wanted = replace(ANYTHING, **change)  # type: ignore[arg-type]  # the table's keys are its fields
    assert {info.name for info in (SMALL, LARGE, GPU, ARM) if fits(info, wanted)} == fitting
    assert not fits(replace(SMALL, name="t3a.medium"), replace(ANYTHING, families=("t3",)))


def test_the_order_of_regions_is_the_stated_one() -> None:
    """Room first, then score, then price; of equal prices the better score, then the name."""
    a = RegionOffer(region="a", usd_per_hour=Decimal("0.03"), score=5)
    b = RegionOffer(region="b", usd_per_hour=Decimal("0.03"), score=9)
    c = RegionOffer(region="c", usd_per_hour=Decimal("0.03"), score=9)
    low = RegionOffer(region="low", usd_per_hour=Decimal("0.02"), score=LOW_SCORE)
    full = RegionOffer(region="full", usd_per_hour=Decimal("0.01"), score=10, quota_headroom=2)
    none = RegionOffer(region="none")
    order = [offer.region for offer in ranked([none, full, low, c, a, b], nodes=3)]
    assert order == ["b", "c", "a", "low", "full", "none"]
    assert ranked([full, a], nodes=2)[0] is full


def test_regions_that_the_ten_best_leave_out() -> None:
    """They are as low as the tenth where that is low; otherwise nothing is known of them."""
    ten = {f"r{number}": 3 + number for number in range(10)}
    assert fill_missing_scores(ten, [*ten, "other"]) == {**ten, "other": 3}
    better = {name: score + 1 for name, score in ten.items()}
    assert fill_missing_scores(better, [*ten, "other"]) == better
    assert fill_missing_scores({"r1": 1}, ["r1", "r2"]) == {"r1": 1}


PRICES = st.none() | st.decimals("0.001", "1", places=3)
POOLS = st.lists(
    st.builds(
        PoolOffer,
        region=st.just("r"),
        pool=st.builds(Pool, type=st.sampled_from("ab"), zone=st.sampled_from("xyz")),
        info=st.just(SMALL),
        usd_per_hour=PRICES,
        on_demand_usd_per_hour=PRICES,
        interruption=st.none() | st.integers(0, 4),
        score=st.none() | st.integers(1, 10),
        quota_headroom=st.none() | st.integers(0, 9),
    )
)


@pytest.mark.parametrize("by", SORTS)
@given(pools=POOLS)
def test_sorting_loses_nothing_and_puts_the_unknown_last(by: str, pools: list[PoolOffer]) -> None:
    """By every key: best first."""
    shown = sort_pools(pools, by)
    assert sorted(map(repr, shown)) == sorted(map(repr, pools))
    values = [SORTS[by](offer) for offer in shown]
    known = [value for value in values if value is not None]
    assert values == [*known, *[None] * (len(values) - len(known))]
    assert known == sorted(known)


def test_regions_that_are_equal_stay_ranked() -> None:
    first, second = RegionOffer(region="z", score=7), RegionOffer(region="a", score=7)
    better = RegionOffer(region="m", score=8)
    assert sort_regions([first, second, better], "score") == (better, first, second)
