"""SIGTERM as Ctrl-C: the terminal is restored, and a lock released."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack
    from types import FrameType


@contextlib.contextmanager
def sigterm_as_interrupt(signals: set[int]) -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM, and add it to `signals`. A process that ignores SIGTERM still does."""
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or before in {signal.SIG_IGN, None}:
        yield
        return

    def interrupt(number: int, _frame: FrameType | None) -> None:
        signals.add(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def handle_signal(
    loop: AbstractEventLoop, number: int, react: Callable[[], None], *, until: ExitStack
) -> None:
    """Let `loop` react to the signal until the stack is closed; then the handler of before has it again."""
    before = signal.getsignal(number)
    # Signal handlers are only possible on the main thread, which a test may not use.
    with contextlib.suppress(ValueError, RuntimeError):
        loop.add_signal_handler(number, react)
        # In between asyncio sets the default, which would end the process with the terminal as it is now.
        until.callback(signal.pthread_sigmask, signal.SIG_UNBLOCK, {number})
        until.callback(signal.signal, number, signal.SIG_DFL if before is None else before)
        until.callback(loop.remove_signal_handler, number)
        until.callback(signal.pthread_sigmask, signal.SIG_BLOCK, {number})
