"""On a real pseudo-terminal: what was typed before a question is not its answer, and questions name what they are about."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from typing import Any

from support.program import Program


class Typist(list[tuple[str, str, str]]):
    """The sandbox's list of calls; types something on the terminal when the first of `action` comes."""

    def __init__(self, world: Any, terminal: int, *, action: str, keys: str) -> None:
        super().__init__(world.calls)
        self._terminal = terminal
        self._action = action
        self._keys: bytes | None = keys.encode()
        self._lock = threading.Lock()
        world.calls = self

    def append(self, item: tuple[str, str, str]) -> None:
        super().append(item)
        with self._lock:
            if item[1] == self._action and self._keys is not None:
                os.write(self._terminal, self._keys)
                self._keys = None


class Seat:
    """Somebody at a terminal, with one command running on it."""

    def __init__(self, program: Program, *argv: str) -> None:
        self.terminal, child = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bacalhau_spot", *argv],
            cwd=program.folder,
            env={
                **os.environ,
                **program.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "XDG_STATE_HOME": str(program.folder),
                "TERM": "xterm",
            },
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
        )
        os.close(child)
        self.shown = ""

    def until(self, words: str) -> str:
        """All that was shown when `words` came, or the program ended."""
        while words not in self.shown:
            try:
                self.shown += os.read(self.terminal, 4096).decode(errors="replace")
            except OSError:  # nobody is at the other end any more
                break
        return self.shown

    def type(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def end(self) -> int:
        self.until("\0 never shown")
        os.close(self.terminal)
        return self._process.wait(timeout=60)


def test_what_was_typed_during_the_scan_deletes_nothing(sandbox: Any, program: Program) -> None:
    """A1: `y` and Enter while `destroy` looks; then no more. The question stands, and the cluster runs."""
    assert program("create", "--yes").code == 0
    seat = Seat(program, "destroy")
    Typist(sandbox.world, seat.terminal, action="ec2:DescribeInstances", keys="y\nbacalhau-aws-spot\n")
    shown = seat.until("to go on: ")
    assert "of bacalhau-aws-spot (12 running nodes) in account 000000000000? Type the cluster's name" in shown
    seat.type("y\n")
    assert seat.end() == 3
    assert "nothing was changed" in seat.shown
    there = program("list", "-o", "json").data["instances"]
    assert [one["state"] for one in there] == ["running"] * 12
