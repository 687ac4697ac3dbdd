"""Makes the standard streams safe: the reader may be gone, the disk full, the terminal limited to ASCII."""

from __future__ import annotations

import errno
import os
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable

# Replacements on an ASCII terminal for the few other characters that this program writes.
_ASCII = {
    0x2501: "#",
    0x2500: "-",
    0xB7: "-",
    0x2026: "...",
    0x2013: "-",
    0x2014: "-",
    0x2018: "'",
    0x2019: "'",
    0xD7: "x",
}


class SafeStream:
    """A text stream whose writes do not fail. `is_gone`: a write has failed, and nothing is written any more. `trouble`: why the
    output is incomplete; a closed pipe does not count.
    """

    def __init__(self, inner: TextIO) -> None:
        self._inner = inner
        self.is_gone = False
        self.trouble = ""

    def write(self, text: str) -> int:
        shown = text if self._knows(text) else _in_ascii(text)
        self._safely(lambda: self._inner.write(shown))
        return len(text)

    def flush(self) -> None:
        self._safely(self._inner.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _knows(self, text: str) -> bool:
        try:
            text.encode(self._inner.encoding or "utf-8")
        except UnicodeEncodeError:
            return False
        return True

    def _safely(self, step: Callable[[], object]) -> None:
        if self.is_gone:
            return
        try:
            step()
        except OSError as error:
            self.is_gone = True
            if error.errno != errno.EPIPE:
                self.trouble = error.strerror or str(error)
            self._let_go()

    def _let_go(self) -> None:
        """Redirect to the null device: otherwise the buffered rest would fail again when Python exits."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._inner.fileno())
        os.close(nowhere)


def wrap(stream: TextIO | None) -> TextIO:
    """`stream` is None if it was closed before the program started."""
    if stream is None:
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - open until the program ends
    return cast("TextIO", SafeStream(stream))


def wrap_input(stream: TextIO | None) -> TextIO:
    """Bytes that are no text become the replacement character: an answer to be refused, in place of an exception."""
    if stream is None:
        return open(os.devnull, encoding="utf-8")  # noqa: PTH123 - open until the program ends
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="replace")
    return stream


def write_error(stream: TextIO) -> str:
    return getattr(stream, "trouble", "")


def is_read(stream: TextIO) -> bool:
    """False after a failed write: the reader has ended, as `head` does, or the disk is full."""
    return not getattr(stream, "is_gone", False)


def _in_ascii(text: str) -> str:
    """Replaces other characters by a similar one, or else by JSON's escape, which JSON parsers decode."""
    return "".join(_letter(letter) for letter in text)


def _letter(letter: str) -> str:
    if letter.isascii():
        return letter
    units = letter.encode("utf-16-be", "surrogatepass")
    escaped = "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
    return _ASCII.get(ord(letter), escaped)
