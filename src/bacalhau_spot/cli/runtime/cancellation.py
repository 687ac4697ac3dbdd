"""The end of a command that runs in a thread of another program: its request, and the name of the thread."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_THREAD = "bacalhau-spot "


def thread_name(run_id: str) -> str:
    """The name of the thread of this run."""
    return f"{_THREAD}{run_id}"


def runs_in_thread(run_id: str) -> bool:
    """Whether a thread of this process runs the command: it may hold a lock that others have to respect."""
    return any(thread.name == thread_name(run_id) for thread in threading.enumerate())


class Cancellation:
    """Requests the end of a command from another thread.

    Like Ctrl-C, each request acts once, on the step that runs. A request between two steps waits for the second one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending = False
        self._handler: Callable[[], object] | None = None

    def request(self) -> None:
        with self._lock:
            if self._handler is None:
                self._pending = True
            else:
                self._handler()

    @contextmanager
    def handled_by(self, handler: Callable[[], object]) -> Iterator[None]:
        """Call `handler` in the running event loop for a request."""
        loop = asyncio.get_running_loop()
        with self._lock:
            pending, self._pending = self._pending, False
            self._handler = lambda: loop.call_soon_threadsafe(handler)
        if pending:
            handler()
        try:
            yield
        finally:
            with self._lock:
                self._handler = None
