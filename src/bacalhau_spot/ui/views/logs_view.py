"""The log lines of nodes on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.logs.log_lines import LogLine

# The name of a node is in front of every line; the colours only help the eye.
_STYLES = ("cyan", "green", "magenta", "yellow", "blue", "red")
_NO_TIME = "-"


def log_lines_view(lines: Sequence[LogLine], *, nodes: Sequence[str]) -> Group:
    """A line each, never folded: the node, the time in UTC, the service, the text. `nodes`: all of them, in their order."""
    styles = {node: _STYLES[number % len(_STYLES)] for number, node in enumerate(nodes)}
    return Group(*(_line(line, styles.get(line.node, "")) for line in lines))


def _line(line: LogLine, style: str) -> Text:
    at = f"{line.at:%Y-%m-%dT%H:%M:%SZ}" if line.at else _NO_TIME
    unit = f"{line.unit}: " if line.unit else ""
    text = Text(no_wrap=True, overflow="ignore")
    text.append(line.node, style=style)
    text.append(f" {at} {unit}{line.text}")
    return text
