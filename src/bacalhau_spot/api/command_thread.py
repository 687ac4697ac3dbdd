"""A command in a thread of its own: it has an event loop, and the caller may have one, too.

The caller waits for it, in a coroutine or not. The first cancellation or Ctrl-C is that of the command line: running calls
finish, and nothing new begins. The second one leaves the thread behind, which ends with the process.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import queue
    from collections.abc import Callable

    from bacalhau_spot.api.models import ProgressEvent
    from bacalhau_spot.cli.runtime.cancellation import Cancellation

    OnEvent = Callable[[ProgressEvent], object]

T = TypeVar("T")


class CommandThread(Generic[T]):
    """`work` runs once the thread is started. Its exceptions are the waiting caller's."""

    def __init__(self, work: Callable[[], T], *, name: str, cancellation: Cancellation) -> None:
        self._work = work
        self._cancellation = cancellation
        self._future: Future[T] = Future()
        # A daemon: a caller that has left twice does not wait for it at the end of the process.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        try:
            value = self._work()
        except BaseException as error:  # noqa: BLE001 - the waiting caller raises it
            self._future.set_exception(error)
        else:
            self._future.set_result(value)

    async def wait(self) -> T:
        """Raises CancelledError after the end of the command, if the waiting task is cancelled."""
        self._thread.start()
        end = asyncio.wrap_future(self._future)
        # The caller gets the exception of the other future; asyncio would print that nobody has asked for that of this one.
        end.add_done_callback(lambda done: done.exception())
        try:
            await asyncio.wait([end])
        except asyncio.CancelledError as cancelled:
            self._cancellation.request()
            await asyncio.wait([end])
            self._thread.join()
            cancelled.add_note(_end_text(self._future))
            raise
        return self._result()

    def wait_blocking(self, events: queue.SimpleQueue[ProgressEvent | None], on_event: OnEvent | None) -> T:
        """The same without a coroutine; `on_event` is called in this thread. Raises KeyboardInterrupt after Ctrl-C."""
        self._future.add_done_callback(lambda _: events.put(None))
        self._thread.start()
        try:
            while (event := events.get()) is not None:
                if on_event is not None:
                    on_event(event)
        except BaseException as error:
            self._cancellation.request()
            while events.get() is not None:
                pass
            self._thread.join()
            error.add_note(_end_text(self._future))
            raise
        return self._result()

    def _result(self) -> T:
        self._thread.join()  # it has nothing left to do
        return self._future.result()


def _end_text(future: Future[T]) -> str:
    """The result of a command whose caller has left: it may have launched nodes."""
    error = future.exception()
    return f"bacalhau-spot: {future.result() if error is None else error}"
