"""Somebody at a pseudo-terminal, with the real program on it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from support.cli_runner import CliRunner


class Seat:
    """Somebody at a terminal, with one command running on it."""

    def __init__(self, program: CliRunner, *argv: str) -> None:
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

    def until(self, words: str, *, times: int = 1) -> str:
        """All that was shown when `words` came for the nth time, or the program ended."""
        while self.shown.count(words) < times:
            try:
                self.shown += os.read(self.terminal, 4096).decode(errors="replace")
            except OSError:  # nobody is at the other end any more
                break
        return self.shown

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def type(self, keys: str) -> None:
        os.write(self.terminal, keys.encode(errors="surrogateescape"))

    def end(self) -> int:
        self.until("\0 never shown")
        os.close(self.terminal)
        return self._process.wait(timeout=60)
