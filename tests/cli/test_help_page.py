"""A help page from the generated data is the CLI library's own, in every width and in every colour."""

from __future__ import annotations

import io
import re

import pytest
from rich.style import Style

from bacalhau_spot import __version__
from bacalhau_spot.cli.app import COMMANDS, GROUPS, build_app
from bacalhau_spot.cli.runtime.help_page import page_text
from bacalhau_spot.ui import terminal
from support.cli_runner import CliRunner

ALL = ["", *COMMANDS, *GROUPS, *(f"{group} {name}" for group, (_, rows) in GROUPS.items() for name in rows)]
# One with few words, one with long names, one with a required argument and code.
LONG = ["", "create", "scale"]


class Stream(io.StringIO):
    """A terminal, or a pipe."""

    def __init__(self, *, tty: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._tty = tty
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read-only here
        return self._encoding

    def isatty(self) -> bool:
        return self._tty


def cells(text: str) -> list[list[tuple[str, str]]]:
    """Each line's characters with their colours, without the blanks that fill it. A blank's own colour is not visible."""
    lines = []
    for line in text.split("\n"):
        row: list[tuple[str, str]] = []
        style = ""
        for match in re.finditer(r"\x1b\[([0-9;]*)m|.", line):
            if match[1] is not None:
                style = match[1].removeprefix("0")
            else:
                row.append((match[0], style if match[0] != " " else ""))
        while row and row[-1][0] == " ":
            row.pop()
        lines.append(row)
    return lines


def library(words: list[str], environ: dict[str, str], *, tty: bool, plain: bool) -> str:
    # rich keeps a style's escape sequence, of whatever number of colours.
    Style.parse.cache_clear()
    Style._add.cache_clear()
    stream = Stream(tty=tty)
    app = build_app(words, console=terminal.pages(stream, environ=environ, no_color=plain))
    app.help_print(words)
    return stream.getvalue()


def same(
    monkeypatch: pytest.MonkeyPatch, name: str, *, tty: bool = True, plain: bool = False, **environ: str
) -> bool:
    """Whether the page was printed without the library, which it then equals."""
    for key in ("COLUMNS", "TERM", "COLORTERM", "NO_COLOR"):
        monkeypatch.delenv(key, raising=False)
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    words, stream = name.split(), Stream(tty=tty)
    line = [*words, "--help", *(["--no-color"] if plain else [])]
    page = page_text(line, stream, environ=environ)
    if page is None:
        return False
    assert cells(page) == cells(library(words, environ, tty=tty, plain=plain))
    return True


@pytest.mark.parametrize("name", ALL)
def test_every_page_is_the_librarys(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """In a wide and in a usual window."""
    for columns in (80, 113):
        assert same(monkeypatch, name, TERM="xterm-256color", COLUMNS=str(columns))


@pytest.mark.parametrize("name", LONG)
def test_a_page_is_the_librarys_in_every_width(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Below 40 columns, and where a name does not fit, the library prints it itself."""
    widths = [*range(33, 130, 5), 200]
    printed = [width for width in widths if same(monkeypatch, name, TERM="xterm", COLUMNS=str(width))]
    assert {*range(63, 130, 5), 200} <= {*printed}
    assert not any(width < 40 for width in printed)


@pytest.mark.parametrize(
    ("plain", "tty", "environ"),
    [
        (False, True, {"TERM": "xterm"}),
        (False, True, {"TERM": "xterm-256color"}),
        (False, True, {"TERM": "xterm-kitty"}),
        (False, True, {"TERM": "xterm-256color", "COLORTERM": "truecolor"}),
        (False, True, {"TERM": "xterm-256color", "NO_COLOR": "1"}),
        (True, True, {"TERM": "xterm-256color"}),
        (False, True, {"TERM": "dumb", "COLUMNS": "60"}),
        (False, False, {"TERM": "xterm-256color", "COLUMNS": "60"}),
    ],
)
def test_a_page_has_the_librarys_colours(
    monkeypatch: pytest.MonkeyPatch, plain: bool, tty: bool, environ: dict[str, str]
) -> None:
    assert same(monkeypatch, "scale", tty=tty, plain=plain, **environ)


@pytest.mark.parametrize(
    "line",
    [
        "list --help --region us-east-1",
        "list --version",
        "crate --help",
        "list list --help",
        "--sandbox create --help",
        "ssh -- ls --help",
        "--help --version",
    ],
)
def test_other_lines_are_the_librarys(line: str) -> None:
    """An option, a wrong word, another program's words."""
    assert page_text(line.split(), Stream(tty=True), environ={}) is None


def test_a_frame_is_the_librarys_where_the_terminal_has_no_frames() -> None:
    assert page_text(["--help"], Stream(tty=True, encoding="latin-1"), environ={}) is None


def test_the_program_prints_the_page_and_the_version(program: CliRunner) -> None:
    """With the flag in any place, and without any word."""
    page = program("--help")
    assert page.code == 0
    assert "Usage: bacalhau-spot COMMAND" in page.stdout
    assert program().stdout == page.stdout
    assert program("--help", "create").stdout == program("create", "-h").stdout
    assert program("--version").stdout == f"{__version__}\n"
