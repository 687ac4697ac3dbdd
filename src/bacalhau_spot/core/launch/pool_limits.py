"""The limit of nodes in one capacity pool, and the batches of a launch that respect it.

AWS interrupts spot capacity by pool, and may put all nodes of a launch into one pool. With `max_share_per_pool` a
region is launched as several fleets, one after the other, each over the pools that have room for the whole batch. A
batch depends only on the present and the missing nodes: an interrupted create continues with the same batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.launch.plan import PoolExposure
from bacalhau_spot.core.model import Pool, Spread
from bacalhau_spot.core.placement.pool_distribution import pool_distribution

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bacalhau_spot.core.launch.plan import RegionPlan
    from bacalhau_spot.core.model import ClusterSpec, Instance, Market


@dataclass(frozen=True, slots=True)
class LaunchBatch:
    """One fleet of a region's launch: a number of nodes over these pools, sorted by zone and type."""

    pools: tuple[Pool, ...]
    count: int


def max_per_pool(spec: ClusterSpec) -> int | None:
    """How many nodes one pool may hold: the share of the cluster's nodes, rounded down; None without a limit."""
    if spec.max_share_per_pool is None:
        return None
    return int(spec.max_share_per_pool * wanted_nodes(spec))


def wanted_nodes(spec: ClusterSpec) -> int:
    """All regions together; a region's own number is part of `nodes`, or makes it up."""
    fixed = [region.nodes for region in spec.regions]
    return sum(number or 0 for number in fixed) if fixed and None not in fixed else spec.nodes


def nodes_per_pool(instances: Iterable[Instance]) -> dict[Pool, int]:
    """Running and pending spot nodes in each pool."""
    return dict(pool_distribution(instances).counts)


def headroom(pools: Iterable[Pool], counts: Mapping[Pool, int], limit: int) -> dict[Pool, int]:
    """How many more nodes each pool may hold."""
    return {pool: max(0, limit - counts.get(pool, 0)) for pool in pools}


def next_batch(count: int, headroom: Mapping[Pool, int]) -> LaunchBatch | None:
    """The next fleet of a launch of `count` nodes; None when no pool has room for another node.

    As large as the largest headroom of a pool, over every pool with room for the whole batch.
    """
    size = min(count, max(headroom.values(), default=0))
    if size <= 0:
        return None
    fitting = [pool for pool, left in headroom.items() if left >= size]
    return LaunchBatch(tuple(sorted(fitting, key=lambda pool: (pool.zone, pool.type))), size)


def pool_exposure(
    regions: Sequence[RegionPlan], counts: Mapping[Pool, int], *, limit: int | None
) -> PoolExposure:
    """`counts`: present nodes of every pool of the cluster."""
    may: dict[Pool, int] = {pool: count for pool, count in counts.items() if count}
    for region in regions:
        for offer in region.offers if region.launch else ():
            now = counts.get(offer.pool, 0)
            whole = now + region.launch
            may[offer.pool] = whole if limit is None else max(now, min(whole, limit))
    return PoolExposure(pools=len(may), max_nodes=max(may.values(), default=0), limit=limit)


def share_problems(
    spec: ClusterSpec, markets: Mapping[str, Market], launch: Mapping[str, int], counts: Mapping[Pool, int]
) -> tuple[str, ...]:
    """Why the nodes cannot be launched without a pool holding more than its share; one sentence each."""
    most = max_per_pool(spec)
    if most is None or not launch:
        return ()
    of = f"{_percent(spec)} of {wanted_nodes(spec)} nodes"
    if most == 0:
        return (f"max_share_per_pool: {of} is less than one node, so no pool may hold any",)
    free = {name: _free_in(markets[name], counts, most) for name in launch}
    return tuple(
        f"{name} has {_pools(len(markets[name].offers))}, at most {most} {'node' if most == 1 else 'nodes'} in each ({of}): "
        f"room for {free[name]} more of the {launch[name]} that are missing"
        for name in _regions_short_of_pools(spec, launch, free)
    )


def _regions_short_of_pools(
    spec: ClusterSpec, launch: Mapping[str, int], free: Mapping[str, int]
) -> Sequence[str]:
    """With `spread: failover` other regions launch the nodes for which one has no room: all are short together, or none."""
    if spec.spread is Spread.STRICT:
        return [name for name in launch if free[name] < launch[name]]
    return list(launch) if sum(free.values()) < sum(launch.values()) else []


def _free_in(market: Market, counts: Mapping[Pool, int], limit: int) -> int:
    return sum(headroom((offer.pool for offer in market.offers), counts, limit).values())


def share_warnings(spec: ClusterSpec, counts: Mapping[Pool, int]) -> tuple[str, ...]:
    """Pools that hold more than their share already; nothing is moved for that."""
    most = max_per_pool(spec)
    over = [(pool, count) for pool, count in counts.items() if most is not None and count > most]
    return tuple(
        f"{count} nodes are in {pool.type} in {pool.zone}, and max_share_per_pool allows {most}; they stay"
        for pool, count in sorted(over, key=lambda item: (-item[1], item[0].zone, item[0].type))
    )


def _percent(spec: ClusterSpec) -> str:
    return f"{((spec.max_share_per_pool or 0) * 100):f}".rstrip("0").rstrip(".") + "%"


def _pools(count: int) -> str:
    return f"{count} capacity pool" + ("" if count == 1 else "s")
