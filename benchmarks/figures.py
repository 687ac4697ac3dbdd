"""A figure of a benchmark beside its limit, and the table of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Row(NamedTuple):
    """A figure. `limit` None: it has none."""

    name: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def is_exceeded(self) -> bool:
        return self.limit is not None and self.value > self.limit


def is_exceeded(rows: Iterable[Row]) -> bool:
    """Whether any figure is above its limit."""
    return any(row.is_exceeded for row in rows)


def table(rows: Iterable[Row]) -> str:
    """In Markdown."""
    lines = ["| what | figure | limit |", "|---|---|---|"]
    for row in rows:
        limit = "" if row.limit is None else f"{row.limit:g} {row.unit}"
        lines.append(
            f"| {row.name} | {row.value:.3g} {row.unit}{' (exceeded)' if row.is_exceeded else ''} | {limit} |"
        )
    return "\n".join([*lines, ""])
