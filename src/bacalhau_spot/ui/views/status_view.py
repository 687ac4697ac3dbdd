"""The cluster's health on one screen: regions, nodes, problems and remedies."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from bacalhau_spot.core.health.diagnosis import Severity
from bacalhau_spot.core.health.observation import ApiAvailability, NodeObservation, StatusCheck
from bacalhau_spot.core.health.orchestrator_status import OrchestratorVerdict
from bacalhau_spot.core.history.interruptions import pool_counts
from bacalhau_spot.core.launch.plan_warnings import version_difference
from bacalhau_spot.core.lifecycle.superseded import superseded
from bacalhau_spot.core.model import OrchestratorMode
from bacalhau_spot.ui.diagnosis_text import diagnosis_text, orchestrator_text
from bacalhau_spot.ui.end_reason import end_reason_text
from bacalhau_spot.ui.formatting import age, comma_list, error_label, first_few, plural
from bacalhau_spot.ui.state_styles import SEVERITY_STYLES, WAITING, diagnosis_style, state_style
from bacalhau_spot.ui.views.blocks import Cell, Paragraph, TextTable, failed_regions_text
from bacalhau_spot.ui.views.cost_line import cost_line
from bacalhau_spot.ui.views.drift_view import drift_lines
from bacalhau_spot.ui.views.expiry_view import expiry_line
from bacalhau_spot.ui.views.groups_view import groups_lines
from bacalhau_spot.ui.views.history_view import pools_text
from bacalhau_spot.ui.views.plan_view import begun_replacements
from bacalhau_spot.ui.views.pools_view import pools_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from bacalhau_spot.core.health.cluster_status import ClusterStatus, Load, NodeStatus, RegionStatus
    from bacalhau_spot.core.health.diagnosis import NodeDiagnosis
    from bacalhau_spot.core.health.orchestrator_status import OrchestratorStatus

_NOTHING = "-"
_GIB = 1024**3
# Part of the window that a command's first words and the prompt need.
_BESIDE = 3
# How much is left out where a window is short: nothing; nodes that are well; rows of nodes; remedies; the regions too.
_LEVELS = 5
_ROWS_OF_ALL, _ROWS_OF_SOME, _NO_ROWS, _NO_REMEDIES, _NO_REGIONS = range(_LEVELS)
# A diagnosis is folded to this width before a column is dropped.
_VERDICT = 36
_NOT_SEEN = "?"
_NUMBERS = ("wanted", "present", "joined", "waiting", "draining", "unknown", "bad", "gone", "cpu", "memory")
_NODE = ("region", "zone", "node", "type", "state", "age", "cpu", "memory", "verdict")
_WIDE = (*_NODE[:-1], "checks", "address", "version", "at the orchestrator", "verdict")


@dataclass(frozen=True)
class StatusView:
    """On a terminal it fits the window: good nodes are dropped first, problems never. `wide`: everything, always.

    `selected`: the id of a node, whose row is never dropped.
    """

    status: ClusterStatus
    wide: bool = False
    selected: str | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.wide or not console.is_terminal:
            yield self.at(0)
            return
        yield self.fitted(console, options, room=console.height - _BESIDE)

    def fitted(self, console: Console, options: ConsoleOptions, *, room: int) -> Group:
        """As complete as `room` lines allow; problems are always shown."""
        for level in range(_LEVELS - 1):
            shown = self.at(level)
            if len(console.render_lines(shown, options, pad=False)) <= room:
                return shown
        return self.at(_LEVELS - 1)

    def at(self, level: int) -> Group:
        """With the omissions of this level."""
        status = self.status if self.wide else self.status.visible
        parts: list[RenderableType] = []
        if status.regions and level < _NO_REGIONS:
            parts.append(_regions(status))
        parts.extend(self._nodes_at(level, status))
        parts.append(_sentence(status))
        parts.extend(cost_line(status.cost))
        parts.extend(expiry_line(status.expiry, now=status.snapshot.taken_at))
        parts.extend(_orchestrator(status))
        parts.extend(drift_lines(status.drifted, nodes=status.total.present))
        parts.extend(pools_line(status.pools))
        parts.extend(_interruptions(status))
        parts.extend(groups_lines(status.snapshot.groups))
        parts.extend(_failures(status))
        if not self.wide and level < _NO_REMEDIES:
            parts.extend(_unlisted(self.status))
        remedies = _to_do(status, ghosts=self.status.stale_nodes)
        if level < _NO_REMEDIES:
            parts.extend(remedies)
        elif remedies:
            parts.append(Paragraph("remedies: `bacalhau-spot status -o wide`", style="cyan"))
        return Group(*parts)

    def _nodes_at(self, level: int, status: ClusterStatus) -> list[RenderableType]:
        if level > _ROWS_OF_SOME:
            chosen = [node for node in status.nodes if node.id == self.selected]
            return [*([_nodes(chosen, status, wide=False)] if chosen else []), *_grouped(status)]
        if level == _ROWS_OF_SOME:
            return _not_good(status, self.selected)
        return [Text(""), _nodes(status.nodes, status, wide=self.wide), Text("")] if status.nodes else []


def _unlisted(status: ClusterStatus) -> list[RenderableType]:
    """`4 instances that have ended are not listed (3 terminated by destroy on this machine, 1 interrupted by AWS); …`"""
    nodes = status.unlisted
    if not nodes:
        return []
    ends = Counter(diagnosis_text(replace(node.diagnosis, time=None, reason="")) for node in nodes)
    how = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    verb = "that has ended is" if len(nodes) == 1 else "that have ended are"
    return [
        Paragraph(
            f"{plural(len(nodes), 'instance')} {verb} not listed ({how}); `-o wide` lists all", style="dim"
        )
    ]


def status_view(status: ClusterStatus, *, wide: bool) -> StatusView:
    return StatusView(status, wide=wide)


def _regions(status: ClusterStatus) -> TextTable:
    region_statuses = status.regions
    unseen = {failure.region for failure in status.snapshot.failed_regions}
    return TextTable(
        ("region", *_NUMBERS),
        [_part(region_status, seen=region_status.name not in unseen) for region_status in region_statuses],
        right=_NUMBERS,
        spare=("memory", "cpu", "wanted"),
        total=_part(status.total)
        if len(region_statuses) > 1 or not all(node.region for node in status.nodes)
        else None,
    )


def _part(region_status: RegionStatus, *, seen: bool = True) -> list[str]:
    """`seen`: AWS returned the number; otherwise it is not shown as zero."""
    load = region_status.load
    return [
        region_status.name,
        "" if region_status.wanted is None else str(region_status.wanted),
        str(region_status.present) if seen else _NOT_SEEN,
        str(region_status.joined) if seen else _NOT_SEEN,
        Cell(_unless_zero(region_status.waiting), WAITING),
        Cell(_unless_zero(region_status.draining), WAITING),
        *(
            Cell(_unless_zero(region_status.count(severity)), SEVERITY_STYLES[severity])
            for severity in (Severity.UNKNOWN, Severity.BAD, Severity.GONE)
        ),
        *_load(load, nothing=""),
    ]


def _unless_zero(count: int) -> str:
    return str(count) if count else ""


def _nodes(nodes: Iterable[NodeStatus], status: ClusterStatus, *, wide: bool) -> TextTable:
    return TextTable(
        _WIDE if wide else _NODE,
        [_row(node, status, wide=wide) for node in nodes],
        right=("age", "cpu", "memory"),
        at_least=_VERDICT,
        spare=("checks", "version", "address", "state", "memory", "type", "cpu", "age", "zone"),
    )


def _row(node: NodeStatus, status: ClusterStatus, *, wide: bool) -> list[str]:
    observation = node.observation
    instance, member = observation.instance, observation.member
    available = status.snapshot.api is ApiAvailability.AVAILABLE
    cells = [
        node.region or _NOTHING,
        node.zone.removeprefix(node.region) or _NOTHING,
        node.id,
        *(
            [instance.type, Cell(instance.state, state_style(instance.state)), age(observation.age)]
            if instance
            else [_NOTHING] * 3
        ),
        *_load(node.load, nothing=_NOTHING if available else ""),
    ]
    if wide:
        cells += [*_reachability(observation), *([member.version, member.id] if member else ["", ""])]
    return [*cells, Cell(diagnosis_text(node.diagnosis), diagnosis_style(node.diagnosis))]


def _reachability(observation: NodeObservation) -> tuple[str, str]:
    """The status checks and the address."""
    instance, checks = observation.instance, observation.checks
    if instance is None:
        return _NOTHING, _NOTHING
    both = {checks.system, checks.instance}
    results = _NOTHING if both == {StatusCheck.NONE} else f"{checks.system}, {checks.instance}"
    return results, instance.public_ip or instance.private_ip or _NOTHING


def _load(load: Load | None, *, nothing: str) -> tuple[str, str]:
    """`1/2` cores, and `1.0/4.0 GiB`."""
    if load is None:
        return nothing, nothing
    memory = f"{load.used.memory_bytes / _GIB:.1f}/{load.total.memory_bytes / _GIB:.1f} GiB"
    return f"{_cores(load.used.cpu)}/{_cores(load.total.cpu)}", memory


def _cores(cpu: Decimal) -> str:
    return f"{cpu:.1f}".removesuffix(".0")


def _not_good(status: ClusterStatus, selected: str | None) -> list[RenderableType]:
    """The rows of nodes with a problem and of the selected node, and the number of the others."""
    telling = [node for node in status.nodes if not node.healthy or node.id == selected]
    rows: list[RenderableType] = [_nodes(telling, status, wide=False)] if telling else []
    others = len(status.nodes) - len(telling)
    if others:
        verb = "is" if others == 1 else "are"
        text = f"{plural(others, 'healthy node')} {verb} not listed; `-o wide` lists all"
        rows.append(Paragraph(text, style="dim"))
    return [Text(""), *rows, Text("")] if rows else []


def _grouped(status: ClusterStatus) -> list[RenderableType]:
    """A line a verdict that is not good, with the nodes that have it."""
    groups: dict[tuple[str, str], list[NodeStatus]] = {}
    for node in status.nodes:
        if not node.healthy:
            groups.setdefault(
                (node.diagnosis.diagnosis, node.diagnosis.reason or node.diagnosis.what), []
            ).append(node)
    ordered = sorted(groups.values(), key=lambda group: _RANK[group[0].diagnosis.severity])
    return [
        Paragraph(
            f"{diagnosis_text(group[0].diagnosis)}: {first_few([node.id for node in group], at_most=2)}",
            style=diagnosis_style(group[0].diagnosis),
        )
        for group in ordered
    ]


_RANK = {
    Severity.BAD: 0,
    Severity.WAITING: 1,
    Severity.UNKNOWN: 2,
    Severity.GONE: 3,
    Severity.GOOD: 4,
}


_ALONE = "running without an orchestrator, as chosen"


def _sentence(status: ClusterStatus) -> RenderableType:
    """`28 of 30 nodes joined, 1 on its way, 1 missing`; `6 of 6 nodes joined, 2 requested: 4 too many`"""
    if not status.nodes and not status.wanted_total:
        where = plural(len(status.snapshot.regions_scanned), "region")
        return Text(f"no nodes of {status.cluster} in {where}", style="bold")
    whole = status.total
    of = whole.present if whole.wanted is None or status.surplus else whole.wanted
    verb = "joined" if status.snapshot.api is ApiAvailability.AVAILABLE else "joined (console)"
    rest = "".join(f", {count} {words}" for count, words in _remarks(status) if count)
    if status.surplus:
        rest += f", {whole.wanted} requested: {status.surplus} too many"
    text = f"{_joined(whole, of=plural(of, 'node'), verb=verb)}{rest}"
    return Paragraph(
        f"{status.cluster}: {text}", style="bold green" if status.matches_spec else "bold yellow"
    )


def _joined(whole: RegionStatus, *, of: str, verb: str) -> str:
    if whole.alone and not whole.joined:
        return f"{whole.alone} of {of} {_ALONE}"
    return f"{whole.joined} of {of} {verb}"


def _remarks(status: ClusterStatus) -> tuple[tuple[int, str], ...]:
    return (
        (status.total.alone if status.total.joined else 0, _ALONE),
        (status.total.waiting, "on the way"),
        (status.total.draining, "draining"),
        (status.total.count(Severity.BAD), "in trouble"),
        (status.total.count(Severity.UNKNOWN), "unknown"),
        (status.missing or 0, "not seen" if status.snapshot.failed_regions else "missing"),
        (len(status.drifted), "drifted"),
    )


def _interruptions(status: ClusterStatus) -> list[RenderableType]:
    """`3 interruptions in the last 24 hours: t3.medium in us-east-1a (2), …; the last 12 min ago: i-… (no capacity)`"""
    records = status.interruptions
    if not records:
        return []
    last = records[-1]
    since = age(status.snapshot.taken_at - last.lost_at) if last.lost_at else ""
    reason = end_reason_text(last.usage.reason)
    why = f" ({reason})" if reason else ""
    text = (
        f"{plural(len(records), 'interruption')} in the last 24 hours: {pools_text(pool_counts(records))}; "
        f"the last {since} ago: {last.id}{why}"
    )
    return [Paragraph(f"{text}; `bacalhau-spot history` lists all")]


def _failures(status: ClusterStatus) -> list[RenderableType]:
    """Failed scans, and their effect on the output."""
    snapshot = status.snapshot
    parts: list[RenderableType] = [*failed_regions_text(snapshot.failed_regions)]
    gaps: dict[tuple[str, str], list[str]] = {}
    for failure in snapshot.partial_failures:
        gaps.setdefault((failure.operation, error_label(failure.code)), []).append(failure.region)
    parts += [
        Paragraph(
            f"{_GAPS.get(operation, operation)} of {comma_list(sorted(regions))} not available ({why})",
            style="yellow",
        )
        for (operation, why), regions in sorted(gaps.items())
    ]
    if status.orchestrator is not None and status.orchestrator.mode is OrchestratorMode.MANAGED:
        return [*parts, *_join_status_source(status)]
    if snapshot.api is ApiAvailability.UNAVAILABLE:
        why = error_label(snapshot.api_failure.code) if snapshot.api_failure else "no answer"
        parts.append(
            Paragraph(
                f"{snapshot.address} did not answer ({why}): join status is read from the consoles",
                style="yellow",
            )
        )
    elif snapshot.api is ApiAvailability.NOT_CONFIGURED and status.nodes and status.orchestrator is not None:
        parts.append(
            Paragraph(
                "the orchestrator's API is not configured (bacalhau.api): join status is read from the consoles, "
                "node load is not available",
                style="dim",
            )
        )
    return parts


def _join_status_source(status: ClusterStatus) -> list[RenderableType]:
    """Without an answer of a managed orchestrator; its own line has the reason."""
    if status.snapshot.api is ApiAvailability.AVAILABLE or not status.nodes:
        return []
    return [Paragraph("join status is read from the consoles, node load is not available", style="dim")]


def _orchestrator(status: ClusterStatus) -> list[RenderableType]:
    """`orchestrator: i-… t3.small in us-east-1a, 198.51.100.7, running, v1.9.3, API answers`; only problems of the user's own."""
    orchestrator = status.orchestrator
    if orchestrator is None or (
        orchestrator.mode is OrchestratorMode.OWN
        and orchestrator.verdict is not OrchestratorVerdict.RESTARTED
    ):
        return []
    instance = orchestrator.instance
    parts = (
        [f"{instance.id} {instance.type} in {instance.zone}", instance.public_ip or "", str(instance.state)]
        if instance is not None
        else [orchestrator.address]
    )
    text = ", ".join(filter(None, (*parts, orchestrator.version, orchestrator_text(orchestrator))))
    line = Paragraph(text, prefix="orchestrator: ", style=_orchestrator_style(orchestrator))
    return [line, *_version_difference(status, orchestrator)]


def _version_difference(status: ClusterStatus, orchestrator: OrchestratorStatus) -> list[RenderableType]:
    """A managed orchestrator with another version than the configuration's."""
    running, configured = orchestrator.version, status.configured_version
    instance = orchestrator.instance if orchestrator.mode is OrchestratorMode.MANAGED else None
    if instance is None or not (running and configured) or running == configured:
        return []
    return [Paragraph(version_difference(running, configured, instance), style="yellow")]


def _orchestrator_style(orchestrator: OrchestratorStatus) -> str:
    """Of the whole line: a good one has no colour."""
    return "" if orchestrator.severity is Severity.GOOD else SEVERITY_STYLES[orchestrator.severity]


# The data of each call.
_GAPS = {
    "DescribeInstanceStatus": "status checks",
    "DescribeSpotInstanceRequests": "spot requests",
    "GetConsoleOutput": "consoles",
}


def _to_do(status: ClusterStatus, *, ghosts: Sequence[NodeStatus]) -> list[RenderableType]:
    """One line a remedy, the first node that needs it named in it."""
    lines = _orchestrator_remedy(status)
    for hint, nodes in _by_remedy(
        node for node in status.nodes if node.diagnosis.severity is Severity.BAD
    ).items():
        who = nodes[0].id if len(nodes) == 1 else f"{nodes[0].id} and {len(nodes) - 1} more"
        lines.append(Paragraph(hint, prefix=f"{who}: "))
    if status.missing and not status.snapshot.failed_regions:
        lines.append(Paragraph("`bacalhau-spot create` launches the missing nodes", prefix="missing: "))
    if status.surplus:
        begun = superseded(status.snapshot.instances)
        remove = "`bacalhau-spot create --allow-removal` drains and terminates them"
        what = begun_replacements(sorted(begun)) if begun else remove
        lines.append(Paragraph(what, prefix="too many: "))
    if ghosts:
        lines.append(Paragraph("`bacalhau-spot prune` removes them from the orchestrator", prefix="gone: "))
    return lines


def _orchestrator_remedy(status: ClusterStatus) -> list[RenderableType]:
    orchestrator = status.orchestrator
    if orchestrator is None or orchestrator.severity is not Severity.BAD or not orchestrator.hint:
        return []
    return [Paragraph(orchestrator.hint, prefix="orchestrator: ")]


def _by_remedy(nodes: Iterable[NodeStatus]) -> dict[str, list[NodeStatus]]:
    """Nodes of one verdict and one reason have one remedy, in the words for the first of them."""
    first: dict[tuple[str, str], str] = {}
    by_hint: dict[str, list[NodeStatus]] = {}
    for node in nodes:
        diagnosis: NodeDiagnosis = node.diagnosis
        hint = first.setdefault((diagnosis.diagnosis, diagnosis.reason), diagnosis.hint)
        if hint:
            by_hint.setdefault(hint, []).append(node)
    return by_hint
