"""Whether a command of this machine was killed, or failed, a moment ago: AWS's lists may omit what it has created.

A command that creates resources has a file in the state folder until it has seen AWS list them. The file has the time of
its last change. A lost file costs the certainty of the next `nuke`, and decides nothing else.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from bacalhau_spot import files

if TYPE_CHECKING:
    from pathlib import Path

    from bacalhau_spot.engine.aws_calls.clock import Clock

_FOLDER: Final = "changes"
_MAX_BYTES: Final = 100
# The lag of AWS's lists, and the longest call that may take effect after the process has ended: CreateFleet returns after
# up to 41 s (karpenter-provider-aws#3922). Twice their sum.
RECENT: Final = timedelta(seconds=2 * (12 + 41))
_REWRITE_S: Final = 1.0


class ChangeMark:
    """The file of one command. It cannot be written in a full or read-only folder: the next command then does not wait."""

    def __init__(self, state: Path, *, run: str, clock: Clock) -> None:
        self._path = state / _FOLDER / run
        self._clock = clock
        self._written_s: float | None = None

    def write(self) -> None:
        """Before a change; once a second at most."""
        now_s = self._clock.monotonic_s()
        if self._written_s is not None and now_s - self._written_s < _REWRITE_S:
            return
        self._written_s = now_s
        with suppress(OSError):  # see the class
            files.private_folder(self._path.parent.parent)
            files.private_folder(self._path.parent)
            files.write(self._path, self._clock.now().isoformat())

    def clear(self) -> None:
        """AWS lists everything that the command has created."""
        if self._written_s is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)


def changed_recently(state: Path, *, now: datetime) -> bool:
    """Whether a file is younger than RECENT. Removes the older ones."""
    recent = False
    with suppress(OSError):
        for path in (state / _FOLDER).iterdir():
            if path.name.startswith("."):  # another process is writing it
                continue
            if _is_recent(path, now=now):
                recent = True
            else:
                path.unlink(missing_ok=True)
    return recent


def _is_recent(path: Path, *, now: datetime) -> bool:
    """A time in the near future counts, too: the clock was set back."""
    try:
        moment = datetime.fromisoformat(files.read_text(path, max_bytes=_MAX_BYTES))
    except (OSError, ValueError):
        return False
    return moment.tzinfo is not None and abs(now - moment) < RECENT
