"""The rows of `history` for spreadsheets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.ui.csv_output import CsvTable
from bacalhau_spot.ui.json_output.history import history_data
from bacalhau_spot.ui.table_columns import COLUMNS

if TYPE_CHECKING:
    from bacalhau_spot.core.history.history_report import HistoryReport
    from bacalhau_spot.ui.json_output.history import HistoryEventOutput


def history_rows(report: HistoryReport) -> CsvTable:
    """A row for each event of a timeline, the newest last."""
    return CsvTable(
        COLUMNS["history"],
        tuple((report.cluster, *_event_cells(event)) for event in history_data(report)["events"]),
    )


def _event_cells(event: HistoryEventOutput) -> tuple[str, ...]:
    replacement = event["replacement"]
    cells = (
        *(event["at"], event["event"], event["region"], event["zone"], event["type"], event["id"]),
        *(event["age_seconds"], event["usd_per_hour"], event["reason"], event["terminated_by"]),
        event["replaces"],
        replacement and replacement["id"],
        replacement and replacement["launched_after_seconds"],
        replacement and replacement["joined_after_seconds"],
    )
    return tuple("" if cell is None else str(cell) for cell in cells)
