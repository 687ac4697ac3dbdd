"""What the node says about itself, where its operator can read it without SSH: EC2's console output."""

from __future__ import annotations

import datetime as dt
import os

PREFIX = "bacalhau-spot:"
CONSOLE = "/dev/console"
LOG = "/var/log/bacalhau-spot.log"


class Console:
    """One line a phase: `bacalhau-spot: 2026-01-31T12:00:00Z phase: detail`."""

    def __init__(self, *, paths: tuple[str, ...] = (CONSOLE, LOG)) -> None:
        self._paths = paths
        self.phase = "boot"

    def say(self, phase: str, detail: str = "") -> None:
        self.phase = phase
        now = dt.datetime.now(tz=dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        line = f"{PREFIX} {now} {phase}{': ' if detail else ''}{' '.join(detail.split())}\n"
        for path in self._paths:
            append_text(path, line)


def append_text(path: str, text: str) -> None:
    """Append; a machine without a console is no reason to stop. Root alone reads the log, which holds others' output too."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY, 0o600)
    except OSError:
        return
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as out:
        out.write(text)
