"""Plain pieces: sentences with their next commands, tables without frames, text as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType


def line(text: str, *, style: str = "") -> Text:
    return Text(text, style=style)


def verbatim(text: str) -> Text:
    """Text that is not to be folded: a file's content, a command."""
    return Text(text.rstrip("\n"), no_wrap=True, overflow="ignore")


def lines(parts: Sequence[RenderableType]) -> Group:
    return Group(*parts)


def next_commands(commands: Sequence[str]) -> list[Text]:
    """`next: …`, one a line, whole: they are there to be copied."""
    return [Text(f"next: {command}", no_wrap=True, overflow="ignore", style="cyan") for command in commands]


def sentence(text: str, *, after: Sequence[str] = ()) -> Group:
    """What was done, and what one does after it."""
    return Group(Text(text), *next_commands(after))


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
