"""Copies of this process: what happens in one leaves no trace in this one, the sandbox's state included.

A copy costs a few milliseconds, a sandbox in the same state a second. Nothing but the calling thread goes on in a copy.
"""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import resource
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pytest


class CopyFailedError(Exception):
    """A copy ended without a result; the text is its traceback."""


@dataclass
class Copies:
    """The results of all copies, in their order."""

    results: list[Any] = field(default_factory=list)
    _outlet: int | None = None  # in a copy: where its result goes

    @property
    def in_copy(self) -> bool:
        return self._outlet is not None

    def split(self) -> bool:
        """True in the copy, which goes on at once and must call `end`; False here, after the copy's end."""
        loop = asyncio._get_running_loop()
        reader, writer = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reader)
            gc.disable()  # a search would copy all memory, and the copy ends soon
            asyncio._set_running_loop(loop)  # of this process, too
            self._outlet = writer
            return True
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            text = pipe.read()
        os.waitpid(process, 0)
        failed, result = pickle.loads(text) if text else (True, "the copy ended without a word")
        if failed:
            raise CopyFailedError(result)
        self.results.append(result)
        return False

    def end(self, work: Callable[[], object]) -> NoReturn:
        """End this copy with the result of `work`, in a thread of its own: the command that is under way here is frozen."""
        outcome: list[object] = []
        thread = threading.Thread(target=lambda: outcome.append(_attempt(work)))
        try:
            thread.start()
            thread.join()
            if self._outlet is not None:
                with os.fdopen(self._outlet, "wb") as pipe:
                    pickle.dump(outcome[0] if outcome else (True, "no outcome"), pipe)
        finally:  # also if the original has ended: a copy must never go on as one
            os._exit(0)


def _attempt(work: Callable[[], object]) -> tuple[bool, object]:
    try:
        return False, work()
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - the other process raises it again
        return True, traceback.format_exc()


def in_copy(work: Callable[[], Any]) -> Any:
    """The result of `work`, whose other effects are lost."""
    copies = Copies()
    if copies.split():
        copies.end(work)
    return copies.results[0]


def cpu_s() -> float:
    """The processor time of this process and its copies."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
