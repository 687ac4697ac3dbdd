"""The tables of a report, for the terminal and for the page: heads and rows of text."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from bacalhau_spot.core.health.diagnosis import Severity
from bacalhau_spot.core.history.timeline import TimelineEventKind
from bacalhau_spot.ui.diagnosis_text import diagnosis_text
from bacalhau_spot.ui.end_reason import end_reason_text
from bacalhau_spot.ui.formatting import age, percent, usd, usd_range

if TYPE_CHECKING:
    from bacalhau_spot.core.history.timeline import TimelineEvent
    from bacalhau_spot.core.pricing.cost import CostTotal
    from bacalhau_spot.core.report.cluster_report import ClusterReport, PoolSummary, RegionSummary

_HOUR_S = Decimal(3600)
_UNKNOWN = "unknown"
_NONE = "-"
_SEVERITIES = (Severity.BAD, Severity.WAITING, Severity.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ReportTable:
    """`right`: heads of columns with numbers; `spare`: columns to drop in a narrow window, in this order.

    `empty`: the sentence in place of a table without rows.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    total: tuple[str, ...] | None = None
    empty: str = ""


_STATE = ("wanted", "present", "joined", "bad")
_MONEY = ("hours", "total", "on demand", "saved", "now per hour")


def region_table(report: ClusterReport) -> ReportTable:
    """The state now, and the costs and interruptions of the period."""
    total = report.status.total
    return ReportTable(
        "Regions",
        ("region", *_STATE, "interruptions", *_MONEY),
        tuple((region.name, *_region_cells(region)) for region in report.regions),
        right=(*_STATE, "interruptions", *_MONEY),
        spare=("hours", "bad", "wanted", "now per hour", "on demand", "saved"),
        total=(
            "total",
            "" if total.wanted is None else str(total.wanted),
            str(total.present),
            str(total.joined),
            str(total.count(Severity.BAD)),
            str(report.history.timeline.summary.interruptions),
            *_cost_cells(report.cost.total),
        ),
        empty="no node and no cost in the period",
    )


def _region_cells(region: RegionSummary) -> tuple[str, ...]:
    status = region.status
    state = (
        (
            "" if status.wanted is None else str(status.wanted),
            str(status.present),
            str(status.joined),
            str(status.count(Severity.BAD)),
        )
        if status
        else ("", "0", "0", "0")
    )
    cells = _cost_cells(region.cost) if region.cost else ("",) * len(_MONEY)
    return (*state, str(region.interruptions), *cells)


def _cost_cells(total: CostTotal) -> tuple[str, ...]:
    more = "+" if total.unpriced_s else ""
    return (
        _hours(total.seconds),
        usd(total.usd) + more,
        _UNKNOWN if total.on_demand_usd is None else usd(total.on_demand_usd),
        "" if total.saving is None else percent(total.saving),
        _UNKNOWN if total.current_usd_per_hour is None else usd(total.current_usd_per_hour),
    )


def _hours(seconds: Decimal) -> str:
    return str((seconds / _HOUR_S).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP))


_PRICES = ("price now", "average", "range")


def pool_table(report: ClusterReport) -> ReportTable:
    """The pools in use in the period."""
    numbers = ("nodes", "launched", "interruptions", "hours", "total", *_PRICES)
    return ReportTable(
        "Capacity pools",
        ("zone", "type", *numbers),
        tuple(_pool_row(pool) for pool in report.pools),
        right=numbers,
        spare=("hours", "range", "average", "launched", "price now"),
        empty="no spot node in the period",
    )


def _pool_row(pool: PoolSummary) -> tuple[str, ...]:
    prices = pool.prices
    return (
        pool.pool.zone,
        pool.pool.type,
        str(pool.nodes),
        str(pool.cost.instances),
        str(pool.interruptions),
        _hours(pool.cost.seconds),
        usd(pool.cost.usd) + ("+" if pool.cost.unpriced_s else ""),
        *(
            (usd(prices.last), usd(prices.average), usd_range(prices.low, prices.high))
            if prices
            else (_UNKNOWN,) * len(_PRICES)
        ),
    )


_AFTER = ("launched after", "joined after")


def interruption_table(report: ClusterReport) -> ReportTable:
    """The interruptions of the period, the newest first."""
    events = [
        event
        for event in reversed(report.history.timeline.events)
        if event.kind is TimelineEventKind.INTERRUPTED
    ]
    return ReportTable(
        "Interruptions",
        ("time (UTC)", "node", "zone", "type", "age", "per hour", "reason", "replacement", *_AFTER),
        tuple(_interruption_row(event) for event in events),
        right=("age", "per hour", *_AFTER),
        spare=("per hour", "type", "age", "zone", "launched after", "joined after"),
        empty="no interruption is recorded in the period",
    )


def _interruption_row(event: TimelineEvent) -> tuple[str, ...]:
    usage, replacement = event.node.usage, event.replacement
    answer = ("not replaced", "", "")
    if replacement is not None:
        joined = "unknown" if replacement.joined_after is None else age(replacement.joined_after)
        answer = (replacement.node.id, age(replacement.launched_after), joined)
    return (
        f"{event.at:%Y-%m-%d %H:%M}",
        usage.id,
        usage.zone,
        usage.type,
        age(event.age),
        "" if event.usd_per_hour is None else usd(event.usd_per_hour),
        end_reason_text(usage.reason) or _NONE,
        *answer,
    )


def drift_table(report: ClusterReport) -> ReportTable:
    """A row for each difference of a node from the configuration."""
    return ReportTable(
        "Drift",
        ("node", "zone", "key", "launched with", "configuration"),
        tuple(
            (node.instance.id, node.instance.zone, each.key, each.was, each.now)
            for node in report.status.drifted
            for each in node.differences
        ),
        spare=("zone",),
        empty="no node differs from the configuration",
    )


def trouble_table(report: ClusterReport) -> ReportTable:
    """The nodes that are not well, the worst first."""
    nodes = [
        node
        for severity in _SEVERITIES
        for node in report.status.visible.nodes
        if node.diagnosis.severity is severity
    ]
    return ReportTable(
        "Starting and unhealthy nodes",
        ("node", "zone", "severity", "verdict"),
        tuple(
            (node.id, node.zone or _NONE, str(node.diagnosis.severity), diagnosis_text(node.diagnosis))
            for node in nodes
        ),
        spare=("zone",),
        empty="every node is healthy" if report.status.visible.nodes else "there is no node",
    )
