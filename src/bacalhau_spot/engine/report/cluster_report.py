"""The report about a cluster: the result of a check, and the usage and prices since the beginning of the period."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.health.observation import ApiAvailability
from bacalhau_spot.core.history.history_report import HistoryReport
from bacalhau_spot.core.history.node_records import node_records
from bacalhau_spot.core.history.timeline import cluster_timeline
from bacalhau_spot.core.model import Pool
from bacalhau_spot.core.pricing.cost import PriceSteps
from bacalhau_spot.core.pricing.price_statistics import price_statistics
from bacalhau_spot.core.pricing.usage_history import AwsInventory
from bacalhau_spot.core.report.cluster_report import ClusterReport
from bacalhau_spot.core.report.time_series import cost_points, node_counts, series_start
from bacalhau_spot.engine.pricing.cost import priced_report, usage_prices

if TYPE_CHECKING:
    from datetime import datetime

    from bacalhau_spot.core.health.cluster_status import ClusterStatus
    from bacalhau_spot.core.model import PricePoint
    from bacalhau_spot.core.pricing.price_statistics import PriceStatistics
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.history.cluster_history import LogRecords
    from bacalhau_spot.engine.pricing.cost import ClusterUsage, UsagePrices


async def cluster_report(
    calls: AwsCalls, status: ClusterStatus, usage: ClusterUsage, *, log: LogRecords
) -> ClusterReport:
    """`status` and `usage`: of the same cluster, a moment ago. The calls are those for prices in `cost`. Raises nothing."""
    prices = await usage_prices(calls, usage)
    steps = PriceSteps(prices.points)
    return ClusterReport(
        status=status,
        cost=priced_report(usage, prices),
        history=_history(status, usage, prices, steps, log),
        node_counts=node_counts(usage.market_data, usage.window),
        cost_points=cost_points(usage.market_data, steps, prices.rates, usage.window),
        prices=_pool_prices(usage, prices),
    )


def _history(
    status: ClusterStatus, usage: ClusterUsage, prices: UsagePrices, steps: PriceSteps, log: LogRecords
) -> HistoryReport:
    """As `history` makes it, from the data of the check."""
    snapshot = status.snapshot
    records = node_records(
        AwsInventory(instances=snapshot.instances, requests=snapshot.requests),
        log.logged,
        now=usage.window.now,
        listing=snapshot.listing,
        terminated_by=log.terminated_by,
    )
    return HistoryReport(
        cluster=usage.cluster,
        timeline=cluster_timeline(
            records,
            steps,
            usage.window,
            failed_regions=[failure.region for failure in snapshot.failed_regions],
        ),
        records=records,
        regions_scanned=snapshot.regions_scanned,
        failed_regions=snapshot.failed_regions,
        unpriced=prices.unpriced,
        api=snapshot.api is not ApiAvailability.NOT_CONFIGURED,
        api_failure=snapshot.api_failure,
        log_entries=bool(log.logged),
    )


def _pool_prices(usage: ClusterUsage, prices: UsagePrices) -> dict[Pool, PriceStatistics]:
    start = series_start(usage.market_data, usage.window)
    by_pool: dict[Pool, list[PricePoint]] = {}
    for points in prices.points.values():
        for point in points:
            by_pool.setdefault(Pool(point.type, point.zone), []).append(point)
    found = {pool: _statistics(points, start, usage.window.now) for pool, points in by_pool.items()}
    return {pool: statistics for pool, statistics in found.items() if statistics is not None}


def _statistics(points: list[PricePoint], since: datetime, until: datetime) -> PriceStatistics | None:
    return price_statistics(points, since=since, until=until) if since < until else None
