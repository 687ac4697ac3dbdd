"""Finds pages and sections of the packaged documentation."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.error_catalog.classifier import classify

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ERRORS: Final = "errors"
_HEADING: Final = re.compile(r"^(#+) (.*)$")
# Errors that have a page's name.
_PAGES: Final = frozenset({"configuration"})
_FENCE: Final = "```"
# The page that lists the others, by kind.
CONTENTS: Final = "index"
_ITEM: Final = re.compile(r"^(?:-|\d+\.) \[([^\]]+)\]\(([\w./-]+)\.md\)")
_PICTURE: Final = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_CODES: Final = "- AWS's code: "


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the text below it, with its subsections. `anchor` as in a link: lower case, hyphens."""

    anchor: str
    title: str
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in a list of pages: the heading above it, its title, and its path from the list's folder without `.md`."""

    group: str
    title: str
    page: str


def entries(text: str) -> tuple[Entry, ...]:
    """The pages that the lists of a page name."""
    made = []
    group = ""
    for line in text.splitlines():
        heading, item = _HEADING.match(line), _ITEM.match(line)
        if heading is not None and len(heading[1]) > 1:
            group = heading[2].strip()
        elif item is not None:
            made.append(Entry(group, item[1], item[2]))
    return tuple(made)


def topic_of(docs: str) -> str:
    """`docs/errors.md#clock` is `clock`, `docs/ssh.md#keys` is `ssh#keys`, `docs/prune.md` is `prune`."""
    page, _, anchor = docs.removeprefix("docs/").partition("#")
    name = page.removesuffix(".md").removesuffix("/README")
    if name == ERRORS and anchor and anchor not in _PAGES:
        return anchor
    return f"{name}#{anchor}" if anchor else name


def title(text: str) -> str:
    """A page's first heading."""
    return next((section.title for section in sections(text)), "")


def titles(pages: Mapping[str, str]) -> dict[str, str]:
    """The title of each page by its name, in the order of the contents; pages in folders are on a page of their own."""
    listed = (entry.page.removesuffix("/README") for entry in entries(pages.get(CONTENTS, "")))
    names = dict.fromkeys((*listed, *(name for name in pages if "/" not in name)))
    return {name: title(pages[name]) for name in names if name in pages and name != CONTENTS}


def sections(text: str) -> tuple[Section, ...]:
    lines = text.splitlines()
    headings: list[tuple[int, int, str]] = []
    fenced = False
    for number, line in enumerate(lines):
        fenced ^= line.startswith(_FENCE)
        heading = None if fenced else _HEADING.match(line)
        if heading is not None:
            headings.append((number, len(heading[1]), heading[2].strip()))
    made = []
    for index, (start, level, name) in enumerate(headings):
        end = next((at for at, deep, _ in headings[index + 1 :] if deep <= level), len(lines))
        made.append(Section(_anchor(name), name, level, _for_a_terminal(lines[start:end])))
    return tuple(made)


def _for_a_terminal(lines: Iterable[str]) -> str:
    """Without comments, and with the texts of pictures in their places."""
    shown = (_PICTURE.sub(r"(picture: \1)", line) for line in lines if not line.startswith("<!--"))
    return "\n".join(shown).rstrip()


def _anchor(name: str) -> str:
    return re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-")


def find_section(topic: str, pages: Mapping[str, str]) -> str:
    """The text of a page, a section, an error by its name, or all errors of an AWS code.

    Empty without a match.
    """
    name, _, anchor = topic.partition("#")
    if name in pages:
        return _section_of(pages[name], anchor) if anchor else _for_a_terminal(pages[name].splitlines())
    errors = sections(pages.get(ERRORS, ""))
    named = next((error.text for error in errors if error.anchor == topic), "")
    with_code = (error.text for error in errors if _has_code(error, topic))
    return named or "\n\n".join(with_code) or _by_code(topic, errors)


def _section_of(page: str, anchor: str) -> str:
    """The innermost one of that anchor."""
    chosen = [section for section in sections(page) if section.anchor == anchor]
    return max(chosen, key=lambda section: section.level).text if chosen else ""


def _has_code(section: Section, code: str) -> bool:
    line = next((line for line in section.text.splitlines() if line.startswith(_CODES)), "")
    return bool(code) and f"`{code}`" in line and section.level > 2  # noqa: PLR2004 - below the class of faults


def _by_code(code: str, errors: Iterable[Section]) -> str:
    """Codes that a whole family of names stands for."""
    info = classify(code)
    if info == classify(""):
        return ""
    return next((error.text for error in errors if error.anchor == info.name), "")


def nearest(topic: str, pages: Mapping[str, str]) -> tuple[str, ...]:
    """Similar topics."""
    known = [*pages, *(section.anchor for section in sections(pages.get(ERRORS, "")))]
    return tuple(difflib.get_close_matches(topic.lower(), known, n=3))
