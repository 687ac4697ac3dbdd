"""The cost of a cluster: its usage, from AWS and the audit log, and the prices during that time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.pricing.cost import PriceSteps, Window, charge
from bacalhau_spot.core.pricing.cost_report import CostReport
from bacalhau_spot.core.pricing.usage_history import AwsInventory, usage_history
from bacalhau_spot.core.tags import cluster_scope
from bacalhau_spot.engine.aws_calls.discovery import check_permitted, in_all_regions
from bacalhau_spot.engine.pricing.prices import HISTORY_DAYS, price_history, rates

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import Naming, PricePoint
    from bacalhau_spot.core.pricing.cost import Rates, Usage
    from bacalhau_spot.core.pricing.usage_history import LoggedInstance, UsageHistory
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.cache import Cache
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

_OF_INTEREST = frozenset(
    {ResourceKind.INSTANCE, ResourceKind.SPOT_REQUEST, ResourceKind.VOLUME, ResourceKind.ADDRESS}
)


@dataclass(frozen=True, slots=True)
class ClusterUsage:
    """`history`: all usage; `market_data`: usage within the window; `log_entries`: whether the audit log has any."""

    cluster: str
    window: Window
    history: UsageHistory
    market_data: tuple[Usage, ...]
    regions_scanned: tuple[str, ...]
    failed_regions: tuple[ApiFailure, ...]
    log_entries: bool


async def cluster_usage(
    calls: AwsCalls,
    naming: Naming,
    *,
    regions: Sequence[str],
    logged: Sequence[LoggedInstance] = (),
    root_volume_gib: int,
    data_volume_gib: int,
    since: datetime | None = None,
) -> ClusterUsage:
    """Scan all `regions`. `root_volume_gib` of nodes, `data_volume_gib` of an orchestrator: the sizes of deleted volumes.

    Raises CloudError when the credentials are refused.
    """
    answers, unseen = await in_all_regions(regions, lambda region: _inventory(calls, naming, region))
    check_permitted(answers, unseen)
    window = Window(now=calls.clock.now().replace(microsecond=0), since=since)
    lives = usage_history(
        merged_inventory(answers.values()),
        logged,
        root_volume_gib=root_volume_gib,
        data_volume_gib=data_volume_gib,
        now=window.now,
    )
    usages = tuple(usage for usage in lives.usages if since is None or usage.end(window.now) >= since)
    return ClusterUsage(
        naming.tag_value, window, lives, usages, tuple(answers), unseen, log_entries=bool(logged)
    )


def merged_inventory(regions: Collection[AwsInventory]) -> AwsInventory:
    """The data of all regions."""
    return AwsInventory(
        instances=tuple(instance for region in regions for instance in region.instances),
        requests=tuple(request for region in regions for request in region.requests),
        volumes=tuple(resource for region in regions for resource in region.volumes),
        addresses=tuple(resource for region in regions for resource in region.addresses),
    )


@dataclass(frozen=True, slots=True)
class UsagePrices:
    """The prices during the usage, by region. `unpriced`: failed requests for spot prices, `unlisted` for list prices."""

    points: Mapping[str, tuple[PricePoint, ...]]
    rates: Rates
    unpriced: tuple[ApiFailure, ...] = ()
    unlisted: tuple[ApiFailure, ...] = ()


async def usage_prices(
    calls: AwsCalls, usage: ClusterUsage, *, unasked: Collection[str] = (), memory: Cache | None = None
) -> UsagePrices:
    """One call per region with spot instances and two for all. AWS's refusals are in the result. Raises nothing.

    `unasked`: regions that are not asked for spot prices, because they have not answered a moment ago, or their prices are
    known. `memory`: of list prices.
    """
    window, priced = usage.window, [life for life in usage.market_data if life.type]
    pools = {region: here for region, here in spot_pools(priced).items() if region not in unasked}
    (points, silent), (lists, refused) = await asyncio.gather(
        price_history(calls, pools, since=first_starts(priced, window), now=window.now),
        rates(
            calls,
            regions=sorted({life.region for life in usage.market_data}),
            types=sorted({life.type for life in priced}),
            memory=memory,
        ),
    )
    return UsagePrices(points, lists, silent, refused)


async def cost_report(calls: AwsCalls, usage: ClusterUsage, *, unasked: Collection[str] = ()) -> CostReport:
    """Price the usage. Prices that AWS refuses to return are listed in the report. Raises nothing."""
    return priced_report(usage, await usage_prices(calls, usage, unasked=unasked))


def priced_report(usage: ClusterUsage, prices: UsagePrices) -> CostReport:
    """The usage at these prices."""
    window, steps = usage.window, PriceSteps(prices.points)
    return CostReport(
        cluster=usage.cluster,
        window=window,
        charges=tuple(charge(life, steps, prices.rates, window) for life in usage.market_data),
        usages=usage.history,
        regions_scanned=usage.regions_scanned,
        failed_regions=usage.failed_regions,
        unpriced=prices.unpriced,
        unlisted_prices=prices.unlisted,
        log_entries=usage.log_entries,
    )


async def instance_records(calls: AwsCalls, naming: Naming, region: str) -> AwsInventory:
    """The cluster's instances and spot requests in the region: one call for each kind. Raises CloudError."""
    key, value = naming.tag_key, naming.tag_value
    instances, requests = await asyncio.gather(
        calls.read(region, lambda: calls.cloud.instances(region, key=key, value=value)),
        calls.read(region, lambda: calls.cloud.spot_requests(region, key=key, value=value)),
    )
    return AwsInventory(instances=instances, requests=requests)


async def _inventory(calls: AwsCalls, naming: Naming, region: str) -> AwsInventory:
    """One call in a region without the cluster's resources, four in the others, and one more for an Elastic IP address."""
    scope = cluster_scope(naming)
    tagged = await calls.read(region, lambda: calls.cloud.tagged(region, scope))
    if not any(resource.kind in _OF_INTEREST for resource in tagged):
        return AwsInventory()
    addressed = any(resource.kind == ResourceKind.ADDRESS for resource in tagged)
    records, volumes, addresses = await asyncio.gather(
        instance_records(calls, naming, region),
        calls.read(region, lambda: calls.cloud.find(region, ResourceKind.VOLUME, scope)),
        calls.read(region, lambda: calls.cloud.find(region, ResourceKind.ADDRESS, scope))
        if addressed
        else asyncio.sleep(0, ()),
    )
    return replace(records, volumes=volumes, addresses=addresses)


def spot_pools(usages: Sequence[Usage]) -> dict[str, list[tuple[str, str]]]:
    """The pools of spot instances as (type, zone), by region."""
    results: dict[str, list[tuple[str, str]]] = {}
    for usage in usages:
        if usage.spot:
            results.setdefault(usage.region, []).append((usage.type, usage.zone))
    return results


def first_starts(usages: Sequence[Usage], window: Window) -> dict[str, datetime]:
    """The start of each region's price history: the first launch there, or the instance-hour that contains `since`."""
    earliest = window.now - timedelta(days=HISTORY_DAYS)
    if window.since is not None:
        earliest = max(earliest, window.since - timedelta(hours=1))
    results: dict[str, datetime] = {}
    for usage in usages:
        results[usage.region] = min(results.get(usage.region, window.now), usage.started_at)
    return {region: max(begun, earliest) for region, begun in results.items()}
