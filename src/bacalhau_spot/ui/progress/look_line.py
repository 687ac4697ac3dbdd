"""One line while a look at AWS takes long, on a terminal: it is replaced in place and removed at the end."""

from __future__ import annotations

import math
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from bacalhau_spot.core.sanitize import sanitized
from bacalhau_spot.ui.formatting import plural
from bacalhau_spot.ui.progress.typed_keys import EchoOff

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import IO, TextIO

# A shorter look needs no line.
AFTER_S = 0.5
# As few regions as a line has room for.
_NAMED = 2
# ECMA-48: to the first column, and erase to the end of the line; faint; normal.
_CLEAR = "\r\x1b[K"
_FAINT, _NORMAL = "\x1b[2m", "\x1b[0m"


class Stopwatch(Protocol):
    """The part of the engine's clock that a line needs."""

    def monotonic_s(self) -> float: ...


def look_text(
    asked: Sequence[str],
    waiting: Collection[str],
    *,
    answered: int | None = None,
    again: bool = False,
    other: str = "",
) -> str:
    """`looking into 17 regions: 11 answered`; empty if there is nothing to tell.

    `asked`: the regions of this round. `waiting`: those with a call without an answer; the empty name is a call to no region.
    `answered`: the number of those that have answered, some of which may have been asked for more; None: the others.
    `again`: an earlier round has asked the same regions. `other`: a further source, such as `the orchestrator`, which
    answers after AWS.
    """
    missing = sorted(filter(None, waiting))
    look = "looking again into" if again else "looking into"
    if missing:
        return f"{look} {_regions_text(asked, missing, answered=answered)}"
    if waiting:
        return "asking AWS"
    if other:
        return f"asking {other}"
    return f"{plural(len(asked), 'region')} answered" if asked else ""


def _regions_text(asked: Sequence[str], missing: Sequence[str], *, answered: int | None) -> str:
    if len(asked) == 1:
        return asked[0]
    count = len(asked) - len(missing) if answered is None else answered
    names = f", waiting for {', '.join(missing)}" if count and len(missing) <= _NAMED else ""
    return f"{plural(len(asked), 'region')}: {count} answered{names}"


def settling_text(left_s: float) -> str:
    """Of a pause in which no call is open."""
    return f"waiting {max(1, math.ceil(left_s))} s for AWS's lists to settle"


class LookLine:
    """The line of one command. Without a terminal, and before AFTER_S of a look, it writes nothing."""

    def __init__(
        self,
        stream: IO[str],
        *,
        width: Callable[[], int],
        clock: Stopwatch,
        after_s: float = AFTER_S,
        stdin: TextIO | None = None,
    ) -> None:
        """`width`: of the terminal, which may change. `stdin`: its keys are not echoed into the line."""
        self._echo = EchoOff(stdin)
        self._stream = stream
        self._width = width
        self._clock = clock
        self._after_s = after_s
        self._since_s: float | None = None
        self._shown = ""
        self._held = False
        # A question may come from another thread, in the middle of a look.
        self._lock = threading.RLock()

    def start(self) -> None:
        """A look begins."""
        self._since_s = self._clock.monotonic_s()

    def show(self, text: str) -> None:
        """Replace the line, if the look has taken long enough."""
        with self._lock:
            if self._held or self._since_s is None:
                return
            if self._clock.monotonic_s() - self._since_s < self._after_s:
                return
            # A full line would be folded, and its first part would remain.
            room = self._width() - 1
            line = sanitized(text)
            line = line if len(line) <= room else f"{line[: max(0, room - 1)]}…"
            if line != self._shown:
                self._echo.start()
                self._write(f"{_CLEAR}{_FAINT}{line}{_NORMAL}" if line else _CLEAR)
                self._shown = line

    def close(self) -> None:
        """Remove the line: the look has ended."""
        with self._lock:
            self._since_s = None
            self._remove()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """No line while a question is on the screen, or another display."""
        with self._lock:
            before, self._held = self._held, True
            self._remove()
        try:
            yield
        finally:
            with self._lock:
                self._held = before

    def _remove(self) -> None:
        if self._shown:
            self._write(_CLEAR)
            self._shown = ""
        self._echo.stop()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
