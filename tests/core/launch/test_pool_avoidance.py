"""Which pools a launch avoids after an interruption: never so many that it becomes impossible, or much dearer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product

import pytest

from bacalhau_spot.core.inventory import AccountContext, ClusterInventory
from bacalhau_spot.core.launch import planner
from bacalhau_spot.core.launch.facts import LaunchFacts
from bacalhau_spot.core.launch.network_egress import NetworkCheck
from bacalhau_spot.core.launch.plan import Plan
from bacalhau_spot.core.launch.pool_avoidance import PoolAvoidance, avoidance_notes, pool_avoidance
from bacalhau_spot.core.model import (
    Arch,
    ClusterSpec,
    Identity,
    Image,
    Market,
    Naming,
    Offer,
    Pool,
    Region,
    RegionSpec,
)

THEN = datetime(2026, 11, 25, 12, tzinfo=UTC)
SPEC = ClusterSpec(
    name="c", naming=Naming(), regions=(RegionSpec("us-east-1"),), nodes=4, instance_types=("t3.medium",)
)


def pool(letter: str) -> Pool:
    return Pool("t3.medium", f"us-east-1{letter}")


def market(**usd: str | None) -> Market:
    """`a="0.01"`: the price of the pool in that zone."""
    offers = tuple(
        Offer(pool(letter), None if price is None else Decimal(price), Arch.X86_64)
        for letter, price in usd.items()
    )
    return Market("us-east-1", offers, {Arch.X86_64: Image("ami-1", Arch.X86_64, "/dev/sda1")})


def decided(
    found: Market,
    *interrupted: str,
    spec: ClusterSpec = SPEC,
    launch: int = 4,
    counts: Mapping[Pool, int] | None = None,
) -> PoolAvoidance:
    lost = dict.fromkeys(map(pool, interrupted), THEN)
    return pool_avoidance(spec, found, lost, launch=launch, counts=counts or {})


def letters(avoidance: PoolAvoidance) -> tuple[str, str, str]:
    """The pools in use, avoided, and interrupted but not avoided."""
    return (
        "".join(offer.pool.zone[-1] for offer in avoidance.offers),
        "".join(found.pool.zone[-1] for found in avoidance.avoided),
        "".join(found.pool.zone[-1] for found in avoidance.not_avoided),
    )


THREE = market(a="0.010", b="0.011", c="0.012")


def test_interrupted_pools_are_avoided_while_others_remain() -> None:
    assert letters(decided(THREE)) == ("abc", "", "")
    assert letters(decided(THREE, "a")) == ("bc", "a", "")
    assert letters(decided(THREE, "a", "c")) == ("b", "ac", "")
    assert letters(decided(THREE, "a", "b", "c")) == ("abc", "", "abc")
    assert letters(decided(THREE, "f")) == ("abc", "", "")  # not an offer of this market


@pytest.mark.parametrize(
    ("name", "found", "spec", "avoids"),
    [
        ("half more is accepted", market(a="0.010", b="0.015"), SPEC, True),
        ("more is not", market(a="0.010", b="0.0151"), SPEC, False),
        ("an unknown price may be low", market(a="0.010", b=None), SPEC, True),
        ("of the interrupted pool, too", market(a=None, b="9"), SPEC, True),
        (
            "the price limit leaves only the interrupted pool",
            market(a="0.010", b="0.012"),
            replace(SPEC, max_price_usd_per_hour=Decimal("0.011")),
            False,
        ),
        (
            "the price limit leaves another pool",
            market(a="0.010", b="0.011"),
            replace(SPEC, max_price_usd_per_hour=Decimal("0.011")),
            True,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_prices(name: str, found: Market, spec: ClusterSpec, avoids: bool) -> None:
    assert bool(decided(found, "a", spec=spec).avoided) is avoids, name


def test_the_share_of_a_pool_counts() -> None:
    """At most two nodes of four in a pool: two other pools hold four, with three present nodes only one."""
    spec = replace(SPEC, max_share_per_pool=Decimal("0.5"))
    assert letters(decided(THREE, "a", spec=spec)) == ("bc", "a", "")
    assert letters(decided(THREE, "a", "b", spec=spec)) == ("abc", "", "ab")
    present = {pool("b"): 2, pool("c"): 1}
    assert letters(decided(THREE, "a", spec=spec, launch=1, counts=present)) == ("bc", "a", "")
    assert letters(decided(THREE, "a", spec=spec, launch=2, counts=present)) == ("abc", "", "a")


def test_a_launch_is_never_left_without_a_pool() -> None:
    """Whatever was interrupted, and whatever the pools cost."""
    prices = ("0.01", "0.02", None)
    for usd, lost in product(product(prices, repeat=3), ("", "a", "ab", "abc", "bc", "c")):
        found = decided(market(**dict(zip("abc", usd, strict=True))), *lost)
        assert found.offers
        known = {offer.pool for offer in found.offers} | {avoided.pool for avoided in found.avoided}
        assert known == set(map(pool, "abc"))
        assert not (found.avoided and found.not_avoided)


def test_the_sentences() -> None:
    assert avoidance_notes({"us-east-1": decided(THREE)}) == ()
    assert avoidance_notes({"us-east-1": decided(THREE, "a")}) == (
        "avoids 1 capacity pool in which EC2 interrupted nodes in the last 2 hours: t3.medium in us-east-1a",
    )
    (needed,) = avoidance_notes({"us-east-1": decided(market(a="0.01"), "a")})
    assert needed.startswith("does not avoid recently interrupted capacity pools of us-east-1")


def test_the_plan_is_without_the_avoided_pools() -> None:
    """Their prices are not in its range, and they are not among its pools."""
    facts = LaunchFacts(
        spec=SPEC,
        account=AccountContext(Identity("1", "arn"), (Region("us-east-1", enabled=True),)),
        inventory=ClusterInventory(tagged={"us-east-1": ()}),
        markets={"us-east-1": THREE},
        networks={"us-east-1": NetworkCheck()},
        interrupted_pools={pool("a"): THEN, Pool("m6a.large", "us-east-1a"): THEN},
    )
    plan = planner.plan(facts)
    assert isinstance(plan, Plan)
    (region,) = plan.regions
    assert (region.low, region.zones) == (Decimal("0.011"), ("us-east-1b", "us-east-1c"))
    assert plan.exposure is not None
    assert plan.exposure.pools == 2
    assert [found.pool for found in plan.avoidances["us-east-1"].avoided] == [pool("a")]
    before = planner.plan(replace(facts, interrupted_pools={}))
    assert isinstance(before, Plan)
    assert before.regions[0].low == Decimal("0.010")
