"""The navigation is docs/index.md itself: each heading is a group, each item of its list a page.

docs/decisions/README.md lists the decisions in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.ui.pages import Entry, entries

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LISTS = ("docs/index", "docs/decisions/README")


def tables_of_contents(text: str) -> str:
    """One of Sphinx's hidden `toctree` a group."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries(text):
        groups.setdefault(entry.group, []).append(entry)
    return "\n\n".join(_table(group, members) for group, members in groups.items())


def _table(group: str, members: list[Entry]) -> str:
    caption = [f":caption: {group}"] if group else []
    rows = [f"{entry.title} <{entry.page}>" for entry in members]
    return "\n".join(["```{toctree}", ":hidden:", *caption, "", *rows, "```"])


def _add(app: Sphinx, page: str, source: list[str]) -> None:
    del app
    if page in LISTS:
        source[0] += f"\n\n{tables_of_contents(source[0])}\n"


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _add)
    return {"parallel_read_safe": True}
