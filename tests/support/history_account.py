"""The account in which histories happen: a new one for each, and the figures of all."""

from __future__ import annotations

import os
import random
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aws_spot_sandbox.ec2 import regions
from aws_spot_sandbox.state import World
from support.cli_runner import CliRunner
from support.clock import FakeClock
from support.history import REGIONS, BrokenPromiseError, History
from support.processes import run_as_processes
from support.storms import ask_sandbox_orchestrator
from support.trust_figures import SEED, record


class HistoryAccount:
    """The sandbox as new for each history; the command lines are processes from now on, in this test."""

    def __init__(
        self, sandbox: Any, program: CliRunner, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._sandbox, self._program, self._folder = sandbox, program, folder
        self._monkeypatch = monkeypatch
        self.kinds: Counter[str] = Counter()
        monkeypatch.setattr(regions, "ENABLED_BY_DEFAULT", REGIONS)
        run_as_processes(sandbox, monkeypatch)
        ask_sandbox_orchestrator(sandbox, monkeypatch)

    def new(self) -> History:
        """In an account without anything, and the same one each time: times, ids and random numbers."""
        clock = FakeClock()
        self._sandbox.clock = clock
        self._sandbox.server.reset(World(now=clock.now, sleep=clock.sleep))
        numbers = random.Random(0)
        self._monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=numbers.getrandbits(128), version=4))
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        return History(self._sandbox, CliRunner(folder=self._folder, environ=self._program.environ))

    def tell(self, steps: Sequence[tuple[str, dict[str, Any]]], *, op: int = 0) -> History:
        """A history from these steps, to its end."""
        history = self.new()
        for name, arguments in steps:
            self.kinds[name] += 1
            history.step(name, **arguments)
        if not steps or steps[-1][0] != "finish":
            self.kinds["finish"] += 1
            history.step("finish", op=op)
        return history

    @contextmanager
    def figures(self, part: str, *, seed: int = SEED) -> Iterator[None]:
        """Adds the figures of the steps inside, whatever comes of them."""
        before, broken = self.kinds.copy(), Counter[str]()
        begun = time.process_time()
        try:
            yield
        except BaseException as error:
            broken[error.kind if isinstance(error, BrokenPromiseError) else "wrong"] += 1
            keep_failure(part, seed, error)
            raise
        finally:
            groups = self.kinds - before
            spent_s = round(time.process_time() - begun, 1)
            record(part, cases=groups.total(), seed=seed, cpu_s=spent_s, groups=groups, **broken)


def keep_failure(part: str, seed: int, error: BaseException) -> None:
    """At once, for a run that takes hours: the failure, with the steps that repeat it."""
    folder = os.environ.get("TRUST_FIGURES")
    if folder:
        path = Path(folder) / "failures.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{part}, seed {seed}:\n{error}\n\n")
