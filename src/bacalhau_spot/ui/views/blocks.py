"""Plain pieces: sentences with their next commands, tables without frames, text as it is."""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from rich.cells import cell_len
from rich.console import Group
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from bacalhau_spot.core.problem import regions_by_failure
from bacalhau_spot.core.sanitize import escaped
from bacalhau_spot.ui.formatting import comma_list, error_label
from bacalhau_spot.ui.terminal import with_invocation_flags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult

    from bacalhau_spot.core.model import Identity, Resource
    from bacalhau_spot.core.problem import ApiFailure

# The indentation of a continuation line.
_GOES_ON = 2
# Text to be copied.
_QUOTED = re.compile(r"`[^`]*`")
# Stands for a blank at which no line may be broken: in a command, and between a number and its noun. Of the private use
# area, because Rich breaks lines at a no-break space, too.
_HELD = "\ue000"
_NUMBER_AND_NOUN = re.compile(r"(?<!\S)(\$?\d[\d.,/]*) (?=[^\W\d_]|%)")


@dataclass(frozen=True)
class Paragraph:
    """A sentence with commands, which get the options of this run."""

    text: str
    style: str = ""
    prefix: str = ""
    prefix_style: str = "bold"
    whole: bool = False  # on one line, however long, to be copied

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        words = f"{self.prefix}{with_invocation_flags(console, self.text)}"
        lines = [in_one_line(words)] if self.whole else folded(words, width=options.max_width)
        for number, line in enumerate(lines):
            # It has its minimum width; a longer single word is folded by the terminal.
            shown = Text(line, style=self.style, no_wrap=True, overflow="ignore")
            if number == 0:
                shown.stylize(self.prefix_style, 0, len(self.prefix))
            yield shown


def folded(text: str, *, width: int) -> list[str]:
    """Lines of at most `width`, those that go on indented, others' new lines too; but no address, path or command is broken.

    A command in backquotes that is folded could not be copied: it stands on one line, which the terminal itself may fold.
    """
    lines: list[str] = []
    for number, line in enumerate(text.splitlines() or [""]):
        words = line.lstrip()
        # A new line in foreign text must not begin like a line of the program.
        before = " " * (max(len(line) - len(words), _GOES_ON if number else 0))
        wrapped = textwrap.wrap(
            _held(_QUOTED.sub(lambda match: match[0].replace(" ", _HELD), words)),
            width,
            initial_indent=before,
            subsequent_indent=before + " " * _GOES_ON,
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines.extend(part.replace(_HELD, " ") for part in wrapped or [""])
    return lines


def _held(text: str) -> str:
    """With `3 instances` as one word."""
    return _NUMBER_AND_NOUN.sub(rf"\1{_HELD}", text)


def in_one_line(text: str) -> str:
    """Foreign text in one line, so that a new line cannot look like a line of the program."""
    return " ".join(text.splitlines()) if len(text.splitlines()) > 1 else text


def note(label: str, text: str) -> Paragraph:
    """`note: …`, `warning: …`: on one line, however long."""
    return Paragraph(text, prefix=f"{label}: ", prefix_style="", whole=True)


def account_text(identity: Identity, *, alias: str, cluster: str) -> Paragraph:
    """`account acme (123456789012) as user/ada · cluster blue`"""
    account = f"{alias} ({identity.account_id})" if alias else identity.account_id
    about = f" \N{MIDDLE DOT} cluster {cluster}" if cluster else ""
    return Paragraph(f"account {account} as {identity.arn.rpartition(':')[2]}{about}", style="dim")


def raw(text: str) -> Group:
    """Text that is not to be folded: a file's content, JSON."""
    # In a group, because Rich joins texts that are printed themselves into one that may be folded.
    return Group(Text(text.rstrip("\n"), no_wrap=True, overflow="ignore"))


def next_commands(commands: Sequence[str], *, label: str = "next: ") -> list[Paragraph]:
    """`next: …`, one a line."""
    return [Paragraph(command, style="cyan", prefix=label, whole=True) for command in commands]


def sentence_text(text: str, *, after: Sequence[str] = ()) -> Group:
    """The result of an action, and the next commands."""
    return Group(Paragraph(text), *next_commands(after))


def failed_regions_text(failures: Sequence[ApiFailure]) -> list[Paragraph]:
    """Regions that could not be scanned, with the reason; one line a reason."""
    return [
        Paragraph(f"not scanned: {comma_list(regions)} ({reason})", style="yellow")
        for reason, regions in regions_by_failure(failures, lambda failure: error_label(failure.code)).items()
    ]


# Between two columns.
_GAP = 2
# A sentence in a narrower column cannot be read: it stands below its row.
_LEAST_PROSE = 20


class Cell(str):
    """A cell with a style of `ui/palette.py`. The text alone has the meaning, too."""

    __slots__ = ("style",)
    style: str

    def __new__(cls, text: str, style: str = "") -> Self:
        cell = super().__new__(cls, text)
        cell.style = style
        return cell


@dataclass(frozen=True)
class TextTable:
    """A table without a frame. Only the columns of `prose` (default: the last one) are folded.

    In a narrow window, whole columns are dropped, in the order of `spare`; then the last column, if it is prose and
    there is no room for it, stands below its row; the terminal handles the rest, because a broken id cannot be copied.
    Empty columns are not shown. `right`: columns of numbers, never folded; `total`: an emphasised last row. Before a
    column is dropped, `prose` is folded down to `at_least`; None: columns are dropped first.
    """

    heads: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    right: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    prose: tuple[str, ...] = ()
    total: Sequence[str] | None = None
    at_least: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        kept = self._kept(options.max_width)
        below = self._below(kept, options.max_width)
        if below:
            kept = kept[:-1]
        width = max(options.max_width, self._width(kept, folded=True))
        table = self._table(kept)
        # Trailing blanks of a short row would be folded into an empty line, and would be part of a pipe's text.
        lines = console.render_lines(table, options.update(max_width=width), pad=False)
        for number, line in enumerate(lines):
            yield from _stripped(line)
            yield Segment.line()
            if below:
                yield from console.render(self._below_line(number, below), options)

    def _kept(self, width: int) -> list[str]:
        """The columns that are not empty, without spare ones that have no room."""
        kept = [head for head in self.heads if not self.rows or any(self._cells(head))]
        for head in self.spare:
            if self._width(kept, folded=False) <= width:
                break
            kept = [column for column in kept if column != head]
        return kept

    def _below_line(self, number: int, column: int) -> Paragraph | Group:
        """The cell of a column without room, on lines of its own, after this line of the table; the first has the heads."""
        cell = self._all_rows[number - 1][column] if 0 < number <= len(self._all_rows) else ""
        if not cell:
            return Group()
        label = "" if self._folds(self.heads[column]) else f"{self.heads[column]}: "
        style = cell.style if isinstance(cell, Cell) else ""
        return Paragraph(f"{'':{_GOES_ON}}{label}{in_one_line(cell)}", style=style)

    def _below(self, kept: Sequence[str], width: int) -> int:
        """The index of the last column, if the others are not folded and its room is too narrow to read; otherwise 0."""
        last = kept[-1] if len(kept) > 1 else ""
        if not last or last in self.right or any(map(self._folds, kept[:-1])):
            return 0
        widest = max(map(cell_len, [last, *self._cells(last)]))
        least = min(widest, _LEAST_PROSE) if self._folds(last) else widest
        room = width - self._width(kept[:-1], folded=False) - _GAP
        return self.heads.index(last) if room < least else 0

    @property
    def _all_rows(self) -> list[Sequence[str]]:
        return [*self.rows, *([self.total] if self.total else ())]

    def _cells(self, head: str) -> list[str]:
        index = self.heads.index(head)
        return [in_one_line(row[index]) for row in self._all_rows]

    def _folds(self, head: str) -> bool:
        return head in (self.prose or self.heads[-1:]) and head not in self.right

    def _width(self, kept: Sequence[str], *, folded: bool) -> int:
        """How wide the table is; with `folded`, how narrow it may become."""
        widths = []
        for head in kept:
            cells = [head, *self._cells(head)]
            pieces = (
                [word for cell in cells for word in _held(cell).split()]
                if folded and self._folds(head)
                else cells
            )
            widest = max(map(cell_len, pieces), default=0)
            if self.at_least is not None and not folded and self._folds(head):
                widest = min(widest, self.at_least)
            widths.append(widest)
        return sum(widths) + _GAP * max(0, len(kept) - 1)

    def _table(self, kept: Sequence[str]) -> Table:
        made = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold", show_edge=False)
        for head in kept:
            justify: JustifyMethod = "right" if head in self.right else "left"
            made.add_column(head, justify=justify, no_wrap=not self._folds(head), overflow="fold")
        indexes = [self.heads.index(head) for head in kept]
        for row in self.rows:
            made.add_row(*(_styled(row[index]) for index in indexes))
        if self.total is not None:
            made.add_row(*(_styled(self.total[index]) for index in indexes), style="bold")
        return made


def _styled(cell: str) -> Text:
    return Text(_held(in_one_line(cell)), style=cell.style if isinstance(cell, Cell) else "")


def _stripped(line: Sequence[Segment]) -> list[Segment]:
    """Without blanks at the end, and with the held ones as blanks."""
    kept = [Segment(segment.text.replace(_HELD, " "), segment.style, segment.control) for segment in line]
    while kept and not kept[-1].text.strip():
        kept.pop()
    return [*kept[:-1], Segment(kept[-1].text.rstrip(), kept[-1].style)] if kept else []


def config_view(rows: Sequence[tuple[str, str, str]], *, sources: bool) -> TextTable:
    """Each key and its value; with `sources` also where it comes from."""
    heads = ("key", "value", "source") if sources else ("key", "value")
    return TextTable(heads, [row[: len(heads)] for row in rows], prose=("value",))


def json_text(data: Mapping[str, Any], *, ascii_only: bool = False) -> Group:
    return raw(escaped(json.dumps(data, indent=2, ensure_ascii=ascii_only)))


def pages_view(titles: Mapping[str, str]) -> Group:
    """The documentation's pages."""
    return Group(
        TextTable(("page", "about"), list(titles.items())),
        *next_commands(("bacalhau-spot explain PAGE",)),
    )


def tree_view(data: Mapping[str, Any]) -> TextTable:
    """Nested facts, a line each, with dotted names."""
    return TextTable(("what", "is"), _flat(data, ""))


def _flat(data: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    match: list[tuple[str, str]] = []
    for name, value in data.items():
        if isinstance(value, dict) and value:
            match.extend(_flat(value, f"{prefix}{name}."))
        else:
            match.append((f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)))
    return match


def unsupported_text(resource: Resource) -> str:
    """A tagged resource of a kind that no deletion covers."""
    return (
        f"carries the tag, but bacalhau-spot cannot delete this kind of resource: {resource.kind} {resource.id} in "
        f"{resource.region}"
    )
