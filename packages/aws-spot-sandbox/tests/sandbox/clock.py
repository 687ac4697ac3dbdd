"""A clock that stands still until somebody sleeps or moves it."""

from __future__ import annotations

import threading


class FakeClock:
    """Seconds since the epoch. Sleeping takes no time and moves it; threads may share it."""

    def __init__(self, start: float = 1_795_000_000.0) -> None:  # an evening in November 2026
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
