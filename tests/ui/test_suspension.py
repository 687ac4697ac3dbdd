"""Ctrl-Z while a frame is on the screen, in a real terminal."""

from __future__ import annotations

import os
import pty
import signal
import sys
from io import StringIO

from rich.console import Console

from bacalhau_spot.ui.progress.suspension import CursorDuringStops

HIDDEN, SHOWN = b"\x1b[?25l", b"\x1b[?25h"

PROGRAM = """
import os, signal, sys
from bacalhau_spot.ui.progress.status_watch import LiveWatcher
from bacalhau_spot.ui.terminal import stream_console
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(1, os.getpgrp())
    watcher = LiveWatcher(stream_console(sys.stdout, environ={"TERM": "xterm"}), interval_s=5, wide=False)
    os.kill(os.getpid(), signal.SIGTSTP)
    watcher.close()
    os._exit(0)
_, status = os.waitpid(job, os.WUNTRACED)
os.write(1, b"<stopped>" if os.WIFSTOPPED(status) else b"<ended>")
os.kill(job, signal.SIGCONT)
os.waitpid(job, 0)
os.write(1, b"<end>")
"""


def test_the_cursor_is_visible_while_the_process_is_stopped() -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM])
    written = b""
    try:
        while chunk := os.read(terminal, 1024):
            written += chunk
    except OSError:  # the end of the terminal
        pass
    os.waitpid(child, 0)
    os.close(terminal)
    frame, _, after = written.partition(b"<stopped>")
    assert frame.rfind(SHOWN) > frame.rfind(HIDDEN) >= 0, written
    resumed, _, _ = after.partition(b"<end>")
    assert resumed.find(HIDDEN) >= 0, written
    assert resumed.rfind(SHOWN) > resumed.rfind(HIDDEN), written


def test_the_signal_is_as_before_at_the_end() -> None:
    cursor = CursorDuringStops(Console(file=StringIO()))
    before = signal.getsignal(signal.SIGTSTP)
    cursor.start()
    cursor.start()
    assert signal.getsignal(signal.SIGTSTP) != before
    cursor.stop()
    cursor.stop()
    assert signal.getsignal(signal.SIGTSTP) == before


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        cursor = CursorDuringStops(Console(file=StringIO()))
        cursor.start()
        cursor.stop()
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTSTP, before)
