"""The output of `report` for programs."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict

from bacalhau_spot.ui.json_output.cost import CostOutput, CostSumOutput, cost_data, sum_data
from bacalhau_spot.ui.json_output.history import HistoryOutput, history_data
from bacalhau_spot.ui.json_output.status import StatusOutput, status_data
from bacalhau_spot.ui.json_output.values import Amount, Count, Time, exact, hours, optional_time, time_text

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from bacalhau_spot.core.pricing.price_statistics import PriceStatistics
    from bacalhau_spot.core.report.cluster_report import ClusterReport, PoolSummary
    from bacalhau_spot.core.report.time_series import CostPoint, NodeCount


class RegionNodesOutput(TypedDict):
    region: str
    nodes: Count


class NodeCountOutput(TypedDict):
    at: Time
    regions: list[RegionNodesOutput]
    """the nodes of each region from then on"""


class CostPointOutput(TypedDict):
    at: Time
    usd: Amount
    """US dollars from the first point until then"""
    on_demand_usd: Amount | None
    """US dollars, the same on demand; null if unknown"""
    complete: bool
    """false: hours without a known spot price count as zero"""


class PriceStatisticsOutput(TypedDict):
    """US dollars per hour, of one capacity pool."""

    average: Amount
    """weighted by time"""
    low: Amount
    high: Amount
    last: Amount
    known_hours: Amount
    """the part of the period for which AWS returned a price"""


class PoolSummaryOutput(TypedDict):
    region: str
    zone: str
    type: str
    """instance type"""
    nodes: Count
    """spot nodes now"""
    interruptions: Count
    cost: CostSumOutput
    prices: PriceStatisticsOutput | None
    """in the period; null if AWS returned none"""


class ReportOutput(TypedDict):
    """The data of the page. The last points of both series are those of `now`."""

    cluster: str
    since: Time | None
    now: Time
    status: StatusOutput
    cost: CostOutput
    history: HistoryOutput
    nodes_over_time: list[NodeCountOutput]
    """at each launch and end of a node; empty without nodes in the period"""
    cost_over_time: list[CostPointOutput]
    """cumulative; empty without costs in the period"""
    pools: list[PoolSummaryOutput]
    """the capacity pools in use in the period, the most expensive first"""
    page: str | None
    """the file with the page"""


def report_data(report: ClusterReport, *, page: Path | None = None) -> ReportOutput:
    return {
        "cluster": report.cluster,
        "since": optional_time(report.window.since),
        "now": time_text(report.window.now),
        "status": status_data(report.status),
        "cost": cost_data(report.cost),
        "history": history_data(report.history),
        "nodes_over_time": [_node_count(point) for point in report.node_counts],
        "cost_over_time": [_cost_point(point) for point in report.cost_points],
        "pools": [_pool(pool) for pool in report.pools],
        "page": None if page is None else str(page),
    }


def _node_count(point: NodeCount) -> NodeCountOutput:
    regions: list[RegionNodesOutput] = [
        {"region": region, "nodes": count} for region, count in point.nodes.items()
    ]
    return {"at": time_text(point.at), "regions": regions}


def _cost_point(point: CostPoint) -> CostPointOutput:
    return {
        "at": time_text(point.at),
        "usd": exact(point.usd),
        "on_demand_usd": exact(point.on_demand_usd),
        "complete": point.complete,
    }


def _pool(summary: PoolSummary) -> PoolSummaryOutput:
    return {
        "region": summary.region,
        "zone": summary.pool.zone,
        "type": summary.pool.type,
        "nodes": summary.nodes,
        "interruptions": summary.interruptions,
        "cost": sum_data(summary.cost),
        "prices": None if summary.prices is None else price_statistics_data(summary.prices),
    }


def price_statistics_data(prices: PriceStatistics) -> PriceStatisticsOutput:
    return {
        "average": exact(prices.average),
        "low": exact(prices.low),
        "high": exact(prices.high),
        "last": exact(prices.last),
        "known_hours": span_hours(prices.known),
    }


def span_hours(span: timedelta) -> str:
    return hours(Decimal(int(span.total_seconds())))
