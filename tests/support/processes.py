"""Command lines as processes of one machine or several: each can be killed at a call, and several take turns by a seed.

All run in this process, in the sandbox's standing time and without sockets (support.direct_calls). Between two calls of a
process any other one may make calls, so that a seed is one order of all calls, the same on every machine.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import pytest

from bacalhau_spot.cli.runtime import fact_sources
from bacalhau_spot.cli.runtime.cancellation import thread_name
from bacalhau_spot.cli.runtime.cluster_lock import ClusterLock
from bacalhau_spot.cloud.session import Session
from bacalhau_spot.orchestrator import http as orchestrator_http
from support.cli_runner import CliResult, CliRunner, _accepted
from support.clock import FakeClock
from support.direct_calls import answer_directly
from support.engine_clock import EngineClock
from support.killed_process import Killed

T = TypeVar("T")

_here = threading.local()
# A call to AWS takes this long if several processes run: otherwise a process that sleeps would never wake up between them.
_CALL_S = 0.2
# The event loop's turns in which the other tasks of a process reach their next call or sleep.
_LOOP_TURNS = 6
# Of real time, for a process that does not come back: a fault of this module.
_STUCK_S = 120


@dataclass(eq=False)
class Process:
    """One command line of a user.

    `kill_at`: the number of the call at which it is killed; `answered`: after the call's effect, and before its answer.
    """

    user: CliRunner
    argv: tuple[str, ...]
    kill_at: int | None = None
    answered: bool = False
    after_call: Callable[[], object] = lambda: None
    calls: int = 0
    killed: bool = False
    result: CliResult | None = None  # None: killed
    error: BaseException | None = None
    turns: Turns | None = None
    wakes_at: float = 0.0
    sleepers: list[float] = field(default_factory=list)
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def run(self) -> Process:
        _here.process = self
        try:
            result = self.user(*self.argv)
            self.result = None if self.killed else result
        except Killed:
            assert self.killed
        finally:
            _here.process = None
        return self

    async def make(self, call: Callable[[], Awaitable[T]]) -> T:
        """The call, unless the process is dead. Other processes have their turn before it."""
        if self.turns is not None:
            self.turns.pause(self)
        self.calls += 1
        if self.killed or (self.calls == self.kill_at and not self.answered):
            self.killed = True
            raise Killed
        try:
            return await call()
        finally:
            self.after_call()
            if self.killed or self.calls == self.kill_at:
                self.killed = True
                raise Killed


class Turns:
    """Several processes, of which one runs at a time: a seed decides at each call which one is next.

    Time passes with calls, and while all of them sleep.
    """

    def __init__(self, clock: FakeClock, seed: int) -> None:
        self._clock = clock
        self._random = random.Random(seed)
        # Call by call in turns, or long runs of each.
        self._stays = self._random.choice((0.0, 0.5, 0.9, 0.97))
        self._back = threading.Semaphore(0)

    def run(self, processes: Sequence[Process]) -> None:
        """Until all have ended. Raises the error of a test in one of them."""
        threads = {process: threading.Thread(target=self._work, args=(process,)) for process in processes}
        for process, thread in threads.items():
            process.turns = self
            thread.start()
        current = processes[0]
        while alive := [process for process, thread in threads.items() if thread.is_alive()]:
            now = self._clock.now()
            ready = [process for process in alive if process.wakes_at <= now]
            if not ready:
                self._clock.advance(min(process.wakes_at for process in alive) - now)
                continue
            if current not in ready or self._random.random() >= self._stays:
                current = self._random.choice(ready)
            current.turn.release()
            assert self._back.acquire(timeout=_STUCK_S), f"{current.argv} does not come back"
            if current.wakes_at < 0:
                threads[current].join()
        for process in processes:
            if process.error is not None:
                raise process.error

    def pause(self, process: Process, *, until: float = 0.0) -> None:
        """Another process may go on. Returns when it is this one's turn again, not before `until`."""
        process.wakes_at = until
        self._back.release()
        process.turn.acquire()
        if not until:
            self._clock.advance(_CALL_S)

    async def sleep(self, process: Process, until: float) -> None:
        """The other tasks of the process make their calls meanwhile, and the other processes."""
        process.sleepers.append(until)
        try:
            while self._clock.now() < until:
                calls = process.calls
                for _ in range(_LOOP_TURNS):
                    await asyncio.sleep(0)
                if process.killed:
                    raise Killed
                if process.calls == calls and until == min(process.sleepers):
                    self.pause(process, until=until)
        finally:
            process.sleepers.remove(until)

    def _work(self, process: Process) -> None:
        process.turn.acquire()
        # Of two commands in one Python process, the lock of the cluster respects the other one by this name.
        threading.current_thread().name = thread_name(f"run-{process.user.runs + 1}")
        try:
            process.run()
        except BaseException as error:  # noqa: BLE001 - raised where the processes were started
            process.error = error
        finally:
            process.wakes_at = -1.0
            self._back.release()


class ProcessClock(EngineClock):
    """The engine's clock, for processes that take turns and for single ones. The machines follow it."""

    def __init__(self, sandbox: Any) -> None:
        super().__init__(sandbox.clock)
        self._settle = sandbox.server.settle

    async def sleep(self, seconds: float) -> None:
        process: Process | None = getattr(_here, "process", None)
        if process is None or process.turns is None:
            await super().sleep(seconds)
        else:
            await process.turns.sleep(process, self._clock.now() + seconds)
        self._settle()


def run_as_processes(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, in this test: command lines that are processes make their calls as such."""
    answer_directly(sandbox, monkeypatch)
    run, exchange, leave = Session._run, vars(orchestrator_http)["exchange"], ClusterLock.__exit__

    async def run_in_process(session: Session, work: Callable[..., T], *args: Any) -> T:
        process: Process | None = getattr(_here, "process", None)
        call = partial(run, session, work, *args)
        return await (call() if process is None else process.make(call))

    async def exchange_in_process(request: Any, read: Callable[[Any], T]) -> T:
        process: Process | None = getattr(_here, "process", None)
        call = partial(exchange, request, read)
        return await (call() if process is None else process.make(call))

    def leave_unless_dead(
        lock: ClusterLock,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process: Process | None = getattr(_here, "process", None)
        if process is None or not process.killed:
            leave(lock, kind, error, trace)

    monkeypatch.setattr(Session, "_run", run_in_process)
    monkeypatch.setattr(orchestrator_http, "exchange", exchange_in_process)
    monkeypatch.setattr(ClusterLock, "__exit__", leave_unless_dead)
    # For all processes at once: a patch for each command line would end while another one runs.
    monkeypatch.setattr(fact_sources, "probe_orchestrators", _accepted)


def users(sandbox: Any, program: CliRunner, *hosts: str) -> list[CliRunner]:
    """Operators with a machine and a state folder each."""
    made = []
    for number, host in enumerate(hosts):
        folder = program.folder / host
        folder.mkdir(exist_ok=True)
        made.append(
            CliRunner(
                folder=folder,
                environ=program.environ,
                clock=ProcessClock(sandbox),
                runs=10_000 * number,
                host=host,
                asks_orchestrator=True,
            )
        )
    return made
