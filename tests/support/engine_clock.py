"""The engine's clock over the sandbox's: both live in the same, standing, time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from support.clock import FakeClock


class EngineClock:
    """Sleepers that wait for the same moment move the time once, not once each."""

    breath_s = 0.001  # of real time, so that the threads that make the calls get their turn

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def monotonic_s(self) -> float:
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        until = self._clock.now() + seconds
        await asyncio.sleep(self.breath_s)
        self._clock.advance(max(0.0, until - self._clock.now()))
