"""The injected source of time: real in the program, simulated in tests."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The current date and time, with a time zone."""

    def monotonic_s(self) -> float:
        """Seconds since a fixed moment; never decreases."""

    async def sleep(self, seconds: float) -> None: ...


class RealClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        import asyncio  # noqa: PLC0415 - loaded where an event loop runs; refusals and pages have none

        await asyncio.sleep(seconds)
