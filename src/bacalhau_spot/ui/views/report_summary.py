"""The sentences of a report: its main figures and its gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.ui.formatting import age, error_label, percent, plural, usd
from bacalhau_spot.ui.views.cost_view import assumptions, gaps
from bacalhau_spot.ui.views.history_view import history_gaps

if TYPE_CHECKING:
    from bacalhau_spot.core.report.cluster_report import ClusterReport


@dataclass(frozen=True, slots=True)
class Figure:
    """One main figure: `value` in large type, `label` above it and `detail` below it."""

    label: str
    value: str
    detail: str = ""


def figures(report: ClusterReport) -> tuple[Figure, ...]:
    """Nodes, cost, saving, interruptions, drift."""
    return (_nodes(report), _cost(report), _rate(report), _interruptions(report), _drift(report))


def _nodes(report: ClusterReport) -> Figure:
    total = report.status.total
    wanted = total.wanted if total.wanted is not None else total.present
    parts = [plural(total.present, "node") + " present"]
    if report.status.missing:
        parts.append(f"{report.status.missing} missing")
    if report.status.surplus:
        parts.append(f"{report.status.surplus} surplus")
    return Figure("nodes joined", f"{total.joined} of {wanted}", ", ".join(parts))


def _cost(report: ClusterReport) -> Figure:
    total = report.cost.total
    least = "at least " if total.unpriced_s else ""
    if total.on_demand_usd is None:
        detail = "on demand: unknown"
    else:
        saved = "" if total.saving is None else f", {percent(total.saving)} saved"
        detail = f"on demand {usd(total.on_demand_usd)}{saved}"
    return Figure("cost in the period", f"{least}{usd(total.usd)}", detail)


def _rate(report: ClusterReport) -> Figure:
    rate = report.cost.total.current_usd_per_hour
    running = plural(report.cost.total.running, "running node")
    return Figure("cost per hour now", "unknown" if rate is None else usd(rate), running)


def _interruptions(report: ClusterReport) -> Figure:
    summary = report.history.timeline.summary
    if not summary.interruptions:
        return Figure("interruptions", "0", "none is recorded")
    detail = f"{summary.replaced} replaced"
    if summary.median_launched_after is not None:
        detail = f"{detail}, launched after {age(summary.median_launched_after)} (median)"
    return Figure("interruptions", str(summary.interruptions), detail)


def _drift(report: ClusterReport) -> Figure:
    count = len(report.status.drifted)
    detail = "as configured" if not count else "launched with other values"
    if report.status.missing is None:
        return Figure("drifted nodes", "unknown", "not the configuration's cluster")
    if not report.status.visible.nodes:
        detail = "there is no node"
    return Figure("drifted nodes", str(count), detail)


def period(report: ClusterReport) -> str:
    """`2026-11-01 12:00 to 2026-11-29 05:23 UTC`"""
    begun = report.window.since
    if report.cost_points:
        begun = report.cost_points[0].at
    start = f"{begun:%Y-%m-%d %H:%M} to " if begun else ""
    return f"{start}{report.window.now:%Y-%m-%d %H:%M} UTC"


def unknowns(report: ClusterReport) -> tuple[str, ...]:
    """The assumptions and gaps, each once."""
    failed = sorted(
        {
            f"{failure.region or failure.operation}: {failure.operation} failed ({error_label(failure.code)})"
            for failure in report.failures
        }
    )
    lines = (*failed, *assumptions(report.cost), *gaps(report.cost), *history_gaps(report.history))
    return tuple(dict.fromkeys(lines))
