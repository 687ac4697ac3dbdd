"""Ctrl-Z during a frame: the shell gets its cursor back, which no shell restores by itself."""

from __future__ import annotations

import contextlib
import io
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from rich.console import Console

_HIDE = b"\x1b[?25l"
_SHOW = b"\x1b[?25h"


class CursorDuringStops:
    """Shows the cursor while this process is stopped. The terminal itself stops the process, as without it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._active = False

    def start(self) -> None:
        """Where signals can be handled, which is the main thread, and unless SIGTSTP is ignored or handled by others."""
        with contextlib.suppress(ValueError):
            if not self._active and signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
                signal.signal(signal.SIGTSTP, self._stopped)
                self._active = True

    def stop(self) -> None:
        if self._active:
            self._active = False
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)

    def _stopped(self, number: int, _: FrameType | None) -> None:
        self._write(_SHOW)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)  # returns after `fg` or `bg`
        if self._active:
            signal.signal(number, self._stopped)
            self._write(_HIDE)

    def _write(self, sequence: bytes) -> None:
        """Beside the stream, which may be in the middle of its own output."""
        with contextlib.suppress(OSError, ValueError, io.UnsupportedOperation):
            terminal = self._console.file.fileno()
            if sequence == _SHOW or os.tcgetpgrp(terminal) == os.getpgrp():
                os.write(terminal, sequence)
