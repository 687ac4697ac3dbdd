"""How many nodes each region should have, has and lacks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.lifecycle.drain_result import without_draining
from bacalhau_spot.core.lifecycle.superseded import superseded
from bacalhau_spot.core.model import Spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.core.model import ClusterSpec, Instance


_NONE: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Demand:
    """How many nodes each region lacks, and which instances are too many."""

    wanted: Mapping[str, int]  # per configured region
    present: Mapping[str, int]
    launch: Mapping[str, int]  # only regions that are to launch
    surplus: int  # surplus instances in the configured regions
    removable: tuple[
        Instance, ...
    ]  # those that would go: of the fullest regions those being replaced, then the newest; all outside the configuration


def nodes_by_region(spec: ClusterSpec) -> dict[str, int]:
    """The nodes of each region: its own number, or an even share of the rest; the first regions get one more."""
    fixed = {region.name: region.nodes for region in spec.regions if region.nodes is not None}
    sharing = [region.name for region in spec.regions if region.nodes is None]
    left = max(0, spec.nodes - sum(fixed.values())) if sharing else 0
    each, extra = divmod(left, len(sharing)) if sharing else (0, 0)
    shared = {name: each + (1 if index < extra else 0) for index, name in enumerate(sharing)}
    return {region.name: fixed.get(region.name, shared.get(region.name, 0)) for region in spec.regions}


def spread_over(count: int, rooms: Mapping[str, int]) -> dict[str, int]:
    """`count` distributed one by one over the regions, each up to its room; regions without nodes are left out."""
    dealt = dict.fromkeys(rooms, 0)
    while count > 0:
        open_regions = [name for name, room in rooms.items() if dealt[name] < room]
        if not open_regions:
            break
        for name in open_regions[:count]:
            dealt[name] += 1
        count -= min(count, len(open_regions))
    return {name: number for name, number in dealt.items() if number}


def node_demand(
    spec: ClusterSpec, instances: Sequence[Instance], *, replaced: Mapping[str, int] = _NONE
) -> Demand:
    """The missing and surplus nodes. `instances`: all with the cluster's tag, in any region and state.

    A draining node is about to leave: it counts neither as present nor as surplus.
    `replaced`: by region, nodes that an Auto Scaling group is about to launch.
    """
    wanted = nodes_by_region(spec)
    alive = [instance for instance in without_draining(instances) if instance.alive]
    counts = Counter(instance.region for instance in alive) + Counter(replaced)
    present = {name: counts[name] for name in wanted}
    lacking = {name: max(0, wanted[name] - present[name]) for name in wanted}
    over = {name: max(0, present[name] - wanted[name]) for name in wanted}
    if spec.spread is Spread.STRICT:
        launch, surplus = {name: number for name, number in lacking.items() if number}, over
    else:
        balance = sum(wanted.values()) - sum(present.values())
        launch = spread_over(max(0, balance), lacking)
        surplus = spread_over(max(0, -balance), over)
    return Demand(
        wanted=wanted,
        present=present,
        launch=launch,
        surplus=sum(surplus.values()),
        removable=_removable(alive, surplus, configured=frozenset(wanted)),
    )


def _removable(
    alive: Sequence[Instance], surplus: Mapping[str, int], *, configured: frozenset[str]
) -> tuple[Instance, ...]:
    """Those that are being replaced go first, then the newest: they have the least work to lose.

    Regions that the configuration no longer names go whole.
    """
    gone = [instance for instance in alive if instance.region not in configured]
    begun = superseded(alive)
    for region, number in surplus.items():
        here = [instance for instance in alive if instance.region == region]
        here.sort(key=lambda one: (one.id in begun, one.launched_at, one.id), reverse=True)
        gone.extend(here[:number])
    return tuple(sorted(gone, key=lambda instance: (instance.region, instance.id)))
