"""The report on a terminal: the main figures, the tables, and the gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, next_commands
from bacalhau_spot.ui.views.drift_view import drift_lines
from bacalhau_spot.ui.views.report_summary import figures, period, unknowns
from bacalhau_spot.ui.views.report_tables import (
    ReportTable,
    interruption_table,
    pool_table,
    region_table,
    trouble_table,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from bacalhau_spot.core.report.cluster_report import ClusterReport


def report_view(report: ClusterReport, *, page: Path | None = None) -> Group:
    """As the page, without its charts. `page`: the file that was written."""
    parts: list[RenderableType] = [Paragraph(f"{report.cluster}: {period(report)}", style="bold")]
    parts += [
        Paragraph(
            f"{figure.value}{f' ({figure.detail})' if figure.detail else ''}", prefix=f"{figure.label}: "
        )
        for figure in figures(report)
    ]
    for table in (
        region_table(report),
        pool_table(report),
        interruption_table(report),
        trouble_table(report),
    ):
        parts += _table(table)
    drift = drift_lines(report.status.drifted, nodes=report.status.total.present)
    parts += [Paragraph(""), *drift] if drift else []
    parts += [Paragraph(""), Paragraph("Not included or assumed:", style="bold")]
    parts += [Paragraph(f"- {line}", style="dim") for line in unknowns(report)]
    if page is None:
        parts += next_commands(("bacalhau-spot report -o html",))
    else:
        parts += [Paragraph(""), page_written_view(page)]
    return Group(*parts)


def _table(table: ReportTable) -> list[RenderableType]:
    shown: RenderableType = Paragraph(table.empty)
    if table.rows:
        total = table.total if len(table.rows) > 1 else None
        shown = TextTable(table.heads, table.rows, right=table.right, spare=table.spare, total=total)
    return [Paragraph(""), Paragraph(table.title, style="bold"), shown]


def page_written_view(path: Path) -> Paragraph:
    """The result of `-o html` on a terminal, or with `--output-file`."""
    return Paragraph(f"wrote {path}", whole=True)
