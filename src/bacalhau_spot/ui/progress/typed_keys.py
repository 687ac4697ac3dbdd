"""Keys that are typed while a line or a frame is replaced in place: the terminal must not write them into it."""

from __future__ import annotations

import contextlib
import io
import os
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_LOCAL = 3  # the index of the local modes in the attributes of termios


class EchoOff:
    """Without a terminal, or in the background, it does nothing. The keys stay in the input, for the shell or a question.

    A shell restores the terminal of a command that was killed.
    """

    def __init__(self, stdin: TextIO | None) -> None:
        self._stdin = stdin
        self._before: list[object] | None = None

    def start(self) -> None:
        """End the echo, if it is on."""
        if self._before is not None or self._stdin is None:
            return
        # Not every stream has a descriptor, and only a terminal has an echo.
        with contextlib.suppress(io.UnsupportedOperation, termios.error, OSError, ValueError):
            terminal = self._stdin.fileno()
            # Setting the terminal of another job would stop this process (POSIX, tcsetattr).
            if os.tcgetpgrp(terminal) != os.getpgrp():
                return
            before = termios.tcgetattr(terminal)
            if not before[_LOCAL] & termios.ECHO:
                return
            quiet = [*before]
            quiet[_LOCAL] = before[_LOCAL] & ~termios.ECHO
            termios.tcsetattr(terminal, termios.TCSANOW, quiet)
            self._before = before

    def stop(self) -> None:
        """As it was before `start`."""
        before, self._before = self._before, None
        if before is None or self._stdin is None:
            return
        with contextlib.suppress(termios.error, OSError, ValueError):
            terminal = self._stdin.fileno()
            if os.tcgetpgrp(terminal) == os.getpgrp():
                termios.tcsetattr(terminal, termios.TCSANOW, before)  # type: ignore[arg-type]  # its own attributes
