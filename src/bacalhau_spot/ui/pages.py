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
_CODES: Final = "- AWS's code: "


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the text below it, with its subsections. `anchor` as in a link: lower case, hyphens."""

    anchor: str
    title: str
    level: int
    text: str


def topic_of(docs: str) -> str:
    """`docs/errors.md#clock` is `clock`, `docs/ssh.md#keys` is `ssh#keys`, `docs/prune.md` is `prune`."""
    page, _, anchor = docs.removeprefix("docs/").partition("#")
    name = page.removesuffix(".md")
    if name == ERRORS and anchor and anchor not in _PAGES:
        return anchor
    return f"{name}#{anchor}" if anchor else name


def title(text: str) -> str:
    """A page's first heading."""
    return next((section.title for section in sections(text)), "")


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
        body = [line for line in lines[start:end] if not _is_comment(line)]
        made.append(Section(_anchor(name), name, level, "\n".join(body).rstrip()))
    return tuple(made)


def _is_comment(line: str) -> bool:
    return line.startswith("<!--")


def _anchor(name: str) -> str:
    return re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-")


def find_section(topic: str, pages: Mapping[str, str]) -> str:
    """The text of a page, a section, an error by its name, or all errors of an AWS code.

    Empty without a match.
    """
    name, _, anchor = topic.partition("#")
    if name in pages:
        return _section_of(pages[name], anchor) if anchor else _without_comments(pages[name])
    errors = sections(pages.get(ERRORS, ""))
    named = next((error.text for error in errors if error.anchor == topic), "")
    with_code = (error.text for error in errors if _has_code(error, topic))
    return named or "\n\n".join(with_code) or _by_code(topic, errors)


def _without_comments(page: str) -> str:
    return "\n".join(line for line in page.splitlines() if not _is_comment(line)).rstrip()


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
