"""Choosing regions: the cluster stays where it is, and otherwise goes where it is cheap and can be."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.placement.offers import LOW_SCORE, RegionOffer, Suitability, suitability
from bacalhau_spot.core.placement.region_selection import RegionReason, select_regions, selected_names

REGIONS = [f"region-{number}" for number in range(9)]
MAYBE_PRICE = st.none() | st.decimals("0.001", "9", places=3)
OFFERS = st.lists(
    st.builds(
        RegionOffer,
        region=st.sampled_from(REGIONS),
        usd_per_hour=MAYBE_PRICE,
        score=st.none() | st.integers(1, 10),
        quota_headroom=st.none() | st.integers(0, 6),
    ),
    unique_by=lambda offer: offer.region,
)
NODES = st.integers(1, 5)


@given(st.integers(1, 9), OFFERS, NODES)
def test_the_best_are_chosen(count: int, offers: list[RegionOffer], nodes: int) -> None:
    """As many as asked for, where there are; none that is left out is better than one that is chosen."""
    decisions = select_regions(count, present=(), offers=offers, nodes=nodes)
    chosen = selected_names(decisions)
    able = [
        offer
        for offer in offers
        if suitability(offer, nodes) in {Suitability.SUITABLE, Suitability.LOW_SCORE}
    ]
    assert len(chosen) == min(count, len(able))
    worth = {offer.region: (suitability(offer, nodes), offer.usd_per_hour) for offer in able}
    assert all(worth[region] <= worth[other] for region in chosen for other in set(worth) - set(chosen))


@given(st.integers(1, 9), OFFERS, NODES)
def test_every_region_gets_its_reason(count: int, offers: list[RegionOffer], nodes: int) -> None:
    """Once each; and where the quota has no room for the nodes, or nothing is sold, none are sent."""
    choices = {
        select_region.region: select_region
        for select_region in select_regions(count, present=(), offers=offers, nodes=nodes)
    }
    assert set(choices) == {offer.region for offer in offers}
    for offer in offers:
        decision = choices[offer.region]
        if offer.usd_per_hour is None:
            assert decision.reason is RegionReason.NO_OFFER
        elif offer.quota_headroom is not None and offer.quota_headroom < nodes:
            assert decision.reason is RegionReason.NO_QUOTA
        assert decision.chosen == (decision.reason in {RegionReason.CHEAPEST, RegionReason.NOT_NEEDED})
        if decision.reason is RegionReason.NOT_NEEDED:
            assert offer.score is not None
            assert offer.score <= LOW_SCORE


@given(st.integers(1, 9), OFFERS, NODES)
def test_a_choice_once_made_stays(count: int, offers: list[RegionOffer], nodes: int) -> None:
    """When prices, scores and quotas turn, a cluster that is there does not move."""
    chosen = selected_names(select_regions(count, present=(), offers=offers, nodes=nodes))
    turned = [
        replace(offer, usd_per_hour=10 - (offer.usd_per_hour or Decimal(0)), score=1, quota_headroom=0)
        for offer in offers
    ]
    again = select_regions(len(chosen), present=chosen, offers=turned, nodes=nodes)
    assert selected_names(again) == chosen
    assert all(decision.reason is RegionReason.PRESENT for decision in again if decision.chosen)


def test_a_dear_region_is_better_than_one_that_cannot() -> None:
    """Price decides among those that can take the nodes, and a low score is the last resort."""
    cheap = RegionOffer(region="cheap", usd_per_hour=Decimal("0.01"), quota_headroom=2)
    risky = RegionOffer(region="risky", usd_per_hour=Decimal("0.02"), score=2)
    dear = RegionOffer(region="dear", usd_per_hour=Decimal("0.04"), score=9, quota_headroom=30)
    (first, *_) = select_regions(1, present=(), offers=[cheap, risky, dear], nodes=3)
    assert (first.region, first.reason) == ("dear", RegionReason.CHEAPEST)
    reasons = {
        decision.region: decision.reason
        for decision in select_regions(3, present=(), offers=[cheap, risky, dear], nodes=3)
    }
    assert reasons == {
        "cheap": RegionReason.NO_QUOTA,
        "risky": RegionReason.NOT_NEEDED,
        "dear": RegionReason.CHEAPEST,
    }
