"""Plain pieces: sentences with their next commands, tables without frames, text as it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bacalhau_spot.ui.console import spoken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult


@dataclass(frozen=True)
class Said:
    """A sentence of ours with commands in it, told as they have to be typed here."""

    text: str
    style: str = ""
    prefix: str = ""
    whole: bool = False  # on one line, however long: it is there to be copied

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        words = Text.assemble((self.prefix, "bold"), (spoken(console, self.text), self.style))
        if self.whole:
            words.no_wrap, words.overflow = True, "ignore"
        yield words


def verbatim(text: str) -> Text:
    """Text that is not to be folded: a file's content, a command."""
    return Text(text.rstrip("\n"), no_wrap=True, overflow="ignore")


def next_commands(commands: Sequence[str]) -> list[Said]:
    """`next: …`, one a line."""
    return [Said(command, style="cyan", prefix="next: ", whole=True) for command in commands]


def sentence(text: str, *, after: Sequence[str] = ()) -> Group:
    """What was done, and what one does after it."""
    return Group(Said(text), *next_commands(after))


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """A table without a frame: heads, two blanks between columns; `right` names the columns of numbers."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_edge=False)
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return made


def config_view(rows: Sequence[tuple[str, str, str]], *, sources: bool) -> Table:
    """Each key and its value; with `sources` also where it comes from."""
    made = table("key", "value", "source") if sources else table("key", "value")
    for key, value, source in rows:
        made.add_row(key, value, source) if sources else made.add_row(key, value)
    return made


def json_text(data: Mapping[str, Any]) -> Text:
    return verbatim(json.dumps(data, indent=2, ensure_ascii=False))


def tree_view(data: Mapping[str, Any]) -> Table:
    """Nested facts, a line each, with dotted names."""
    made = table("what", "is")
    for name, value in _flat(data, ""):
        made.add_row(name, value)
    return made


def _flat(data: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in data.items():
        if isinstance(value, dict) and value:
            found.extend(_flat(value, f"{prefix}{name}."))
        else:
            found.append((f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)))
    return found
