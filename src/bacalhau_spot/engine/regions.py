"""Which regions `regions: auto` stands for now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bacalhau_spot.core.choose import Reason, choose, chosen_names, nowhere
from bacalhau_spot.core.model import RegionSpec
from bacalhau_spot.core.remarks import remarks_on
from bacalhau_spot.core.verdict import Fault, judge
from bacalhau_spot.engine.calls import worst_of
from bacalhau_spot.engine.offers import Wanted, region_offers

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bacalhau_spot.core.choose import Choice
    from bacalhau_spot.core.model import ClusterSpec, Identity
    from bacalhau_spot.core.receipt import Problem
    from bacalhau_spot.engine.calls import Calls
    from bacalhau_spot.engine.memory import Memory


def check_blind(unseen: Sequence[Problem], *, seen: Collection[str]) -> None:
    """Raises CloudError where a region may hold nodes and could not be looked into: others would be launched beside them.

    Where we may not even look we can have launched nothing, unless we may look nowhere.
    """
    doubtful = [one for one in unseen if not seen or judge(one.code).fault is not Fault.PERMISSION]
    if doubtful:
        raise worst_of(doubtful)


async def choose_regions(
    calls: Calls,
    spec: ClusterSpec,
    *,
    reachable: Sequence[str],
    present: Collection[str],
    identity: Identity,
    memory: Memory,
) -> tuple[tuple[Choice, ...], tuple[str, ...]]:
    """What becomes of each region where `auto` leaves it open, and what there is to say about that.

    `present`: where the cluster has nodes. Raises CloudError when no region is known to have offers, and AWS would not show
    those of some.
    """
    count = spec.auto_regions or 0
    share = -(-spec.nodes // max(1, count))  # rounded up: the first regions take one more
    if len(present) >= count:  # nothing is open
        return choose(count, present=present, offers=(), nodes=share), ()
    wanted = Wanted(spec.instance_types, spec.requirements, nodes=max(1, share))
    found = await region_offers(calls, wanted, regions=reachable, account=identity.account_id, memory=memory)
    choices = choose(count, present=present, offers=found.regions, nodes=wanted.nodes)
    none = nowhere(choices)
    if found.unseen and none is not None and none.reason is Reason.NO_OFFER:
        raise worst_of(found.unseen)
    return choices, remarks_on(choices, count=count, nodes=wanted.nodes, offers=found)


def with_regions(spec: ClusterSpec, choices: Sequence[Choice]) -> ClusterSpec:
    """The configuration with the chosen regions in the place of `auto`."""
    return replace(spec, regions=tuple(RegionSpec(name) for name in chosen_names(choices)))
