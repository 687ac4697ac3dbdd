"""Chooses the regions for `regions: auto`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bacalhau_spot.core.model import RegionSpec
from bacalhau_spot.core.placement.region_selection import (
    RegionReason,
    explain_no_region,
    select_regions,
    selected_names,
    selection_notes,
)
from bacalhau_spot.engine.aws_calls.caller import most_severe_error
from bacalhau_spot.engine.placement.offers import OffersQuery, region_offers

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bacalhau_spot.core.model import ClusterSpec, Identity
    from bacalhau_spot.core.placement.region_selection import RegionDecision
    from bacalhau_spot.engine.aws_calls.cache import Cache
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


async def choose_regions(
    calls: AwsCalls,
    spec: ClusterSpec,
    *,
    reachable: Sequence[str],
    present: Collection[str],
    identity: Identity,
    cache: Cache,
) -> tuple[tuple[RegionDecision, ...], tuple[str, ...]]:
    """The decision for each region where `auto` leaves it open, and notes about the choice.

    `present`: the regions with nodes of the cluster. Raises CloudError if no region is known to have offers and the
    offers of some could not be read.
    """
    count = spec.auto_regions or 0
    share = -(-spec.nodes // max(1, count))  # rounded up: the first regions get one more
    if len(present) >= count:  # all regions are decided
        return select_regions(count, present=present, offers=(), nodes=share), ()
    query = OffersQuery(spec.instance_types, spec.requirements, nodes=max(1, share))
    offers = await region_offers(calls, query, regions=reachable, account=identity.account_id, cache=cache)
    decisions = select_regions(count, present=present, offers=offers.regions, nodes=query.nodes)
    none = explain_no_region(decisions)
    if offers.failed_regions and none is not None and none.reason is RegionReason.NO_OFFER:
        raise most_severe_error(offers.failed_regions)
    return decisions, selection_notes(decisions, count=count, nodes=query.nodes, offers=offers)


def with_regions(spec: ClusterSpec, decisions: Sequence[RegionDecision]) -> ClusterSpec:
    """The configuration with the chosen regions in place of `auto`."""
    return replace(spec, regions=tuple(RegionSpec(name) for name in selected_names(decisions)))
