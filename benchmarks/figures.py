"""Figures with their limits, as a table in the terminal, in Markdown and as JSON."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH = 100
_FIGURE, _LIMIT, _VERDICT = 12, 12, 14
_NAME = WIDTH - _FIGURE - _LIMIT - _VERDICT - 6
# The verdict on a figure as large as its limit is not a matter of the second digit after the point.
_DIGITS = 2


class Row(NamedTuple):
    """A figure. `limit` None: it has none. `value` None: not measured, for the reason in `note`."""

    name: str
    value: float | None
    unit: str
    limit: float | None = None
    note: str = ""
    section: str = ""

    @property
    def is_exceeded(self) -> bool:
        """Also if a figure with a limit was not measured."""
        if self.limit is None:
            return False
        return self.value is None or round(self.value, _DIGITS) > self.limit

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.limit is None:
            return ""
        if not self.is_exceeded:
            return "met"
        return f"missed {self.value / self.limit - 1:+.0%}" if self.limit else "missed"


def is_exceeded(rows: Iterable[Row]) -> bool:
    """Whether any figure is above its limit."""
    return any(row.is_exceeded for row in rows)


def with_unit(value: float | None, unit: str) -> str:
    """With three digits, and never in powers of ten."""
    if value is None:
        return ""
    text = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:#.3g}"  # noqa: PLR2004 - three digits
    return f"{text} {unit}".strip()


def table(rows: Sequence[Row]) -> str:
    """For a terminal with a hundred columns."""
    lines: list[str] = []
    for section, group in groupby(rows, key=lambda row: row.section):
        heading = f"{section or 'figure':<{_NAME}}  {'figure':>{_FIGURE}}  {'limit':>{_LIMIT}}"
        lines += ["", heading, "-" * WIDTH]
        for row in group:
            lines += _lines(row)
    return "\n".join([*lines, ""])


def _lines(row: Row) -> list[str]:
    """A name that is too long goes on in the next line."""
    first, rest = _split(row.name)
    cells = f"{with_unit(row.value, row.unit):>{_FIGURE}}  {with_unit(row.limit, row.unit):>{_LIMIT}}"
    lines = [f"{first:<{_NAME}}  {cells}  {row.verdict}".rstrip()]
    if rest:
        lines.append(f"    {rest}")
    if row.note:
        lines.append(f"    {row.note[: WIDTH - 4]}")
    return lines


def _split(name: str) -> tuple[str, str]:
    if len(name) <= _NAME:
        return name, ""
    space = name.rfind(" ", 0, _NAME)
    return name[:space], name[space + 1 :]


def markdown(rows: Sequence[Row]) -> str:
    """A table of all sections."""
    lines = ["| figure | value | limit | |", "|---|---|---|---|"]
    for section, group in groupby(rows, key=lambda row: row.section):
        lines.append(f"| **{section}** | | | |")
        for row in group:
            note = f"{row.verdict}: {row.note}" if row.note else row.verdict
            lines.append(
                f"| {row.name} | {with_unit(row.value, row.unit)} | {with_unit(row.limit, row.unit)} | {note} |"
            )
    return "\n".join(lines)
