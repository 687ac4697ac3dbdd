"""No capacity pool gets more than its share, wherever AWS puts the nodes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.launch.plan import PoolExposure, RegionPlan
from bacalhau_spot.core.launch.pool_limits import (
    headroom,
    max_per_pool,
    next_batch,
    nodes_per_pool,
    pool_exposure,
    share_problems,
    share_warnings,
)
from bacalhau_spot.core.model import (
    Arch,
    ClusterSpec,
    Instance,
    Market,
    Naming,
    Offer,
    Pool,
    RegionSpec,
    Spread,
    State,
)

POOLS = [Pool(name, zone) for name in ("t3.medium", "m6a.large") for zone in ("ra", "rb", "rc")]
HELD = st.dictionaries(st.sampled_from(POOLS), st.integers(0, 9))
SPEC = ClusterSpec(
    "c",
    Naming(),
    (RegionSpec("r"), RegionSpec("s")),
    nodes=10,
    instance_types=("t3.medium",),
    max_share_per_pool=Decimal("0.25"),
)


def market(region: str, pools: int) -> Market:
    offers = tuple(
        Offer(Pool("t3.medium", f"{region}{zone}"), None, Arch.X86_64) for zone in "abcdef"[:pools]
    )
    return Market(region, offers)


@given(st.integers(0, 40), HELD, st.integers(0, 9), st.data())
def test_wherever_aws_puts_the_nodes_no_pool_gets_more(
    count: int, counts: dict[Pool, int], most: int, data: st.DataObject
) -> None:
    """Each part goes into its pools as AWS likes, and in the end all are launched that there was room for."""
    free = headroom(POOLS, counts, most)
    now, left = dict(counts), count
    while (batch := next_batch(left, headroom(POOLS, now, most))) is not None:
        assert 0 < batch.count <= left
        assert list(batch.pools) == sorted(batch.pools, key=lambda pool: (pool.zone, pool.type))
        for _ in range(batch.count):
            chosen = data.draw(st.sampled_from(batch.pools))
            now[chosen] = now.get(chosen, 0) + 1
        left -= batch.count
    assert all(now.get(pool, 0) <= max(most, counts.get(pool, 0)) for pool in POOLS)
    assert left == max(0, count - sum(free.values()))


@given(st.integers(1, 40), HELD, st.integers(1, 9))
def test_a_part_is_over_every_pool_that_could_take_it(count: int, counts: dict[Pool, int], most: int) -> None:
    """AWS keeps as much choice as the limit leaves; what is there decides, so asking again is the same part."""
    free = headroom(POOLS, counts, most)
    batch = next_batch(count, free)
    if batch is None:
        assert max(free.values()) == 0
        return
    assert set(batch.pools) == {pool for pool in POOLS if free[pool] >= batch.count}
    assert batch.count == min(count, max(free.values()))
    assert next_batch(count, dict(reversed(free.items()))) == batch


def test_the_share_is_of_all_nodes_and_rounded_down() -> None:
    """A region's own numbers, when all have one, are the nodes."""
    assert max_per_pool(SPEC) == 2
    assert max_per_pool(replace(SPEC, max_share_per_pool=None)) is None
    own = (RegionSpec("r", nodes=12), RegionSpec("s", nodes=8))
    assert max_per_pool(replace(SPEC, regions=own)) == 5


def test_what_cannot_be_is_refused_in_words() -> None:
    """Less than one node; too few pools in a region; but with failover another region's room counts too."""
    tiny = replace(SPEC, max_share_per_pool=Decimal("0.05"))
    assert share_problems(tiny, {"r": market("r", 3)}, {"r": 1}, {}) == (
        "max_share_per_pool: 5% of 10 nodes is less than one node, so no pool may hold any",
    )
    both = {"r": market("r", 2), "s": market("s", 3)}
    strict = replace(SPEC, spread=Spread.STRICT)
    assert share_problems(strict, both, {"r": 5, "s": 5}, {}) == (
        "r has 2 capacity pools, at most 2 nodes in each (25% of 10 nodes): room for 4 more of the 5 that are missing",
    )
    assert share_problems(SPEC, both, {"r": 5, "s": 5}, {}) == ()
    assert len(share_problems(SPEC, both, {"r": 5, "s": 5}, {Pool("t3.medium", "sa"): 1})) == 2
    assert share_problems(replace(SPEC, max_share_per_pool=None), both, {"r": 99}, {}) == ()
    assert share_problems(tiny, {}, {}, {}) == ()


def test_what_holds_more_already_is_told_and_stays() -> None:
    full, fine = Pool("t3.medium", "ra"), Pool("t3.medium", "rb")
    assert share_warnings(SPEC, {full: 3, fine: 2}) == (
        "3 nodes are in t3.medium in ra, and max_share_per_pool allows 2; they stay",
    )


def test_the_stake_is_what_one_pool_may_come_to_hold() -> None:
    """Without a limit AWS may put a whole region into one pool, beside what that holds; with one, not."""
    offers = market("r", 3).offers
    regions = [RegionPlan("r", 5, 1, 4, offers), RegionPlan("s", 5, 5, 0, market("s", 6).offers)]
    counts = {Pool("t3.medium", "ra"): 1, Pool("t3.medium", "sa"): 3, Pool("t3.medium", "sb"): 2}
    assert pool_exposure(regions, counts, limit=None) == PoolExposure(pools=5, max_nodes=5)
    assert pool_exposure(regions, counts, limit=2) == PoolExposure(pools=5, max_nodes=3, limit=2)
    assert pool_exposure([], {}, limit=None) == PoolExposure(pools=0, max_nodes=0)


def test_only_spot_nodes_that_are_there_are_held() -> None:
    node = Instance("i-1", "r", "ra", "t3.medium", State.RUNNING, datetime(2026, 1, 1, tzinfo=UTC))
    terminated, own = replace(node, state=State.TERMINATED), replace(node, lifecycle="on-demand")
    assert nodes_per_pool([node, node, terminated, own]) == {Pool("t3.medium", "ra"): 2}
