"""Status lines of the node on EC2's console output, which the operator can read without SSH."""

from __future__ import annotations

import datetime as dt
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

PREFIX = "bacalhau-spot:"
CONSOLE = "/dev/console"
LOG = "/var/log/bacalhau-spot.log"


class Console:
    """One line per phase: `bacalhau-spot: 2026-01-31T12:00:00Z phase: detail`."""

    def __init__(self, *, paths: tuple[str, ...] = (CONSOLE, LOG)) -> None:
        self._paths = paths
        self.phase = "boot"

    def say(self, phase: str, detail: str = "") -> None:
        self.phase = phase
        now = dt.datetime.now(tz=dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        line = f"{PREFIX} {now} {phase}{': ' if detail else ''}{' '.join(detail.split())}\n"
        for path in self._paths:
            append_text(path, line)

    def report_exceptions(self) -> None:
        """Unexpected exceptions are reported here, too, with the phase in which they occur."""

        def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            self.say("failed", f"{self.phase}: {kind.__name__}: {error}")
            sys.__excepthook__(kind, error, trace)

        sys.excepthook = report


def append_text(path: str, text: str) -> None:
    """Append; a missing console is ignored. Only root can read the log, which also has the output of other programs."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY, 0o600)
    except OSError:
        return
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as out:
        out.write(text)
