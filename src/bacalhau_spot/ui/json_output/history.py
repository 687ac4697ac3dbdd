"""The output of `history` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from bacalhau_spot.core.history.timeline import LossMoment, TimelineEventKind
from bacalhau_spot.ui.json_output.values import (
    Amount,
    Count,
    ProblemOutput,
    Time,
    exact,
    optional_time,
    problem_data,
    time_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from bacalhau_spot.core.history.history_report import HistoryReport
    from bacalhau_spot.core.history.timeline import Replacement, TimelineEvent, TimelineSummary
    from bacalhau_spot.core.model import Pool


class ReplacementOutput(TypedDict):
    """The next launch in answer to an interruption: in the same region, otherwise in another one."""

    id: str
    region: str
    zone: str
    type: str
    launched_at: Time
    joined_at: Time | None
    """null if the join has no record"""
    measured_from: LossMoment
    """`interruption` if the notice has no record"""
    launched_after_seconds: Count
    joined_after_seconds: Count | None


class HistoryEventOutput(TypedDict):
    at: Time
    event: TimelineEventKind
    id: str
    """of the instance"""
    region: str
    zone: str
    type: str
    spot: bool
    age_seconds: Count
    """of the node, at that time"""
    usd_per_hour: Amount | None
    """US dollars, the pool's spot price at that time; null if unknown"""
    reason: str | None
    """AWS's code, of an end"""
    terminated_by: str | None
    """the command on this machine that terminated it; null: another machine, AWS or a user"""
    replaces: str | None
    """of a launch: the interrupted node that it replaces"""
    replacement: ReplacementOutput | None
    """of an interruption; null: no launch in answer is recorded"""


class InterruptedPoolCountOutput(TypedDict):
    type: str
    """instance type"""
    zone: str
    interruptions: Count


class HistorySummaryOutput(TypedDict):
    interruptions: Count
    replaced: Count
    """interrupted nodes with a replacement"""
    replacements_joined: Count
    """replacements whose join has a record"""
    median_age_seconds: Count | None
    """of interrupted nodes; null without one"""
    median_launched_after_seconds: Count | None
    """from the notice, or from the interruption, until the replacement was launched"""
    median_joined_after_seconds: Count | None
    """until it joined"""
    pools: list[InterruptedPoolCountOutput]
    """the pools with the most interruptions first"""


class HistoryOutput(TypedDict):
    """[History](history.md) describes the sources. `-o csv` prints one row per event."""

    cluster: str
    since: Time
    now: Time
    summary: HistorySummaryOutput
    events: list[HistoryEventOutput]
    """the newest last"""
    unknown_end_ids: list[str]
    """ids of nodes that ended without a recorded termination; they may have been interrupted"""
    log_entries: bool
    """whether this machine's audit log has entries of the cluster"""
    orchestrator_problem: ProblemOutput | None
    """why the orchestrator did not return the joins of running nodes"""
    regions_scanned: list[str]
    failed_regions: list[ProblemOutput]
    """regions that could not be scanned"""
    unpriced: list[ProblemOutput]
    """prices that could not be read"""


def history_data(report: HistoryReport) -> HistoryOutput:
    timeline = report.timeline
    window = timeline.window
    return {
        "cluster": report.cluster,
        "since": time_text(window.since or window.now),
        "now": time_text(window.now),
        "summary": _summary(timeline.summary),
        "events": [_event(event) for event in timeline.events],
        "unknown_end_ids": list(timeline.unknown_end_ids),
        "log_entries": report.log_entries,
        "orchestrator_problem": None if report.api_failure is None else problem_data(report.api_failure),
        "regions_scanned": list(report.regions_scanned),
        "failed_regions": [*map(problem_data, report.failed_regions)],
        "unpriced": [*map(problem_data, report.unpriced)],
    }


def _summary(summary: TimelineSummary) -> HistorySummaryOutput:
    return {
        "interruptions": summary.interruptions,
        "replaced": summary.replaced,
        "replacements_joined": summary.joined,
        "median_age_seconds": whole_seconds(summary.median_age),
        "median_launched_after_seconds": whole_seconds(summary.median_launched_after),
        "median_joined_after_seconds": whole_seconds(summary.median_joined_after),
        "pools": interrupted_pools_data(summary.pools),
    }


def interrupted_pools_data(counts: Sequence[tuple[Pool, int]]) -> list[InterruptedPoolCountOutput]:
    return [{"type": pool.type, "zone": pool.zone, "interruptions": count} for pool, count in counts]


def whole_seconds(span: timedelta | None) -> int | None:
    return None if span is None else max(0, int(span.total_seconds()))


def _event(event: TimelineEvent) -> HistoryEventOutput:
    usage = event.node.usage
    over = event.kind in {TimelineEventKind.INTERRUPTED, TimelineEventKind.TERMINATED}
    return {
        "at": time_text(event.at),
        "event": event.kind,
        "id": usage.id,
        "region": usage.region,
        "zone": usage.zone,
        "type": usage.type,
        "spot": usage.spot,
        "age_seconds": whole_seconds(event.age) or 0,
        "usd_per_hour": exact(event.usd_per_hour),
        "reason": (usage.reason or None) if over else None,
        "terminated_by": (event.node.terminated_by or None) if over else None,
        "replaces": event.replaces or None,
        "replacement": None if event.replacement is None else _replacement(event.replacement),
    }


def _replacement(replacement: Replacement) -> ReplacementOutput:
    node = replacement.node
    return {
        "id": node.id,
        "region": node.region,
        "zone": node.usage.zone,
        "type": node.usage.type,
        "launched_at": time_text(node.started_at),
        "joined_at": optional_time(node.joined_at),
        "measured_from": replacement.measured_from,
        "launched_after_seconds": whole_seconds(replacement.launched_after) or 0,
        "joined_after_seconds": whole_seconds(replacement.joined_after),
    }
