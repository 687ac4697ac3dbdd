"""A clock that advances only by sleeping or by `advance`."""

from __future__ import annotations

import threading
from collections.abc import Callable


class FakeClock:
    """Seconds since the epoch. Sleeping advances the clock without waiting; threads may share it."""

    def __init__(self, start: float = 1_795_000_000.0) -> None:  # an evening in November 2026
        self._now = start
        self._lock = threading.Lock()
        self._events: dict[float, Callable[[], None]] = {}

    def now(self) -> float:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        with self._lock:
            before, self._now = self._now, self._now + seconds
            due = [event for moment, event in self._events.items() if before < moment <= self._now]
        for event in due:
            event()

    def at(self, moment: float, event: Callable[[], None]) -> None:
        """Call `event` when the time passes `moment`."""
        self._events[moment] = event
