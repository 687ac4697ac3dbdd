"""Limits for work that must end: of CPU, and of memory."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


class EndlessError(BaseException):
    """Nothing in the program may catch it."""


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """EndlessError in the main thread after this CPU time of the process."""

    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise EndlessError

    before = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def memory_limit(more_bytes: int) -> Iterator[None]:
    """MemoryError for an allocation beyond that."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more_bytes, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, most))
