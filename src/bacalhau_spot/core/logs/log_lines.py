"""Log lines from a node's journal and from EC2's console output, in one form, merged by time.

The journal's format: journalctl(1), `-o json`; systemd's "Journal Export Formats" for the fields.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bacalhau_spot.core.sanitize import without_sequences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# The services of a node and of a managed orchestrator, as patterns of journalctl.
UNITS = ("bacalhau*", "docker")
JOURNAL = "journal"
CONSOLE = "console"
_FIELDS = ("MESSAGE", "SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)")
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class LogLine:
    """`at`: None for a line of a console before its first time. `unit`: the service; empty on a console."""

    node: str
    source: str
    at: datetime | None
    text: str
    unit: str = ""


def journal_command(
    *, units: Sequence[str], last: int | None, since: datetime | None, follow: bool
) -> tuple[str, ...]:
    """The command for a node's shell. `last`: the number of lines, None for all."""
    words = ["sudo", "-n", "journalctl", "--no-pager", "--quiet", "--output=json"]
    words += [f"--output-fields={','.join(_FIELDS)}", *(f"--unit={unit}" for unit in units)]
    words += [f"--since=@{since.timestamp():.0f}"] if since else []
    words += [f"--lines={'all' if last is None else last}"]
    words += ["--follow"] if follow else []
    return (shlex.join(words),)


def journal_lines(node: str, text: str) -> tuple[LogLine, ...]:
    """Lines that are not journalctl's are left out: ssh and the node's shell may print others."""
    return tuple(line for row in text.splitlines() if (line := _journal_line(node, row)) is not None)


def _journal_line(node: str, row: str) -> LogLine | None:
    try:
        entry = json.loads(row)
        at = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / _MICROSECONDS, UTC)
        text = _message(entry.get("MESSAGE"))
    except (ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError):
        return None
    unit = str(entry.get("_SYSTEMD_UNIT") or entry.get("SYSLOG_IDENTIFIER") or "").removesuffix(".service")
    return LogLine(node, JOURNAL, at, text, unit)


def _message(value: Any) -> str:
    """A message with other bytes than text is a list of numbers; one that is too long is null."""
    text = bytes(value).decode("utf-8", "replace") if isinstance(value, list) else str(value or "")
    return without_sequences(text).replace("\n", " ").rstrip()


def console_log(node: str, text: str, *, before: datetime | None = None) -> tuple[LogLine, ...]:
    """A line without a time has that of the line before it; the first ones that of `before`."""
    lines, at = [], before
    for row in without_sequences(text).splitlines():
        at = _time_in(row) or at
        if row.strip():
            lines.append(LogLine(node, CONSOLE, at, row.rstrip()))
    return tuple(lines)


def _time_in(row: str) -> datetime | None:
    match = _TIME.search(row)
    try:
        return datetime.fromisoformat(match[0]) if match else None
    except ValueError:
        return None


def merged(lines: Iterable[LogLine]) -> tuple[LogLine, ...]:
    """By time; the lines of a node keep their order where their times are equal. Lines without a time come first."""
    return tuple(sorted(lines, key=lambda line: (line.at is not None, line.at)))


def recent(lines: Sequence[LogLine], *, last: int | None, since: datetime | None) -> Iterator[LogLine]:
    """The part of one node's lines that is asked for, as journalctl selects it."""
    kept = [line for line in lines if since is None or (line.at is not None and line.at >= since)]
    yield from kept if last is None else kept[max(0, len(kept) - last) :]
