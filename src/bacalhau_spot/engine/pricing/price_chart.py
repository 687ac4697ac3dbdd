"""The price history of a cluster's pools, and the launches and terminations of its instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.pricing.price_chart import price_chart_of
from bacalhau_spot.engine.placement.market import acceptable_types
from bacalhau_spot.engine.pricing.cost import cluster_usage
from bacalhau_spot.engine.pricing.prices import price_history

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import ClusterSpec, Naming
    from bacalhau_spot.core.pricing.cost import Usage
    from bacalhau_spot.core.pricing.price_chart import PriceChart
    from bacalhau_spot.core.pricing.usage_history import LoggedInstance
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

# (type, zone); an empty zone means all of them
_Pools = dict[str, list[tuple[str, str]]]


async def price_chart(
    calls: AwsCalls,
    spec: ClusterSpec,
    naming: Naming,
    *,
    enabled: Sequence[str],
    since: datetime,
    logged: Sequence[LoggedInstance] = (),
    regions: Sequence[str] | None = None,
    types: Sequence[str] | None = None,
) -> tuple[PriceChart, tuple[ApiFailure, ...]]:
    """Of the pools used by the cluster since `since`; without any, or with `regions` or `types`, of all that match.

    Raises CloudError when the credentials are refused.
    """
    found = await cluster_usage(
        calls,
        naming,
        regions=[name for name in enabled if not regions or name in regions],
        logged=logged,
        root_volume_gib=spec.instance.root_volume_gib,
        data_volume_gib=spec.orchestrator.volume_gib,
        since=since,
    )
    usages = [usage for usage in found.market_data if usage.type and usage.spot]
    pools = _used_pools(usages)
    if not pools or regions or types:
        pools = await _configured(calls, spec, enabled=enabled, regions=regions, types=types)
    points, silent = await price_history(
        calls, pools, since=dict.fromkeys(pools, since), now=found.window.now
    )
    made = price_chart_of(naming.tag_value, points, usages, since=since, now=found.window.now)
    return made, (*found.failed_regions, *silent)


def _used_pools(usages: Sequence[Usage]) -> _Pools:
    pools: _Pools = {}
    for usage in usages:
        pools.setdefault(usage.region, []).append((usage.type, usage.zone))
    return pools


async def _configured(
    calls: AwsCalls,
    spec: ClusterSpec,
    *,
    enabled: Sequence[str],
    regions: Sequence[str] | None,
    types: Sequence[str] | None,
) -> _Pools:
    """All zones of the given regions and types, by default the configured ones."""
    named = {region.name: region for region in spec.regions}
    chosen = [name for name in (regions or named or enabled) if name in enabled]
    return {
        name: [
            (type_name, "")
            for type_name in types or await acceptable_types(calls, spec, named.get(name), name)
        ]
        for name in chosen
    }
