"""What a terminal and a pipe show, and what somebody types on one."""

from __future__ import annotations

import os
import re
import signal
import textwrap
import threading
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from rich.table import Table

from bacalhau_spot.cli import run
from bacalhau_spot.cli.app import COMMANDS
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.orchestrator.http import HttpOrchestrator
from bacalhau_spot.ui import terminal as console
from bacalhau_spot.ui.views import blocks
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable
from support.cli_runner import CliRunner, Terminal
from support.seat import Seat


class Typist(list[tuple[str, str, str]]):
    """The sandbox's list of calls; types something on the terminal when the first of `action` comes."""

    def __init__(self, world: Any, terminal: int, *, action: str, keys: str) -> None:
        super().__init__(world.calls)
        self._terminal = terminal
        self._action = action
        self._keys: bytes | None = keys.encode()
        self._lock = threading.Lock()
        world.calls = self

    def append(self, item: tuple[str, str, str]) -> None:
        super().append(item)
        with self._lock:
            if item[1] == self._action and self._keys is not None:
                os.write(self._terminal, self._keys)
                self._keys = None


@pytest.fixture
def user(sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A cluster of two, and an orchestrator."""
    path = program.configure(nodes=2, regions="[us-west-2]")
    path.write_text(path.read_text().replace("192.0.2.1:4222", "127.0.0.1:9"))
    monkeypatch.setattr(
        CommandContext, "orchestrator", lambda _: HttpOrchestrator(f"{sandbox.url}/_sandbox/orchestrator")
    )
    assert program("create", "--yes").code == 0
    sandbox.clock.advance(60)
    return program


def test_what_was_typed_during_the_scan_deletes_nothing(sandbox: Any, program: CliRunner) -> None:
    """A1: `y` and Enter while `destroy` looks; then no more. The question stands, and the cluster runs."""
    assert program("create", "--yes").code == 0
    seat = Seat(program, "destroy")
    Typist(sandbox.world, seat.terminal, action="ec2:DescribeInstances", keys="y\nbacalhau-aws-spot\n")
    shown = seat.until("to go on: ")
    assert "of bacalhau-aws-spot (12 running nodes) in account 000000000000? Type the cluster's name" in shown
    seat.type("y\n")
    assert seat.end() == 3
    assert "nothing was changed" in seat.shown
    instances = program("list", "-o", "json").data["instances"]
    assert [instance["state"] for instance in instances] == ["running"] * 12


@pytest.mark.parametrize("argv", [("destroy",), ("nuke",)], ids=lambda argv: argv[0])
def test_sigterm_at_a_question_releases_the_lock(
    sandbox: Any, program: CliRunner, argv: tuple[str, ...]
) -> None:
    """As Ctrl-C does: the next command waits for nobody."""
    program.configure(nodes=1, regions="[us-west-1]")
    assert program("create", "--yes").code == 0
    before = sandbox.leftovers()
    seat = Seat(program, *argv)
    seat.until("to go on: ")
    seat.signal(signal.SIGTERM)
    assert seat.end() == 143
    assert "nothing was changed" in seat.shown
    assert sandbox.leftovers() == before


LINES = (
    ("create", "--dry-run"),
    ("list",),
    ("list", "--all"),
    ("status",),
    ("cost", "--by", "instance"),
    ("offers",),
    ("prices",),
    ("prune", "--dry-run"),
    ("doctor",),
    ("destroy", "--dry-run"),
    ("nuke", "--dry-run"),
    ("nuke", "--explain"),
    ("config", "show", "--sources"),
    ("iam-policy",),
)


class EffectiveValue:
    """What tables and sentences were asked to show, and what of it was left out or folded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dropped: list[str] = []
        self.folded: list[list[str]] = []
        self.cells: list[str] = []
        table, wrap = TextTable._table, textwrap.wrap

        def recorded(columns: TextTable, columns_shown: Sequence[str]) -> Table:
            for head in columns.heads:
                cells = columns._cells(head)
                self.dropped += [head] if head not in columns_shown and any(cells) else []
                self.cells += cells
            return table(columns, columns_shown)

        def wrapped(words: str, *args: Any, **kwargs: Any) -> list[str]:
            lines = wrap(words, *args, **kwargs)
            self.folded += [lines] if len(lines) > 1 else []
            return lines

        monkeypatch.setattr(TextTable, "_table", recorded)
        monkeypatch.setattr(textwrap, "wrap", wrapped)
        # As if each cell needed a thousand columns: whatever looks at a width shows itself.
        monkeypatch.setattr(blocks, "cell_len", lambda _: 1000)


def test_a_pipe_has_no_width(user: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A2: no column goes and no line is folded in any command, whatever COLUMNS says; with `-o wide` neither."""
    monkeypatch.setenv("COLUMNS", "20")
    shown = EffectiveValue(monkeypatch)
    for line in LINES:
        for form in ("table", "wide"):
            shown.cells.clear()
            result = user(*line, "-o", form)
            assert (shown.dropped, shown.folded) == ([], []), line
            output = result.stdout + result.stderr
            assert [cell for cell in shown.cells if cell.rstrip() not in output] == [], line


def test_a_sentence_in_a_pipe_is_one_line() -> None:
    """A2: `grep` finds it."""
    stream = StringIO()
    console.stream_console(stream, environ={}).print(Paragraph("word " * 5000 + "end"), crop=False)
    assert stream.getvalue().count("\n") == 1


@pytest.mark.sockets
def test_wide_on_a_terminal_has_every_column_and_a_row_a_node(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A2: sixty columns wide, and nothing is dropped or folded: what has no room is the terminal's."""
    program.configure(nodes=2, regions="[us-west-2]")
    assert program("create", "--yes").code == 0
    sandbox.clock.advance(60)
    monkeypatch.setenv("COLUMNS", "60")
    shown = Terminal()
    argv = ("status", "--region", "us-west-2", "-o", "wide")
    world = Runtime(
        environ={**program.environ, "TERM": "xterm", "NO_COLOR": "1"}, cwd=program.folder, home=program.folder,
        stdin=StringIO(), stdout=shown, stderr=StringIO(), clock=program.clock,
    )  # fmt: skip
    run(list(argv), runtime=world)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue()).splitlines()
    (head,) = (line for line in lines if line.startswith("region  ") and " node " in line)
    for name in ("zone", "type", "state", "age", "checks", "address", "verdict"):
        assert f" {name}" in head
    rows = [line for line in lines if " i-" in line]
    assert len(rows) == 2
    assert all("joined" in row and len(row) > 60 for row in rows)


def test_a_sentence_about_the_program_keeps_its_name() -> None:
    """Only a command gets the program as it was called and the options of this run."""
    shown = console.stream_console(
        StringIO(), environ={}, program="uv run -s deploy_spot.py", flags=("--sandbox",)
    )
    assert shown.with_invocation_flags("bacalhau-spot runs it") == "bacalhau-spot runs it"
    for name in COMMANDS:
        text = shown.with_invocation_flags(f"`bacalhau-spot {name}`")
        assert text.startswith(f"`uv run -s deploy_spot.py {name}")


def test_a_command_that_names_its_cluster_gets_no_second_one() -> None:
    shown = console.stream_console(StringIO(), environ={}, flags=("--sandbox", "--cluster other"))
    assert (
        shown.with_invocation_flags("`bacalhau-spot list`")
        == "`bacalhau-spot list --sandbox --cluster other`"
    )
    named = "`bacalhau-spot destroy --cluster first`"
    assert shown.with_invocation_flags(named) == "`bacalhau-spot destroy --sandbox --cluster first`"
