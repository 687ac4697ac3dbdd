"""The keys of `status --watch`: what they mean, and the real program on a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import signal
import termios
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.ui.progress.keys import Key, Keyboard, keyboard_of, parse_keys
from support.cli_runner import CliRunner
from support.seat import Seat

HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"


def test_keys_are_read_from_what_a_terminal_sends() -> None:
    sent = b"j\x1b[Bk\x1b[A\x1bOA\x1b[5~\x1b[1;5Cxcsr?q\xc3\xa9"
    assert [*parse_keys(sent)] == [
        *(Key.DOWN, Key.DOWN, Key.UP, Key.UP, Key.UP),
        *(Key.CONSOLE, Key.SSH, Key.REPLACE, Key.HELP, Key.QUIT),
    ]


@given(st.binary(max_size=40))
def test_any_input_ends(sent: bytes) -> None:
    assert len([*parse_keys(sent)]) <= len(sent)


def test_a_terminal_is_given_back_as_it_was_without_unread_keys() -> None:
    outer, inner = pty.openpty()
    before = termios.tcgetattr(inner)
    keyboard = Keyboard(inner)
    keyboard.take()
    assert not termios.tcgetattr(inner)[3] & (termios.ECHO | termios.ICANON)
    assert termios.tcgetattr(inner)[3] & termios.ISIG, "Ctrl-C is still a signal"
    os.write(outer, b"y\n")
    keyboard.restore()
    assert termios.tcgetattr(inner) == before
    os.set_blocking(inner, False)
    with pytest.raises(BlockingIOError):
        os.read(inner, 10)
    os.close(outer)
    assert (keyboard.read(), keyboard.closed) == ((), True)
    os.close(inner)


def test_a_pipe_has_no_keys() -> None:
    reader, writer = os.pipe()
    os.close(writer)
    with os.fdopen(reader) as stream:
        assert keyboard_of(stream) is None


@pytest.fixture
def cluster(sandbox: Any, program: CliRunner) -> CliRunner:
    """Two nodes that run, seen by a program with a real clock. Its `replace` must not ask for the archive's checksum."""
    program.configure(nodes=2, regions="[us-east-1]", more="  verify_archive: false\n")
    assert program("create", "--yes", "--wait", "running").code == 0
    return program


class Watch:
    """`status --watch` on a terminal whose modes are remembered."""

    def __init__(self, cluster: CliRunner) -> None:
        self.seat = Seat(cluster, "status", "--watch", "--interval", "3600")
        self.before = termios.tcgetattr(self.seat.terminal)
        self.seat.until("q ends, ? shows the keys")

    def ended(self) -> int:
        """The exit code. The terminal has its modes and its cursor."""
        self.seat.until("\0 never shown")
        assert termios.tcgetattr(self.seat.terminal) == self.before
        assert self.seat.shown.rfind(SHOWN) > self.seat.shown.rfind(HIDDEN)
        return self.seat.end()


def nodes(cluster: CliRunner) -> list[str]:
    return [node["id"] for node in cluster("list", "-o", "json").data["instances"]]


def test_q_ends_with_the_last_check_on_the_screen(cluster: CliRunner) -> None:
    watch = Watch(cluster)
    watch.seat.type("?")
    watch.seat.until("arrows or j k: select a node")
    watch.seat.type("c")  # no node is selected
    watch.seat.type("?")
    watch.seat.until("select a node first")
    watch.seat.type("q")
    assert watch.ended() in {0, 1}
    assert nodes(cluster)[0] in watch.seat.shown.rpartition(SHOWN)[2] + watch.seat.shown


def test_the_console_of_the_selected_node(cluster: CliRunner) -> None:
    """It has the terminal to itself; afterwards the frame is back."""
    watch = Watch(cluster)
    watch.seat.type("j")
    watch.seat.until(": c console, s ssh, r replace, q quit")
    (selected,) = re.findall(r"(i-[0-9a-f]+): c console", watch.seat.shown)
    assert selected in nodes(cluster)
    watch.seat.type("c")
    watch.seat.until("any key returns to the status")
    assert f"bacalhau-spot console {selected}" in watch.seat.shown
    assert termios.tcgetattr(watch.seat.terminal)[3] & termios.ISIG
    before = watch.seat.shown.count(": c console, s ssh")
    watch.seat.type(" ")
    watch.seat.until(": c console, s ssh", times=before + 1)
    watch.seat.type("q")
    assert watch.ended() in {0, 1}


def test_a_key_typed_ahead_confirms_nothing(cluster: CliRunner) -> None:
    """`y` and Enter typed before the question of `replace` are discarded: it waits, and Ctrl-C declines."""
    present = nodes(cluster)
    watch = Watch(cluster)
    watch.seat.type("jry\ny\n")
    watch.seat.until("[y/N]")
    watch.seat.type("n\n")
    watch.seat.until("any key returns to the status")
    assert "nothing was changed" in watch.seat.shown
    watch.seat.signal(signal.SIGINT)
    assert watch.ended() in {0, 1}
    assert nodes(cluster) == present


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_gives_the_terminal_back(cluster: CliRunner, number: signal.Signals) -> None:
    watch = Watch(cluster)
    watch.seat.type("j")
    watch.seat.until(": c console, s ssh")
    watch.seat.signal(signal.SIGWINCH)  # a resize changes nothing
    watch.seat.signal(number)
    assert watch.ended() in {0, 1}
