"""The calls of a command as points in time, at which its process can be copied, killed, or given a fault."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import pytest

from aws_spot_sandbox.http_types import Call, Reply
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.session import Session
from bacalhau_spot.http_client import Request, Response
from bacalhau_spot.orchestrator import http as orchestrator_http
from support.killed_process import is_read

T = TypeVar("T")


@dataclass(frozen=True)
class Point:
    """Before a call, or after its effect and before its answer. `number`: of the call, from 1."""

    number: int
    service: str
    region: str
    operation: str  # create_vpc
    after: bool

    @property
    def call(self) -> tuple[str, str, str]:
        return self.service, self.region, self.operation

    @property
    def reads(self) -> bool:
        return is_read(self.operation)

    def __str__(self) -> str:
        moment = "after" if self.after else "before"
        return f"{moment} call {self.number}, {self.service}:{self.operation} {self.region}".strip()


@dataclass
class Wire:
    """Installed after `answer_directly`: all calls are made in one thread, one after the other.

    `at` sees every point, and may never return. `answer` may replace the sandbox's answers.
    """

    sandbox: Any
    at: Callable[[Point], None] | None = None
    answer: Callable[[Call, Callable[[Call], Reply]], Reply] | None = None
    slow_s: float = 0.0  # set by `answer`: the caller waits so long for this call
    not_found_until: float | None = None  # set by `answer`
    calls: int = 0
    sleep: Callable[[float], Any] | None = None
    in_flight: dict[object, Callable[[], object]] = field(default_factory=dict)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        aws, exchange = self.sandbox.server._aws, orchestrator_http.exchange  # type: ignore[attr-defined]  # as it is replaced

        async def run(_session: Session, work: Callable[..., T], *args: Any) -> T:
            if work.__name__ == "_origin":  # the search for credentials is no call
                return work(*args)
            return await self._make(partial(work, *args), *_named(*args))

        async def ask(request: Request, read: Callable[[Response], T]) -> T:
            self.calls += 1
            name = f"{'get' if request.method == 'GET' else request.method.lower()}_{request.url.rpartition('/')[2]}"
            point = Point(self.calls, "orchestrator", "", name, after=False)
            self._reach(point)
            try:
                return await exchange(request, read)
            finally:
                self._reach(replace(point, after=True))

        def answered(call: Call) -> Reply:
            reply: Reply = aws(call) if self.answer is None else self.answer(call, aws)
            return reply

        monkeypatch.setattr(Session, "_run", run)
        monkeypatch.setattr(orchestrator_http, "exchange", ask)
        monkeypatch.setattr(self.sandbox.server, "_aws", answered)

    async def _make(self, work: Callable[[], T], service: str, region: str, operation: str) -> T:
        ticket = object()
        if not is_read(operation):
            self.in_flight[ticket] = work
        # Calls of other regions get their turn, as while a thread waits for the answer.
        await asyncio.sleep(0)
        self.calls += 1
        point = Point(self.calls, service, region, operation, after=False)
        self.in_flight.pop(ticket, None)
        self._reach(point)
        try:
            return work()
        finally:
            self._reach(replace(point, after=True))
            slow_s, self.slow_s = self.slow_s, 0.0
            if slow_s and self.sleep is not None:
                await self.sleep(slow_s)

    def _reach(self, point: Point) -> None:
        if self.at is not None:
            self.at(point)

    def arrive(self) -> None:
        """The other changes that are under way take effect: their answers reach nobody."""
        self.at = None
        for work in list(self.in_flight.values()):
            with suppress(CloudError):
                work()


def _named(service: str, region: str | None, operation: str, *_: Any) -> tuple[str, str, str]:
    return service, region or "", operation
