"""A help page, in every width and in every colour, from the data that the CLI library and cli/help_texts.py provide."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

import bacalhau_spot
from bacalhau_spot import __version__
from bacalhau_spot.cli.app import COMMANDS, GROUPS, build_app
from bacalhau_spot.cli.commands.explain import packaged_pages
from bacalhau_spot.cli.help_texts import DOCUMENTATION, EXAMPLES, HELP_GROUPS
from bacalhau_spot.cli.runtime.command_line import command_first
from bacalhau_spot.cli.runtime.help_page import page_text
from bacalhau_spot.ui import pages as documentation
from support.cli_runner import CliRunner

ALL = ["", *COMMANDS, *GROUPS, *(f"{group} {name}" for group, (_, rows) in GROUPS.items() for name in rows)]
PAGES: dict[str, Any] = json.loads(
    (Path(bacalhau_spot.__file__).parent / "cli" / "help_pages.json").read_text()
)["pages"]
WIDTHS = (20, 33, 40, 59, 60, 72, 80, 113, 200)
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


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


def page(name: str, *, width: int = 80, plain: bool = True, **environ: str) -> str:
    line = [*name.split(), "--help", *(["--no-color"] if plain else [])]
    text = page_text(line, Stream(tty=True), environ={"TERM": "xterm", "COLUMNS": str(width), **environ})
    assert text is not None
    return text


def squeezed(text: str) -> str:
    """Without the characters that a layout adds or takes away."""
    return re.sub(r"[\s`│╭╮╰╯─]+", "", text)


@pytest.mark.parametrize("name", ALL)
def test_a_page_fits_into_every_window_and_has_every_word(name: str) -> None:
    for width in WIDTHS:
        lines = ESCAPE.sub("", page(name, width=width)).splitlines()
        assert max(map(len, lines)) <= width, (width, max(lines, key=len))
        framed = [line for line in lines if line.startswith(("│", "╭", "╰"))]
        assert all(len(line) == width for line in framed), width
        everything = squeezed("".join(lines))
        for text in PAGES[name]["text"]:
            assert squeezed(text) in everything, width
        for panel in PAGES[name]["panels"]:
            for row in panel["rows"]:
                for word in row["name"].split():
                    assert width < 40 or squeezed(word) in everything, (width, word)


@pytest.mark.parametrize("name", ALL)
def test_every_page_has_examples_that_the_command_accepts(name: str) -> None:
    """Each line begins with its command, and its options are options of it."""
    assert PAGES[name]["examples"]
    for line, effect in EXAMPLES[name]:
        assert effect
        if line.startswith("eval"):
            continue
        words = line.replace("--json", "-o json").partition(" -- ")[0].partition(" > ")[0].split()
        assert not name or words[: len(name.split())] == name.split()
        build_app(words).parse_args(command_first(words), exit_on_error=False, print_error=False)


@pytest.mark.parametrize("name", [name for name in ALL if name in DOCUMENTATION])
def test_every_page_names_one_of_the_documentation(name: str) -> None:
    topic = DOCUMENTATION[name]
    assert documentation.find_section(documentation.topic_of(topic), packaged_pages())
    assert f"More: bacalhau-spot explain {topic}" in ESCAPE.sub("", page(name))


def test_every_command_is_in_one_group() -> None:
    grouped = [name for names in HELP_GROUPS.values() for name in names]
    assert sorted(grouped) == sorted({**COMMANDS, **GROUPS})
    titles = [panel["title"] for panel in PAGES[""]["panels"]]
    assert titles == [*HELP_GROUPS, "Options"]


def test_no_option_has_a_type_of_python_for_a_unit() -> None:
    names = [row["name"] for found in PAGES.values() for panel in found["panels"] for row in panel["rows"]]
    assert not [
        name for name in names if {"STR", "INT", "FLOAT", "CHOICE", "PATH"} & {*re.split(r"[ .]", name)}
    ]


def test_the_options_of_every_command_stand_apart_and_last() -> None:
    for name in (*COMMANDS, *(name for name in ALL if " " in name)):
        assert PAGES[name]["panels"][-1]["title"] == "Options of every command", name


@pytest.mark.parametrize(
    ("environ", "code"),
    [
        ({"TERM": "xterm"}, "36"),
        ({"TERM": "xterm-256color"}, "36"),
        ({"TERM": "xterm-kitty"}, "36"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "36"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, ""),
        ({"TERM": "dumb"}, None),
    ],
)
def test_a_page_has_the_terminals_colours(environ: dict[str, str], code: str | None) -> None:
    """Bold remains without colours; a dumb terminal gets no sequence at all. Each one is closed on its line."""
    text = page_text(["scale", "-h"], Stream(tty=True), environ={"COLUMNS": "80", **environ})
    assert text is not None
    assert ("\x1b[" in text) == (code is not None)
    assert ("\x1b[36m" in text) == bool(code)
    for line in text.splitlines():
        codes = re.findall(r"\x1b\[([0-9;]*)m", line)
        assert codes[1::2] == ["0"] * (len(codes) // 2), line


@pytest.mark.parametrize(
    "line",
    [
        "list --help --region us-east-1",
        "list --version",
        "crate --help",
        "--sandbox create --help",
        "help clock",
    ],
)
def test_other_lines_are_parsed_first(line: str) -> None:
    assert page_text(line.split(), Stream(tty=True), environ={}) is None


def test_a_frame_is_ascii_where_the_terminal_has_no_frames() -> None:
    text = page_text(["--help"], Stream(tty=True, encoding="latin-1"), environ={"COLUMNS": "80"})
    assert text is not None
    text.encode("latin-1")
    assert "+- Cluster ---" in text


@pytest.mark.parametrize(
    ("line", "same_as"),
    [
        ("", "--help"),
        ("help", "--help"),
        ("--help create", "create --help"),
        ("create -h", "create --help"),
        ("help create", "create --help"),
        ("help config show", "config show --help"),
        ("--sandbox create --help", "create --help"),
        ("create --yes --help", "create --help"),
        ("--sandbox help create", "create --help"),
        ("-V", "--version"),
        ("version", "--version"),
        ("list -V", "--version"),
        ("--debug version", "--version"),
        ("help clock", "explain clock"),
    ],
)
def test_a_page_is_asked_for_in_many_ways(program: CliRunner, line: str, same_as: str) -> None:
    result, other = program(*line.split()), program(*same_as.split())
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout == other.stdout
    if same_as == "--version":
        assert result.stdout == f"{__version__}\n"


def test_pages_are_documents_for_programs(program: CliRunner) -> None:
    assert program("version", "--json").data == {"version": __version__}
    assert "Usage: bacalhau-spot list" in program("help", "list", "--json").data["text"]


def test_another_programs_help_is_not_ours(program: CliRunner) -> None:
    assert "Usage:" not in program("ssh", "i-1", "--nope", "--", "ls", "--help").stdout
