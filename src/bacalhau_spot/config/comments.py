"""The comments of a file, and the key of each.

A comment on its own line belongs to the key below it, one at the end of a line to the key on that line. In YAML a
comment is a `#` outside every value, at the beginning of a line or after a blank.
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from bacalhau_spot.config.locations import KeyPath
    from bacalhau_spot.config.yaml_document import Document

_COMMENT = re.compile(r"(?:^|(?<=[ \t]))#[^\n]*", re.MULTILINE)


@dataclass(slots=True)
class Comments:
    """`above` and `beside`: by the path of the key; `head` and `tail` belong to the file."""

    head: list[str] = field(default_factory=list)
    above: dict[KeyPath, list[str]] = field(default_factory=dict)
    beside: dict[KeyPath, str] = field(default_factory=dict)
    tail: list[str] = field(default_factory=list)


def collect(text: str, document: Document, *, kept: Collection[KeyPath]) -> Comments:
    """The comments of `text`. One of a path outside `kept` moves down to the next path inside it."""
    comments = Comments()
    starts = _starts(document, kept)
    lines = sorted(starts)
    comments_by_line = find_comments(text, document)
    if lines:
        comments.head, comments_by_line = _header(text, comments_by_line, first=lines[0])
    for line, comment, alone in comments_by_line:
        if not alone and line in starts:
            comments.beside[starts[line]] = comment
            continue
        position = bisect.bisect_right(lines, line)
        if position == len(lines):
            comments.tail.append(comment)
        else:
            comments.above.setdefault(starts[lines[position]], []).append(comment)
    return comments


def _starts(document: Document, kept: Collection[KeyPath]) -> dict[int, KeyPath]:
    """The first path that begins on each line."""
    starts: dict[int, KeyPath] = {}
    for path in sorted(kept, key=lambda path: (document.location(path, of_key=True) or (0, 0), len(path))):
        place = document.keys.get(path) or document.values.get(path)
        if place and path:
            starts.setdefault(place.line, path)
    return starts


def find_comments(text: str, document: Document) -> list[tuple[int, str, bool]]:
    """Every comment: its line from 1, its text, whether it has the line to itself."""
    comments_by_line: list[tuple[int, str, bool]] = []
    for match in _COMMENT.finditer(text):
        start = match.start()
        if not any(begin <= start < end for begin, end in document.scalars):
            before = text[text.rfind("\n", 0, start) + 1 : start]
            comments_by_line.append(
                (text.count("\n", 0, start) + 1, match.group().rstrip(), not before.strip())
            )
    return comments_by_line


def _header(
    text: str, comments_by_line: list[tuple[int, str, bool]], *, first: int
) -> tuple[list[str], list[tuple[int, str, bool]]]:
    """A comment above the first key, with a blank line between, belongs to the file."""
    lines = text.splitlines()
    blank = max((number for number in range(1, first) if not lines[number - 1].strip()), default=0)
    head = [comment for line, comment, alone in comments_by_line if alone and line < blank]
    return head, [item for item in comments_by_line if not (item[2] and item[0] < blank)]
