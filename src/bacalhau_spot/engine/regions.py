"""Which regions `regions: auto` stands for now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bacalhau_spot.core.choose import choose, chosen_names
from bacalhau_spot.core.model import RegionSpec
from bacalhau_spot.core.remarks import remarks_on
from bacalhau_spot.engine.calls import worst_of
from bacalhau_spot.engine.offers import Wanted, region_offers

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bacalhau_spot.core.choose import Choice
    from bacalhau_spot.core.model import ClusterSpec, Identity
    from bacalhau_spot.engine.calls import Calls
    from bacalhau_spot.engine.memory import Memory


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

    `present`: where the cluster has nodes. Raises CloudError when AWS would show no region's offers.
    """
    count = spec.auto_regions or 0
    share = -(-spec.nodes // max(1, count))  # rounded up: the first regions take one more
    if len(present) >= count:  # nothing is open
        return choose(count, present=present, offers=(), nodes=share), ()
    wanted = Wanted(spec.instance_types, spec.requirements, nodes=max(1, share))
    found = await region_offers(calls, wanted, regions=reachable, account=identity.account_id, memory=memory)
    if found.unseen and not found.looked_into and not present:
        raise worst_of(found.unseen)
    choices = choose(count, present=present, offers=found.regions, nodes=wanted.nodes)
    return choices, remarks_on(choices, count=count, nodes=wanted.nodes, offers=found)


def with_regions(spec: ClusterSpec, choices: Sequence[Choice]) -> ClusterSpec:
    """The configuration with the chosen regions in the place of `auto`."""
    return replace(spec, regions=tuple(RegionSpec(name) for name in chosen_names(choices)))
