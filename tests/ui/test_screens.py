"""The live frame and the plain lines, from a recorded story."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console, Group
from syrupy.assertion import SnapshotAssertion

from bacalhau_spot.core.launch import events
from bacalhau_spot.core.launch.instance_phases import Phase
from bacalhau_spot.core.launch.progress import Progress, RegionProgress
from bacalhau_spot.core.orchestrator.smoke_test import Outcome
from bacalhau_spot.ui import terminal as consoles
from bacalhau_spot.ui.progress.progress_live import (
    REDRAWS_PER_S,
    LiveScreen,
    ProgressFrame,
    heading,
    progress_rows,
)
from bacalhau_spot.ui.progress.progress_log import HEARTBEAT_S, PlainScreen
from support.clock import FakeClock
from support.engine_clock import EngineClock
from support.recorded_events import CREATE, NOON


def framed(width: int, height: int = 24, *, regions: tuple[str, ...] = ("us-east-1", "eu-west-1")) -> str:
    console = Console(file=StringIO(), width=width, height=height, no_color=True, markup=False)
    frame = ProgressFrame("creating c", regions, EngineClock(FakeClock()))
    for event in CREATE:
        frame.apply(event)
    console.print(frame)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO from above
    return text


def shown(renderable: ProgressFrame | Group, *, width: int) -> str:
    console = Console(file=StringIO(), width=width, height=24, no_color=True, markup=False)
    console.print(renderable)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO from above
    return text


@pytest.mark.parametrize("width", [40, 60, 100])
def test_the_frame_at_each_width(width: int, snapshot: SnapshotAssertion) -> None:
    """No line is longer than the window, however narrow: a wrapped line would make the frame jump."""
    text = framed(width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert text == snapshot


def test_the_frame_keeps_its_height() -> None:
    """From the first moment it has as many lines as at the end."""
    heights = set()
    frame = ProgressFrame("creating c", ("us-east-1", "eu-west-1"), EngineClock(FakeClock()))
    for event in CREATE:
        console = Console(file=StringIO(), width=80, height=24, markup=False)
        console.print(frame)
        heights.add(console.file.getvalue().count("\n"))  # type: ignore[attr-defined]  # a StringIO
        frame.apply(event)
    assert len(heights) == 1


def test_more_regions_than_lines_show_the_telling_ones() -> None:
    """What failed and what is still at work before what is done, and how many are not shown."""
    regions = tuple(f"region-{number:02}" for number in range(30))
    progress = {name: RegionProgress(done=True, status_text="done") for name in regions}
    progress["region-17"] = RegionProgress(failed="VpcLimitExceeded", done=True)
    console = Console(file=StringIO(), width=80, height=12, no_color=True, markup=False)
    frame = ProgressFrame("creating c", regions, EngineClock(FakeClock()))
    frame.progress = Progress(regions=progress)
    console.print(frame)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "region-17" in text
    assert "… and 24 more" in text
    assert text.count("\n") <= 12


@pytest.mark.parametrize("width", [24, 36, 40, 200])
def test_a_failure_is_told_at_every_width(width: int) -> None:
    """In words where there is room, by a mark where there is none; never by colour alone, never on a second line."""
    progress = Progress(
        regions={
            "ap-southeast-1": RegionProgress(requested=2, failed="VpcLimitExceeded", done=True),
            "eu-west-1": RegionProgress(requested=2, running=2, done=True, status_text="done"),
        }
    )
    lines = shown(progress_rows(progress, width=width, height=24), width=width).splitlines()
    assert len(lines) == 2
    assert "! 0/2" in lines[0] or "failed: V" in lines[0] or "failed: …" in lines[0]
    assert "!" not in lines[1] and "failed" not in lines[1]


@pytest.mark.parametrize("width", [20, 30, 40, 80])
def test_the_heading_keeps_its_numbers(width: int) -> None:
    """A long name gives way, the totals and the time do not."""
    progress = Progress(regions={"r": RegionProgress(requested=12, running=7)})
    text = heading("creating a cluster with a very long name", progress, elapsed_s=75, width=width).plain
    assert text.endswith("7 of 12 running · 1:15"[: width - 1] + ("…" if width < 22 else ""))
    assert len(text) <= width


def test_a_row_names_the_usual_kind_and_the_time_when_it_was_done() -> None:
    """`internet gateway`, as in the lines of a log, and not `internet-gateway`."""
    clock = FakeClock()
    frame = ProgressFrame("creating c", ("r", "s"), EngineClock(clock))
    frame.apply(events.RegionStarted("r", 1))
    frame.apply(events.ResourceCreated("r", "internet-gateway", "igw-1"))
    assert "created internet gateway" in shown(frame, width=80)
    clock.advance(101)
    frame.apply(events.FleetResponded("r", "f", 1, 1))
    frame.apply(events.InstanceSeen("r", "i-1", "t3.medium", "ra", Phase.RUNNING))
    clock.advance(30)
    assert "1/1  done, 1:41" in shown(frame, width=80)


@pytest.mark.parametrize("width", [40, 36, 24])
def test_a_large_count_is_never_cut(width: int) -> None:
    """The name and the words give way."""
    progress = Progress(
        regions={
            "ap-southeast-1": RegionProgress(requested=1000, running=987, status_text="starting instances")
        }
    )
    (line,) = shown(progress_rows(progress, width=width, height=24), width=width).splitlines()
    assert "987/1000" in line
    assert len(line) <= width


def test_ctrl_c_is_answered_in_the_frame() -> None:
    """The user reads at once that it was heard, and what a second one would do."""
    frame = ProgressFrame("creating c", ("us-east-1",), EngineClock(FakeClock()))
    frame.apply(events.Cancelling())
    assert "press Ctrl-C again to leave at once" in shown(frame, width=100)


TESTED: tuple[events.Event, ...] = (
    events.SmokeTestStarted("eu-west-1", 1),
    events.SmokeTestStarted("us-east-1", 2),
    events.NodeTested("us-east-1", "bacalhau-i-1", Outcome.RAN, "", 1.5),
    events.NodeTested("us-east-1", "bacalhau-i-2", Outcome.FAILED, "no such image"),
)


def test_a_smoke_test_is_counted_in_nodes_and_a_failure_is_told() -> None:
    """In the frame's heading and rows, and in the lines of a log."""
    frame = ProgressFrame("testing c", ("eu-west-1", "us-east-1"), EngineClock(FakeClock()))
    stream = StringIO()
    clock = EngineClock(FakeClock(NOON))
    lines = PlainScreen(Console(file=stream, width=200, no_color=True, markup=False), clock=clock)
    for event in TESTED:
        frame.apply(event)
        lines.emit(event)
    heading_line, west, east, _ = shown(frame, width=80).splitlines()
    assert heading_line.startswith("testing c · 2 of 3 tested · 0:00")
    assert (west.split(), east.split()) == (
        ["eu-west-1", "─" * 12, "0/1", "testing"],
        ["us-east-1", "━" * 12, "2/2", "failed:", "bacalhau-i-2"],
    )
    assert stream.getvalue().splitlines() == [
        "12:00:00 eu-west-1: testing 1 node",
        "12:00:00 us-east-1: testing 2 nodes",
        "12:00:00 us-east-1: bacalhau-i-1 ran in 1.5 s",
        "12:00:00 us-east-1: bacalhau-i-2 failed: no such image",
    ]


class Glass:
    """As much of a terminal as Rich's frame needs: lines, the cursor, and what erases."""

    def __init__(self) -> None:
        self.lines, self.row, self.column, self.cursor = [""], 0, 0, True

    def feed(self, text: str) -> None:
        for part in re.findall(r"\x1b\[\??[\d;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", text):
            self._take(part)

    def _take(self, part: str) -> None:
        if part == "\r":
            self.column = 0
        elif part == "\n":
            self.row, self.column = self.row + 1, 0
            self.lines += [""] * (self.row + 1 - len(self.lines))
        elif part.startswith("\x1b"):
            self._obey(part[2:-1], part[-1])
        else:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + part + line[self.column + len(part) :]
            self.column += len(part)

    def _obey(self, value: str, verb: str) -> None:
        match verb:
            case "A":
                self.row -= int(value or 1)
            case "K":
                self.lines[self.row] = ""
            case "h" | "l":
                assert value == "?25", "nothing but the cursor is switched"
                self.cursor = verb == "h"
            case "m":
                pass
            case _:
                pytest.fail(f"the frame uses a sequence that this test does not know: {value}{verb}")


def test_the_frame_vanishes() -> None:
    """When it is closed the terminal is as before, with the cursor shown: the receipt follows in its place."""
    stream = StringIO()
    console = Console(file=stream, force_terminal=True, width=60, height=20, _environ={"TERM": "xterm"})
    screen = LiveScreen(
        console, regions=("us-east-1", "eu-west-1"), title="creating c", clock=EngineClock(FakeClock())
    )
    for event in CREATE:
        screen.emit(event)
        screen._live.refresh()
    standing, closed = Glass(), Glass()
    standing.feed(stream.getvalue())
    screen.close()
    closed.feed(stream.getvalue())
    assert standing.lines[0].startswith("creating c · 3 of 4 running")
    assert standing.lines[1].split() == ["us-east-1", "━━━━━━━━━───", "3/4", "done,", "1", "missing,", "0:00"]
    assert not standing.cursor
    assert (closed.row, "".join(closed.lines).strip(), closed.cursor) == (0, "", True)


def test_events_draw_nothing_by_themselves() -> None:
    """A thousand events a second are still four frames a second: only the clock redraws."""
    assert REDRAWS_PER_S <= 4
    console = Console(file=StringIO(), force_terminal=True, width=60, height=20, _environ={"TERM": "xterm"})
    screen = LiveScreen(console, regions=("r",), title="t", clock=EngineClock(FakeClock()))
    drawn: list[int] = []
    screen._live.refresh = lambda: drawn.append(1)  # type: ignore[method-assign]  # counted, not drawn
    for event in CREATE * 20:
        screen.emit(event)
    assert len(drawn) <= 1, "at most what the clock drew meanwhile"
    screen.close()


class Tty(StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "terminal", "colour"),
    [
        (Tty(), {"TERM": "xterm-256color"}, True, True),
        (Tty(), {"TERM": "xterm-256color", "NO_COLOR": "1"}, True, False),
        (Tty(), {"TERM": "dumb"}, False, False),
        (StringIO(), {"TERM": "xterm-256color", "FORCE_COLOR": "1"}, False, False),
    ],
)
def test_what_each_stream_can_do(
    stream: StringIO, environ: dict[str, str], terminal: bool, colour: bool
) -> None:
    """A dumb terminal and a pipe get lines, whatever FORCE_COLOR says; NO_COLOR takes the colour and leaves the frame."""
    stream_console = consoles.stream_console(stream, environ=environ)
    assert (stream_console.is_terminal, stream_console.is_interactive, not stream_console.no_color) == (
        terminal,
        terminal,
        colour,
    )
    assert consoles.stream_console(Tty(), environ={"TERM": "xterm"}, no_color=True).no_color


def test_lines_for_pipes(snapshot: SnapshotAssertion) -> None:
    """One line a transition with its time; polls that change nothing are silent."""
    console = Console(file=StringIO(), width=140, no_color=True, markup=False)
    screen = PlainScreen(console, clock=EngineClock(FakeClock(NOON)))
    for event in (*CREATE, events.Cancelling()):
        screen.emit(event)
    assert console.file.getvalue() == snapshot  # type: ignore[attr-defined]  # a StringIO


def test_a_long_silence_is_broken_by_a_heartbeat() -> None:
    """Some build servers end what says nothing."""
    console = Console(file=StringIO(), width=140, no_color=True, markup=False)
    time = FakeClock(NOON)
    screen = PlainScreen(console, clock=EngineClock(time))
    screen.emit(events.RegionStarted("r", 3))
    for _ in range(3):
        time.advance(HEARTBEAT_S / 2)
        screen.emit(events.Waiting("r", "starting instances", 3))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # a StringIO
    assert [line[9:] for line in lines] == ["r: launching 3", "in progress: 0 of 3 running"]


def test_a_tick_without_events_is_a_heartbeat_too() -> None:
    """A call that hangs makes no events; the line comes all the same, and only when it is time."""
    console = Console(file=StringIO(), width=140, no_color=True, markup=False)
    time = FakeClock(NOON)
    screen = PlainScreen(console, clock=EngineClock(time))
    for _ in range(4):
        time.advance(HEARTBEAT_S / 2)
        screen.tick()
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # a StringIO
    assert lines == ["12:00:30 in progress: 0 of 0 running", "12:01:00 in progress: 0 of 0 running"]


PROGRAM = """
import sys
from rich.console import Console
from bacalhau_spot.core.launch import events
from bacalhau_spot.ui.progress.progress_live import LiveScreen
from support.engine_clock import EngineClock
from support.clock import FakeClock
console = Console(file=sys.stderr, force_terminal=True)
screen = LiveScreen(console, regions=("us-east-1",), title="creating c", clock=EngineClock(FakeClock()))
try:
    screen.emit(events.RegionStarted("us-east-1", 2))
    raise KeyboardInterrupt
finally:
    screen.close()
"""


def test_the_terminal_is_given_back_after_an_exception() -> None:
    """On a real terminal: the cursor is hidden while the frame stands, and shown again whatever ends it."""
    master, slave = pty.openpty()
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stderr=slave, stdin=slave, stdout=slave, env=environ
    )
    os.close(slave)
    output = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # the other end has closed
            break
        if not chunk:
            break
        output += chunk
    process.wait(timeout=20)
    os.close(master)
    assert output.count(b"\x1b[?25l") == output.count(b"\x1b[?25h") >= 1
    assert b"\x1b[?1049h" not in output, "the alternate screen would swallow the scrollback"


def test_closing_twice_is_harmless() -> None:
    """The command closes it, and so does whatever ends the command."""
    console = Console(file=StringIO(), force_terminal=True, width=80)
    screen = LiveScreen(console, regions=("r",), title="t", clock=EngineClock(FakeClock()))
    screen.close()
    screen.close()


def test_a_log_has_a_line_for_each_change_of_the_joined_nodes() -> None:
    stream = StringIO()
    screen = PlainScreen(Console(file=stream, width=200), clock=EngineClock(FakeClock(NOON)))
    for joined in (0, 0, 2, 3):
        screen.emit(events.NodesJoined(joined=joined, launched=3))
    lines = [line.partition(" ")[2] for line in stream.getvalue().splitlines()]
    assert lines == [f"{count} of 3 nodes joined the orchestrator" for count in (0, 2, 3)]
