"""How many nodes the loss of one capacity pool would take."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.model import Instance, Pool, State
from bacalhau_spot.core.placement.pool_distribution import (
    PoolDistribution,
    distribution_of,
    pool_distribution,
)

NODE = Instance("i-1", "r", "ra", "t3.medium", State.RUNNING, datetime(2026, 1, 1, tzinfo=UTC))


def test_the_fullest_pool_comes_first() -> None:
    """Type and zone together are a pool: one type in two zones is two."""
    nodes = [NODE, NODE, replace(NODE, zone="rb"), replace(NODE, type="m6a.large"), replace(NODE, zone="rb")]
    distribution = pool_distribution([*nodes, NODE])
    assert (distribution.nodes, distribution.pools, distribution.max_loss) == (6, 3, 3)
    assert distribution.fullest == Pool("t3.medium", "ra")


def test_what_has_ended_and_what_is_not_spot_is_not_at_stake() -> None:
    """Only spot instances that run or start can be taken back."""
    ended = [replace(NODE, state=state) for state in State if state not in {State.RUNNING, State.PENDING}]
    assert pool_distribution([*ended, replace(NODE, lifecycle="on-demand")]) == PoolDistribution()
    assert pool_distribution([]).fullest is None
    assert pool_distribution([replace(NODE, state=State.PENDING)]).max_loss == 1


POOLS = st.builds(Pool, type=st.sampled_from("ab"), zone=st.sampled_from("xyz"))


@given(st.lists(POOLS))
def test_nothing_is_counted_twice_or_lost(pools: list[Pool]) -> None:
    """The shares add up, the first is the largest, and the order of the instances does not matter."""
    distribution = distribution_of(Counter(pools))
    assert distribution.nodes == len(pools)
    assert distribution.max_loss == max(Counter(pools).values(), default=0)
    assert distribution == distribution_of(Counter(reversed(pools)))
