"""Keys on a terminal, without Enter.

Python's own termios: a library for keys would bring an event loop and a renderer besides asyncio and Rich.
"""

from __future__ import annotations

import contextlib
import io
import os
import termios
import tty
from enum import Enum
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_BYTES = 64


class Key(Enum):
    """A key with a meaning."""

    UP = "up"
    DOWN = "down"
    CONSOLE = "console"
    SSH = "ssh"
    REPLACE = "replace"
    HELP = "help"
    QUIT = "quit"


# The two forms of arrow keys are those of a terminal's normal and application mode.
_KEYS = {
    b"\x1b[A": Key.UP,
    b"\x1bOA": Key.UP,
    b"\x1b[B": Key.DOWN,
    b"\x1bOB": Key.DOWN,
    b"k": Key.UP,
    b"j": Key.DOWN,
    b"c": Key.CONSOLE,
    b"s": Key.SSH,
    b"r": Key.REPLACE,
    b"?": Key.HELP,
    b"q": Key.QUIT,
}


def parse_keys(data: bytes) -> Iterator[Key]:
    """The keys in what a terminal sent. Other keys, and other escape sequences as a whole, have no meaning."""
    while data:
        word = next((known for known in _KEYS if data.startswith(known)), b"")
        if word:
            yield _KEYS[word]
        data = data[len(word) or _sequence_length(data) :]


def _sequence_length(data: bytes) -> int:
    """Of the escape sequence at the beginning, up to its final letter; otherwise one byte."""
    if data[:2] not in {b"\x1b[", b"\x1bO"}:
        return 1
    for position in range(2, len(data)):
        if 0x40 <= data[position] <= 0x7E:  # noqa: PLR2004 - the final bytes of ECMA-48
            return position + 1
    return len(data)


class Keyboard:
    """A terminal that sends each key at once, without showing it. Ctrl-C remains a signal.

    `restore` gives it back as it was; both may be repeated.
    """

    def __init__(self, fd: int) -> None:
        """Raises termios.error unless `fd` is a terminal."""
        self.fd = fd
        self.closed = False  # the terminal is gone
        self._before = termios.tcgetattr(fd)

    def take(self) -> None:
        """Again after the shell has had the terminal, as after Ctrl-Z."""
        with contextlib.suppress(termios.error):
            tty.setcbreak(self.fd, termios.TCSADRAIN)

    def restore(self) -> None:
        """Discards keys that were typed and not read: no question of another program may take them as its answer."""
        with contextlib.suppress(termios.error):
            termios.tcflush(self.fd, termios.TCIFLUSH)
            termios.tcsetattr(self.fd, termios.TCSADRAIN, self._before)

    def read(self) -> tuple[Key, ...]:
        """The keys that are there. Sets `closed` at the end of input."""
        try:
            data = os.read(self.fd, _MOST_BYTES)
        except OSError:
            data = b""
        self.closed = not data
        return tuple(parse_keys(data))


def keyboard_of(stdin: TextIO) -> Keyboard | None:
    """None unless `stdin` is a terminal, and this process may read from it: a background job would be stopped."""
    try:
        fd = stdin.fileno()
        return None if _in_background(fd) else Keyboard(fd)
    except (io.UnsupportedOperation, termios.error, ValueError):
        return None


def _in_background(fd: int) -> bool:
    try:
        return os.tcgetpgrp(fd) != os.getpgrp()
    except OSError:  # not this session's terminal: it stops nobody
        return False
