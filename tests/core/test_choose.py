"""Choosing regions: the cluster stays where it is, and otherwise goes where it is cheap."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.choose import choose, typical_usd_per_hour

prices = st.dictionaries(
    st.tuples(st.sampled_from(["t3.medium", "m6a.large"]), st.sampled_from(["a", "b", "c"])),
    st.decimals("0.001", "9", places=4),
)
lists = st.dictionaries(st.sampled_from([f"region-{number}" for number in range(9)]), prices)


def test_a_typical_price_is_the_mean_of_each_zones_cheapest() -> None:
    """One cheap pool does not make a cheap region."""
    region = {("a", "z1"): Decimal(1), ("b", "z1"): Decimal(3), ("a", "z2"): Decimal(2)}
    assert typical_usd_per_hour(region) == Decimal("1.5")
    assert typical_usd_per_hour({}) is None


@given(st.integers(1, 9), lists)
def test_the_cheapest_are_chosen(count: int, offered: dict[str, dict[tuple[str, str], Decimal]]) -> None:
    """As many as asked for, where there are; none that is left out is cheaper than one that is chosen."""
    chosen = choose(count, present=(), prices=offered)
    typical = {
        name: price for name, region in offered.items() if (price := typical_usd_per_hour(region)) is not None
    }
    assert len(chosen) == min(count, len(typical))
    assert all(typical[one] <= typical[other] for one in chosen for other in set(typical) - set(chosen))


@given(st.integers(1, 9), lists)
def test_a_choice_once_made_stays(count: int, offered: dict[str, dict[tuple[str, str], Decimal]]) -> None:
    """When prices turn, a cluster that is there does not move."""
    chosen = choose(count, present=(), prices=offered)
    turned = {name: {pool: 10 - price for pool, price in region.items()} for name, region in offered.items()}
    assert list(choose(len(chosen), present=chosen, prices=turned)) == list(chosen)
