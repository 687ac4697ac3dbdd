"""Lays out a help page without the CLI library, which takes longer to import than the page to read.

The pages are data, which docs/generate.py takes from the CLI library and from `cli/help_texts.py`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from itertools import groupby, pairwise, zip_longest

from bacalhau_spot import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, TextIO

_HELP = ("--help", "-h")
_VERSIONS = (["--version"], ["-V"], ["version"])
_ASKS = "help"  # `help create` is `create --help`
_PLAIN = "--no-color"
_FILE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "help_pages.json")  # noqa: PTH118, PTH120 - pathlib takes milliseconds
# Of a page in a pipe.
_PAGE_WIDTH = 80
# In a narrower window, a text stands below its names.
_TWO_COLUMNS = 60
_NARROWEST = 20
_INDENT = 2
_PROGRAM = "bacalhau-spot"
_FRAMES = str.maketrans("╭╮╰╯─│", "++++-|")
_NAMES_SHARE = 0.35  # of the width, for names: the library's
_AROUND = 4  # the frame and a blank on both sides
_GAP = 2
_MARKER = 3  # the star of a required option, with its gap
# By the end of TERM (rich.console).
_COLORS = {"256color": "256", "kitty": "256"}
_WORD = re.compile(r"\s*\S+\s*")


def page_text(argv: Sequence[str], stdout: TextIO, *, environ: Mapping[str, str]) -> str | None:
    """The page that `argv`, empty or with a word for one, asks for, as it is to be written to `stdout`.

    None: it asks for something else.
    """
    words = [word for word in argv if word != _PLAIN]
    if words in _VERSIONS:
        return f"{__version__}\n"
    asking = words[:1] == [_ASKS] and not {*_HELP} & {*words}
    name = _page_name(words[1:] if asking else words)
    if name is None:
        return None
    with open(_FILE, encoding="utf-8") as file:  # noqa: PTH123 - as for the path
        content = json.load(file)
    if name not in content["pages"]:
        return None
    colors, width = _terminal(stdout, environ=environ, plain=_PLAIN in argv)
    codes = content["styles"].get(colors, {})
    lines = _lines(content["pages"][name], content["epilogue"], width=max(width, _NARROWEST))
    text = "".join(f"{_painted(line, codes)}\n" for line in lines)
    return text if _is_utf8(stdout) else text.translate(_FRAMES)


def _page_name(words: Sequence[str]) -> str | None:
    """The command in `words`. None with an option; a word that is not a command may be an argument."""
    names = [word for word in words if word not in _HELP]
    return None if any(name.startswith("-") for name in names) else " ".join(names)


def _is_utf8(stream: TextIO) -> bool:
    """Frames have other characters elsewhere."""
    return (stream.encoding or "utf-8").lower().replace("-", "") == "utf8"


def _terminal(stream: TextIO, *, environ: Mapping[str, str], plain: bool) -> tuple[str, int]:
    """The colours ("": no escape sequences) and the width, by rich's rules."""
    term = environ.get("TERM", "").strip().lower()
    if not stream.isatty() or term in {"dumb", "unknown"}:
        return "", _PAGE_WIDTH
    width = _columns(environ)
    if plain or environ.get("NO_COLOR"):
        return "none", width
    if environ.get("COLORTERM", "").strip().lower() in {"truecolor", "24bit"}:
        return "truecolor", width
    return _COLORS.get(term.rpartition("-")[2], "16"), width


def _columns(environ: Mapping[str, str]) -> int:
    given = environ.get("COLUMNS", "")
    if given.isdigit():
        return int(given)
    for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        try:
            return os.get_terminal_size(stream.fileno()).columns or _PAGE_WIDTH  # type: ignore[union-attr]  # None: closed
        except (AttributeError, ValueError, OSError):
            continue
    return _PAGE_WIDTH


class _Text:
    """Characters, and the style of each."""

    def __init__(self, text: str = "", style: str = "") -> None:
        self.text = text
        self.styles = [style] * len(text)

    def __add__(self, other: _Text) -> _Text:
        made = _Text(self.text + other.text)
        made.styles = self.styles + other.styles
        return made

    def part(self, start: int, end: int) -> _Text:
        """Without blanks at the end."""
        made = _Text(self.text[start:end].rstrip())
        made.styles = self.styles[start : start + len(made.text)]
        return made

    def filled(self, width: int) -> _Text:
        return self + _Text(" " * (width - len(self.text)))


def _painted(line: _Text, codes: Mapping[str, str]) -> str:
    """With escape sequences."""
    if not codes:
        return line.text
    parts, start = [], 0
    for style, letters in groupby(line.styles):
        end = start + len([*letters])
        text, code = line.text[start:end], codes.get(style, "")
        parts.append(f"\x1b[{code}m{text}\x1b[0m" if code else text)
        start = end
    return "".join(parts)


def _lines(page: Mapping[str, Any], epilogue: Sequence[str], *, width: int) -> Iterator[_Text]:
    yield from _folded(_Text(f"Usage: {page['usage']}", "usage"), width)
    yield _Text()
    for paragraph in page["text"]:
        yield from _folded(_marked(paragraph), width)
        yield _Text()
    yield from _examples(page["examples"], width=width)
    for panel in page["panels"]:
        yield _Text(f"╭─ {panel['title']} {'─' * (width - len(panel['title']) - 5)}╮"[:width])
        for line in _table(panel, width=width):
            yield _Text("│ ") + line.filled(width - _AROUND) + _Text(" │")
        yield _Text(f"╰{'─' * (width - 2)}╯")
    yield _Text()
    for paragraph in (*([page["documentation"]] if page["documentation"] else []), *epilogue):
        yield from _folded(_marked(paragraph), width)


def _examples(examples: Sequence[Sequence[str]], *, width: int) -> Iterator[_Text]:
    """Each line as it is typed, never folded where it fits, with its effect behind it, or below."""
    if not examples:
        return
    yield _Text("Examples:", "usage")
    lines = [example if _PROGRAM in example else f"{_PROGRAM} {example}" for example, _ in examples]
    names_width = max(map(len, lines)) + _INDENT + _GAP
    below = max(names_width + len(effect) for _, effect in examples) > width
    for line, (_, effect) in zip(lines, examples, strict=True):
        if below:
            yield from _indented(_Text(line, "name"), width, by=_INDENT)
            yield from _indented(_marked(effect), width, by=2 * _INDENT)
        else:
            yield (_Text(" " * _INDENT) + _Text(line, "name")).filled(names_width) + _marked(effect)
    yield _Text()


def _indented(text: _Text, width: int, *, by: int) -> Iterator[_Text]:
    for line in _folded(text, width - by):
        yield _Text(" " * by) + line


def _table(panel: Mapping[str, Any], *, width: int) -> Iterator[_Text]:
    """Each row's names alongside its text; in a narrow window, above it."""
    before = _MARKER if panel["required"] else 0
    room = width - _AROUND - before
    laid_out = _stacked if width < _TWO_COLUMNS or _has_long_name(panel, width) else _alongside
    for row, lines in zip(panel["rows"], laid_out(panel["rows"], room=room, width=width), strict=True):
        marks = [_Text("*" if row["required"] else "", "required_marker")]
        for mark, line in zip_longest(marks, lines, fillvalue=_Text()):
            yield mark.filled(before) + line


def _most(width: int) -> int:
    """The room for names alongside their texts."""
    return -int(-width * _NAMES_SHARE // 1)


def _has_long_name(panel: Mapping[str, Any], width: int) -> bool:
    longest = max(len(word) for row in panel["rows"] for word in row["name"].split())
    return longest + _INDENT > _most(width)


def _stacked(rows: Sequence[Mapping[str, Any]], *, room: int, width: int) -> Iterator[list[_Text]]:
    """Of each row its names, and the text below."""
    del width
    for row in rows:
        texts = [_Text(" " * _INDENT) + text for text in _described(row, room - _INDENT)]
        yield [*(_Text(line, "name") for line in _names(row["name"], room)), *texts]


def _alongside(rows: Sequence[Mapping[str, Any]], *, room: int, width: int) -> Iterator[list[_Text]]:
    """Of each row its names in a column, and the text in another."""
    names = [_names(row["name"], _most(width)) for row in rows]
    column = max(len(name) for lines in names for name in lines) + _GAP
    for row, lines in zip(rows, names, strict=True):
        labels = (_Text(line, "name") for line in lines)
        together = zip_longest(labels, _described(row, room - column), fillvalue=_Text())
        yield [label.filled(column) + text for label, text in together]


def _described(row: Mapping[str, Any], width: int) -> list[_Text]:
    """A row's text. The choices and the default are folded with its last line."""
    lines: list[_Text] = []
    for paragraph in row["text"]:
        lines += [*([_Text()] if lines else []), *_folded(_marked(paragraph), width)]
    if row["more"]:
        last = lines.pop() if lines else _Text()
        for text, style in row["more"]:
            last = last + _Text(" " if last.text else "") + _Text(text, style)
        lines += _folded(last, width)
    return lines


def _marked(paragraph: str) -> _Text:
    """A text with `code`."""
    made = _Text()
    for number, part in enumerate(paragraph.split("`")):
        made = made + _Text(part, "markdown.code" if number % 2 else "")
    return made


def _names(text: str, width: int) -> list[str]:
    """Folded at blanks; a word that is longer than the line, anywhere."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if len(longer) <= width:
            lines[-1:] = [longer]
            continue
        start = f"  {word}" if lines else word
        lines += [start[place : place + width] for place in range(0, len(start), width)]
    return lines


def _folded(text: _Text, width: int) -> list[_Text]:
    breaks = [0, *_breaks(text.text, width), len(text.text)]
    return [text.part(start, end) for start, end in pairwise(breaks)]


def _breaks(text: str, width: int) -> Iterator[int]:
    """Where lines begin, by the algorithm of rich._wrap.divide_line, for characters of one cell."""
    column = 0
    for match in _WORD.finditer(text):
        word, start = match[0], match.start()
        if column + len(word.rstrip()) <= width:
            column += len(word)
        elif len(word.rstrip()) <= width:
            yield start
            column = len(word)
        else:
            pieces = range(start, match.end(), width)
            yield from (piece for piece in pieces if piece)
            column = match.end() - pieces[-1]
