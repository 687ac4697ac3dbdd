"""The timeline of a cluster: a row for each event, a summary, and the gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.history.timeline import LossMoment, TimelineEventKind
from bacalhau_spot.ui.end_reason import end_reason_text
from bacalhau_spot.ui.formatting import age, error_label, first_few, plural, usd
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, failed_regions_text, next_commands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from bacalhau_spot.core.history.history_report import HistoryReport
    from bacalhau_spot.core.history.node_records import NodeRecord
    from bacalhau_spot.core.history.timeline import Replacement, TimelineEvent, TimelineSummary
    from bacalhau_spot.core.model import Pool

_COLUMNS = ("time (UTC)", "event", "region", "zone", "node", "type", "age", "per hour", "details")
_MOST_POOLS = 3


def history_view(report: HistoryReport) -> Group:
    """The events, the summary, and the gaps of the sources."""
    parts: list[RenderableType] = []
    timeline = report.timeline
    if timeline.events:
        parts += [_table(timeline.events), *_summary(report)]
    else:
        parts.append(Paragraph(_empty(report), style="bold"))
        parts.extend(next_commands(("bacalhau-spot create",)) if not report.failed_regions else ())
    parts += [
        Paragraph(""),
        Paragraph("Not included:", style="bold"),
        *(Paragraph(f"- {line}", style="dim") for line in history_gaps(report)),
    ]
    parts.extend(failed_regions_text(report.failed_regions))
    return Group(*parts)


def _table(events: Sequence[TimelineEvent]) -> TextTable:
    return TextTable(
        _COLUMNS,
        [_row(event) for event in events],
        right=("age", "per hour"),
        spare=("per hour", "type", "age", "zone"),
        prose=("details",),
    )


def _row(event: TimelineEvent) -> tuple[str, ...]:
    usage = event.node.usage
    launched = event.kind is TimelineEventKind.LAUNCHED
    return (
        f"{event.at:%Y-%m-%d %H:%M:%S}",
        event.kind,
        usage.region,
        usage.zone.removeprefix(usage.region),
        usage.id,
        usage.type,
        "" if launched else age(event.age),
        "" if event.usd_per_hour is None else usd(event.usd_per_hour),
        _details(event),
    )


def _details(event: TimelineEvent) -> str:
    if event.kind is TimelineEventKind.LAUNCHED:
        return f"replaces {event.replaces}" if event.replaces else ""
    if event.kind is TimelineEventKind.INTERRUPTED:
        return "; ".join(
            filter(None, (end_reason_text(event.node.usage.reason), _replaced(event.replacement)))
        )
    return _ended(event.node) if event.kind is TimelineEventKind.TERMINATED else ""


def _replaced(replacement: Replacement | None) -> str:
    """`replaced by i-… 80 min after the notice, joined after 81 min`"""
    if replacement is None:
        return "not replaced"
    moment = "the notice" if replacement.measured_from is LossMoment.NOTICE else "it"
    launched = f"replaced by {replacement.node.id} {age(replacement.launched_after)} after {moment}"
    if replacement.joined_after is None:
        return launched
    return f"{launched}, joined after {age(replacement.joined_after)}"


def _ended(node: NodeRecord) -> str:
    if node.terminated_by:
        return f"by {node.terminated_by} on this machine"
    return end_reason_text(node.usage.reason)


def _summary(report: HistoryReport) -> list[RenderableType]:
    summary, window = report.timeline.summary, report.timeline.window
    begun = f" since {window.since:%Y-%m-%d %H:%M} UTC" if window.since else ""
    lines = [
        Paragraph(
            f"{report.cluster}: {plural(summary.interruptions, 'interruption')}{begun}{_pools(summary.pools)}",
            style="bold",
        )
    ]
    if summary.median_age is not None:
        lines.append(Paragraph(f"median age of an interrupted node: {age(summary.median_age)}"))
    if summary.interruptions:
        lines.append(Paragraph(_median_replacement(summary)))
    return [*lines]


def _median_replacement(summary: TimelineSummary) -> str:
    replaced = f"{summary.replaced} of {summary.interruptions} replaced"
    if summary.median_launched_after is None:
        return replaced
    launched = f"{replaced}: median {age(summary.median_launched_after)} until the launch"
    if summary.median_joined_after is None:
        return f"{launched}; no join is recorded"
    return f"{launched}, {age(summary.median_joined_after)} until joined ({summary.joined} recorded)"


def _pools(counts: Sequence[tuple[Pool, int]]) -> str:
    return f": {pools_text(counts)}" if counts else ""


def pools_text(counts: Sequence[tuple[Pool, int]]) -> str:
    """`t3.medium in us-east-1a (2), m6a.large in eu-west-1b (1)`"""
    return first_few([f"{pool.type} in {pool.zone} ({count})" for pool, count in counts], at_most=_MOST_POOLS)


def _empty(report: HistoryReport) -> str:
    since = report.timeline.window.since
    begun = f" since {since:%Y-%m-%d %H:%M} UTC" if since else ""
    where = plural(len(report.regions_scanned), "region")
    return f"no record of {report.cluster}'s nodes{begun}; scanned {where}"


def history_gaps(report: HistoryReport) -> list[str]:
    """Events that the timeline may lack, the most specific first."""
    lines: list[str] = []
    unknown = report.timeline.unknown_end_ids
    if unknown:
        lines.append(
            f"the end of {plural(len(unknown), 'node')} that AWS no longer lists, which may have been interrupted: "
            f"{first_few(unknown, at_most=2)}"
        )
    if report.api_failure is not None:
        lines.append(
            f"the joins of running nodes: the orchestrator did not answer ({error_label(report.api_failure.code)})"
        )
    elif not report.api:
        lines.append("joins: the configuration has no orchestrator API (bacalhau.api)")
    lines += [f"spot prices in {failure.region} ({error_label(failure.code)})" for failure in report.unpriced]
    log = "this machine's audit log lacks" if report.log_entries else "no audit log on this machine has"
    lines.append(f"events of nodes that ended more than an hour ago, which AWS no longer lists and {log}")
    lines.append("notices and joins that no command on this machine has recorded, of nodes that have ended")
    return lines
