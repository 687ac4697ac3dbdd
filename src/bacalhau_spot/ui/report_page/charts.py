"""The charts of the page, as SVG from altair: without scripts, and with the colours of the page's style sheet.

Each chart is drawn twice, for a wide and for a narrow window: a scaled picture would have unreadable text. Colours are CSS
variables, so that one picture serves the light and the dark scheme.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bacalhau_spot.core.history.timeline import TimelineEventKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bacalhau_spot.core.report.cluster_report import ClusterReport
    from bacalhau_spot.core.report.time_series import NodeCount

# Eight distinguishable colours; more regions share one, which the legend names.
_MOST_REGIONS = 7
_OTHERS = "other regions"
_SPOT, _ON_DEMAND = "spot (paid)", "on demand (comparison)"
_INK, _GRID = "var(--chart-ink)", "var(--chart-grid)"
# Its widths are known without a browser; other fonts of a reader are seldom wider.
_FONT = "Arial, Helvetica, sans-serif"
# A line's name for a screen reader lists every point: the table below has them.
_LABEL = re.compile(r' aria-label="[^"]*"')


class _Size(NamedTuple):
    width: int
    height: int
    ticks: int


_WIDE, _NARROW = _Size(1048, 250, 8), _Size(370, 210, 3)


@dataclass(frozen=True, slots=True)
class Chart:
    """`wide` and `narrow`: SVG. `summary`: the same in one sentence, for readers without the picture."""

    title: str
    summary: str
    wide: str
    narrow: str


def charts(alt: Any, report: ClusterReport) -> tuple[Chart, ...]:
    """Those with data: nodes over time, and the cost over time."""
    made = []
    if report.node_counts:
        made.append(_nodes(alt, report))
    if report.cost_points:
        made.append(_costs(alt, report))
    return tuple(made)


def _nodes(alt: Any, report: ClusterReport) -> Chart:
    regions, rows = node_rows(report)
    most = max(sum(point.nodes.values()) for point in report.node_counts)
    now = sum(report.node_counts[-1].nodes.values())

    def draw(size: _Size) -> str:
        area = (
            alt.Chart(alt.Data(values=rows))
            .mark_area(interpolate="step-after", line={"strokeWidth": 1}, fillOpacity=0.75)
            .encode(
                x=_time(alt, report.node_counts[0].at, report.window.now, size),
                y=alt.Y("nodes:Q", title="nodes", stack="zero", axis=alt.Axis(tickMinStep=1, format="d")),
                color=_colour(alt, "region", regions, size),
                order=alt.Order("order:Q"),
            )
        )
        marks = interruption_rows(report)
        layers = [area, _marks(alt, marks)] if marks else [area]
        return _svg(alt.layer(*layers), size)

    summary = f"At most {most} nodes at once, {now} now. Vertical lines are interruptions by EC2."
    return Chart("Nodes over time", summary, draw(_WIDE), draw(_NARROW))


def node_rows(report: ClusterReport) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """The names of the legend, and a row for each time and name. Regions beyond the colours are one."""
    names = _by_size(report.node_counts)
    shown = names if len(names) <= _MOST_REGIONS + 1 else names[:_MOST_REGIONS]
    legend = (*sorted(shown), *([_OTHERS] if len(names) > len(shown) else []))
    rows = []
    for point in report.node_counts:
        counts = dict.fromkeys(legend, 0)
        for name in names:
            counts[name if name in shown else _OTHERS] += point.nodes[name]
        rows += [
            {"time": _text(point.at), "region": name, "nodes": counts[name], "order": number}
            for number, name in enumerate(legend)
        ]
    return legend, rows


def _by_size(points: Sequence[NodeCount]) -> list[str]:
    """The regions that have had nodes, the largest first."""
    most = {name: max(point.nodes[name] for point in points) for name in points[0].nodes}
    return sorted((name for name in most if most[name]), key=lambda name: (-most[name], name))


def interruption_rows(report: ClusterReport) -> list[dict[str, Any]]:
    """A row for each interruption in the chart's period."""
    start = report.node_counts[0].at
    return [
        {"time": _text(event.at), "node": event.node.id, "zone": event.node.usage.zone}
        for event in report.history.timeline.events
        if event.kind is TimelineEventKind.INTERRUPTED and event.at >= start
    ]


def _marks(alt: Any, rows: list[dict[str, Any]]) -> Any:
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_rule(color="var(--bad)", strokeWidth=2, strokeDash=[4, 3])
        .encode(x="time:T")
    )


def _costs(alt: Any, report: ClusterReport) -> Chart:
    rows = cost_line_rows(report)
    last = report.cost_points[-1]
    names = [_SPOT] if last.on_demand_usd is None else [_SPOT, _ON_DEMAND]

    def draw(size: _Size) -> str:
        line = (
            alt.Chart(alt.Data(values=rows))
            .mark_line(strokeWidth=2.5)
            .encode(
                x=_time(alt, report.cost_points[0].at, report.window.now, size),
                y=alt.Y("usd:Q", title="US dollars", axis=alt.Axis(tickCount=5)),
                color=alt.Color(
                    "kind:N",
                    scale=alt.Scale(domain=names, range=["var(--series-1)", "var(--series-2)"][: len(names)]),
                    legend=_legend(alt, size, symbol="stroke"),
                ),
                strokeDash=alt.StrokeDash(
                    "kind:N",
                    scale=alt.Scale(domain=names, range=[[1, 0], [6, 4]][: len(names)]),
                    legend=_legend(alt, size, symbol="stroke"),
                ),
            )
        )
        return _svg(line, size)

    summary = f"${last.usd:.2f} until now" + (
        "; the on-demand price is unknown."
        if last.on_demand_usd is None
        else f", against ${last.on_demand_usd:.2f} on demand with the same volumes and addresses."
    )
    if not last.complete:
        summary = f"{summary} Hours without a known spot price count as zero."
    return Chart("Cost over time", summary, draw(_WIDE), draw(_NARROW))


def cost_line_rows(report: ClusterReport) -> list[dict[str, Any]]:
    """A row for each time and line; no line for an unknown on-demand price."""
    known = report.cost_points[-1].on_demand_usd is not None
    return [
        {"time": _text(point.at), "kind": kind, "usd": float(usd)}
        for point in report.cost_points
        for kind, usd in ((_SPOT, point.usd), (_ON_DEMAND, point.on_demand_usd if known else None))
        if usd is not None
    ]


def _time(alt: Any, since: datetime, now: datetime, size: _Size) -> Any:
    return alt.X(
        "time:T",
        title="time (UTC)",
        scale=alt.Scale(type="utc", domain=[_text(since), _text(now)]),
        axis=alt.Axis(
            format=_axis_format(since, now),
            labelAngle=0,
            tickCount=size.ticks,
            labelOverlap="greedy",
            labelSeparation=12,
            grid=False,
        ),
    )


_DAY_S = 86400
_DATES_FROM_S = 6 * _DAY_S


def _axis_format(since: datetime, now: datetime) -> str:
    """No two labels are equal: shorter periods have several labels a day."""
    seconds = (now - since).total_seconds()
    return "%H:%M" if seconds <= _DAY_S else "%d %b %H:%M" if seconds < _DATES_FROM_S else "%d %b"


def _colour(alt: Any, field: str, names: Sequence[str], size: _Size) -> Any:
    colours = [f"var(--series-{number + 1})" for number in range(len(names))]
    return alt.Color(
        f"{field}:N",
        scale=alt.Scale(domain=list(names), range=colours),
        legend=_legend(alt, size, symbol="square"),
    )


def _legend(alt: Any, size: _Size, *, symbol: str) -> Any:
    columns = 1 if size is _NARROW else 4
    return alt.Legend(
        title=None,
        orient="top",
        columns=columns,
        columnPadding=32,
        symbolType=symbol,
        symbolSize=140 if symbol == "square" else 500,
        symbolStrokeWidth=1 if symbol == "square" else 3,
        symbolOpacity=1,
    )


def _svg(drawn: Any, size: _Size) -> str:
    import vl_convert  # noqa: PLC0415 - an extra

    styled = (
        drawn.properties(width=size.width - 70, height=size.height, background="transparent", padding=4)
        .configure(font=_FONT)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=_INK,
            titleColor=_INK,
            domainColor=_GRID,
            tickColor=_GRID,
            gridColor=_GRID,
            labelFontSize=13,
            titleFontSize=13,
            titleFontWeight="normal",
        )
        .configure_legend(labelColor=_INK, labelFontSize=13, labelLimit=280)
    )
    svg: str = vl_convert.vegalite_to_svg(styled.to_json())
    return _LABEL.sub("", svg)


def _text(moment: datetime) -> str:
    return str(moment.isoformat(timespec="seconds"))
