"""Runs the engine from a command: the event loop, Ctrl-C, the listeners, the connection to AWS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from bacalhau_spot.cli.runtime import garbage
from bacalhau_spot.cli.runtime.aws_profile import selected_profile
from bacalhau_spot.cli.runtime.redaction import redacted
from bacalhau_spot.cli.runtime.reporting import consoles
from bacalhau_spot.cli.runtime.termination import handle_signal, sigterm_as_interrupt
from bacalhau_spot.core.launch import events
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.errors import ExitCode
from bacalhau_spot.ui.progress.look_line import look_text, settling_text
from bacalhau_spot.ui.views.blocks import Paragraph

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from bacalhau_spot.cli.runtime.cancellation import Cancellation
    from bacalhau_spot.cli.runtime.environment import Runtime
    from bacalhau_spot.cloud.connection import AwsConnection
    from bacalhau_spot.core.launch.events import Event
    from bacalhau_spot.ui.progress.look_line import LookLine

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# The interval between ticks of a screen; a log's heartbeat has its own interval.
_TICK_S = 5.0
# The interval between changes of a look's line.
_LOOK_TICK_S = 0.1


class Screen(Protocol):
    """Displays events as they occur."""

    def emit(self, event: Event) -> None: ...
    def tick(self) -> None:
        """Some seconds have passed, with or without events."""

    def close(self) -> None:
        """Restore the terminal."""


class NullProgress:
    """A screen that shows nothing: for JSON, and for reads that take a second."""

    def emit(self, event: Event) -> None: ...
    def tick(self) -> None: ...
    def close(self) -> None: ...


class Runner:
    """One event loop and one connection to AWS for the duration of a command.

    `run_readonly` runs a read-only coroutine: Ctrl-C ends it at once. `run_with_progress` runs one that makes changes:
    the first Ctrl-C lets running calls finish and starts nothing new, the second exits at once. The terminal is
    restored in both cases.
    """

    def __init__(
        self,
        runtime: Runtime,
        connection: AwsConnection,
        *,
        api_s: float,
        run_id: str = "",
        line: LookLine | None = None,
    ) -> None:
        """`run_id`: of one of several runs of a process; each needs its own client tokens. Empty: the process's.

        `line`: shows looks that take long. None: nothing is shown.
        """
        # Refusals need no AWS, and its library is the slowest of all imports.
        from bacalhau_spot.cloud.aws import Aws  # noqa: PLC0415

        garbage.resume()
        self._runtime = runtime
        self._cloud = Aws(connection)
        self._runner = asyncio.Runner()
        self._screen: Screen = NullProgress()
        self._line = line
        self._cancellation = runtime.cancellation
        self.calls = AwsCalls(
            self._cloud,
            clock=runtime.clock,
            emit=self._emit,
            api_s=api_s,
            jitter=runtime.jitter,
            run_id=run_id or runtime.run_id,
            hide=partial(redacted, runtime=runtime),
            profile=selected_profile(connection.profile, environ=runtime.environ)
            if connection.access_key_id is None
            else "",
        )
        self.log: list[Event] = []
        self._signals = contextlib.ExitStack()
        self._listeners: list[Callable[[Event], None]] = []

    def __enter__(self) -> Self:
        # Questions too, between two parts: a lock may be held.
        self._signals.enter_context(sigterm_as_interrupt(self._runtime.signals))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen.close()
        self._runner.close()
        self._signals.close()
        if kind is None:
            self._cloud.close()
        elif issubclass(kind, Exception):  # Ctrl-C waits for nothing
            self._cloud.abandon()

    def run_readonly(self, part: Coroutine[object, object, T], *, other: str = "") -> T:
        """Run `part`, with a line while it takes long. Raises KeyboardInterrupt on Ctrl-C and SIGTERM.

        `other`: the source that it asks in addition to AWS, or without AWS, such as `the orchestrator`.
        """
        # asyncio handles Ctrl-C: the task is cancelled, then KeyboardInterrupt is raised here.
        line = self._line
        whole = self._until_sigterm(part if line is None else self._run_with_line(part, line, other=other))
        if self._cancellation is not None:
            whole = self._run_cancellable(whole, self._cancellation)
        try:
            return self._runner.run(whole)
        except asyncio.CancelledError:
            if self._cancellation is not None or signal.SIGTERM in self._runtime.signals:
                raise KeyboardInterrupt from None
            raise

    def run_last(self, part: Coroutine[object, object, T]) -> T:
        """Run the end of a command, such as the release of a lock: only Ctrl-C ends it, not the request of another thread."""
        return self._runner.run(part)

    @staticmethod
    async def _run_cancellable(part: Coroutine[object, object, T], cancellation: Cancellation) -> T:
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("a coroutine runs in a task")
        with cancellation.handled_by(task.cancel):
            return await part

    async def _until_sigterm(self, part: Coroutine[object, object, T]) -> T:
        """SIGTERM cancels a look, as Ctrl-C does, so that its line is removed."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def end() -> None:
            self._runtime.signals.add(signal.SIGTERM)
            if task is not None:
                task.cancel()

        with contextlib.ExitStack() as stack:
            if signal.getsignal(signal.SIGTERM) not in {None, signal.SIG_IGN}:
                handle_signal(loop, signal.SIGTERM, end, until=stack)
            return await part

    async def _run_with_line(self, part: Coroutine[object, object, T], line: LookLine, *, other: str) -> T:
        reads = self.calls.open_reads
        reads.start_over()
        line.start()

        loop = asyncio.get_running_loop()
        due: asyncio.Handle | None = None

        def draw() -> None:
            nonlocal due
            due = None
            line.show(self._line_text(other=other))

        def draw_soon() -> None:  # once for all the calls that begin or end together
            nonlocal due
            due = due or loop.call_soon(draw)

        async def tick() -> None:  # the line is due after a time in which nothing may happen
            while True:
                await asyncio.sleep(_LOOK_TICK_S)
                draw()

        reads.changed = draw_soon
        ticking = asyncio.ensure_future(tick())
        try:
            return await part
        finally:
            ticking.cancel()
            reads.changed = None
            line.close()

    def _line_text(self, *, other: str) -> str:
        reads = self.calls.open_reads
        if reads.settles_at_s is not None and not reads.waiting:
            return settling_text(reads.settles_at_s - self._runtime.clock.monotonic_s())
        return look_text(reads.asked, reads.waiting, answered=reads.answered, again=reads.again, other=other)

    def hide_looks(self) -> None:
        """Show no line from now on: another display has the terminal."""
        self._line = None

    def run_with_progress(self, part: Coroutine[object, object, T], *, screen: Callable[[], Screen]) -> T:
        """Run `part` and show its progress on the result of `screen`."""
        try:
            return self._runner.run(self._run_interruptible(part, screen))
        finally:
            self._screen.close()
            self._screen = NullProgress()

    async def _run_interruptible(self, part: Coroutine[object, object, T], screen: Callable[[], Screen]) -> T:
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            for number in _SIGNALS:
                handle_signal(loop, number, partial(self._interrupted, number), until=stack)
            if self._cancellation is not None:
                stack.enter_context(self._cancellation.handled_by(self._stop))
            # From here on no signal can interrupt between taking and restoring the terminal.
            self._screen = screen()
            ticking = asyncio.ensure_future(self._tick())
            stack.callback(ticking.cancel)
            return await part

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._screen.tick()

    def _interrupted(self, number: int = signal.SIGINT) -> None:
        self._runtime.signals.add(number)
        if self.calls.stop.is_set:
            self._screen.close()
            _, err = consoles(self._runtime)
            err.print(
                Paragraph("stopped at once; `bacalhau-spot list` shows the instances", whole=True), crop=False
            )
            self._runtime.stderr.flush()
            os._exit(ExitCode.TERMINATED if number == signal.SIGTERM else ExitCode.INTERRUPTED)
        self._stop()

    def _stop(self) -> None:
        """Running calls finish, and no new one begins."""
        self.calls.stop.set(by_user=True)
        self._emit(events.Cancelling())

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Send all further events to `listener`, in addition to the screen."""
        self._listeners.append(listener)

    def _emit(self, event: Event) -> None:
        self.log.append(event)
        for listener in self._listeners:
            listener(event)
        self._screen.emit(event)
