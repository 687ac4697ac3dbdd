"""The calls of a command in rounds: those of a round wait for nothing but the rounds before it.

Every answer is held back until no call is under way and the program asks for nothing more. Then all answers arrive at once. So
the number of rounds is the length of the longest chain of calls in which each one needs the answer of the one before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bacalhau_spot.cloud.session import Session

# Turns of the event loop without a new call, after which the program waits for answers.
_QUIET_TURNS = 50


class CallRounds:
    """`rounds`: the sets of operations, as in `describe_tags`, by region in `regions`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rounds: list[set[str]] = []
        self._under_way = 0
        self._begun = 0
        self._operations: list[str] = []
        self._held: list[asyncio.Future[None]] = []
        self._watch: asyncio.Task[None] | None = None
        original = Session._run

        async def held(session: Session, work: Callable[..., Any], *args: Any) -> Any:
            if not args:  # the credentials, which AWS is not asked for
                return await original(session, work)
            self._under_way += 1
            self._begun += 1
            self._operations.append(args[2])
            try:
                return await original(session, work, *args)
            finally:
                self._under_way -= 1
                await self._hold()

        monkeypatch.setattr(Session, "_run", held)

    async def _hold(self) -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.append(answer)
        if self._watch is None or self._watch.done():
            self._watch = asyncio.ensure_future(self._release())
        await answer

    async def _release(self) -> None:
        quiet, begun = 0, self._begun
        while self._under_way or quiet < _QUIET_TURNS:
            await asyncio.sleep(0.001 if self._under_way else 0)
            quiet = 0 if self._under_way or begun != self._begun else quiet + 1
            begun = self._begun
        self.rounds.append(set(self._operations))
        self._operations.clear()
        answers, self._held = self._held, []
        for answer in answers:
            answer.set_result(None)
