"""The live frame and the plain lines, from a recorded story."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console
from syrupy.assertion import SnapshotAssertion

from bacalhau_spot.core import events
from bacalhau_spot.core.progress import Progress, RegionProgress, fold
from bacalhau_spot.ui.live import Frame, LiveScreen
from bacalhau_spot.ui.plain import HEARTBEAT_S, PlainScreen
from support.story import CREATE, Watch


def framed(width: int, height: int = 24, *, regions: tuple[str, ...] = ("us-east-1", "eu-west-1")) -> str:
    console = Console(file=StringIO(), width=width, height=height, no_color=True, markup=False)
    frame = Frame("creating c", regions, Watch())
    for event in CREATE:
        frame.progress = fold(frame.progress, event)
    console.print(frame)
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
    frame = Frame("creating c", ("us-east-1", "eu-west-1"), Watch())
    for event in CREATE:
        console = Console(file=StringIO(), width=80, height=24, markup=False)
        console.print(frame)
        heights.add(console.file.getvalue().count("\n"))  # type: ignore[attr-defined]  # a StringIO
        frame.progress = fold(frame.progress, event)
    assert len(heights) == 1


def test_more_regions_than_lines_show_the_telling_ones() -> None:
    """What failed and what is still at work before what is done, and how many are not shown."""
    regions = tuple(f"region-{number:02}" for number in range(30))
    progress = {name: RegionProgress(done=True, doing="done") for name in regions}
    progress["region-17"] = RegionProgress(failed="VpcLimitExceeded", done=True)
    console = Console(file=StringIO(), width=80, height=12, no_color=True, markup=False)
    frame = Frame("creating c", regions, Watch())
    frame.progress = Progress(regions=progress)
    console.print(frame)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "region-17" in text
    assert "… and 24 more" in text
    assert text.count("\n") <= 12


def test_lines_for_pipes(snapshot: SnapshotAssertion) -> None:
    """One line a transition with its time; polls that change nothing are silent."""
    console = Console(file=StringIO(), width=140, no_color=True, markup=False)
    screen = PlainScreen(console, clock=Watch())
    for event in (*CREATE, events.Stopping()):
        screen.emit(event)
    assert console.file.getvalue() == snapshot  # type: ignore[attr-defined]  # a StringIO


def test_a_long_silence_is_broken_by_a_heartbeat() -> None:
    """Some build servers end what says nothing."""
    console = Console(file=StringIO(), width=140, no_color=True, markup=False)
    watch = Watch()
    screen = PlainScreen(console, clock=watch)
    screen.emit(events.RegionStarted("r", 3))
    for _ in range(3):
        watch.elapsed_s += HEARTBEAT_S / 2
        screen.emit(events.Waiting("r", "starting instances", 3))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # a StringIO
    assert [line[9:] for line in lines] == ["r: launching 3", "still at it: 0 of 3 running"]


PROGRAM = """
import sys
from rich.console import Console
from bacalhau_spot.core import events
from bacalhau_spot.ui.live import LiveScreen
from support.story import Watch
console = Console(file=sys.stderr, force_terminal=True)
screen = LiveScreen(console, regions=("us-east-1",), title="creating c", clock=Watch())
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
    screen = LiveScreen(console, regions=("r",), title="t", clock=Watch())
    screen.close()
    screen.close()
