"""Programs of this machine that run in place of an instance's: started in sessions of their own, and never left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence

# Reads the ids of all sessions from a pipe. The pipe's end is the sandbox's, however it came: it may have been killed.
_GUARD = """
import os, shutil, signal, sys
alive = set()
for line in sys.stdin:
    sign, number = line[0], int(line[1:])
    (alive.add if sign == "+" else alive.discard)(number)
for number in alive:
    try:
        os.killpg(number, signal.SIGKILL)
    except OSError:
        pass
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""
_PASSED = ("DOCKER_HOST", "LANG", "PATH", "TMPDIR")


@dataclass
class Programs:
    """`base`: the folder of all instances' files, which is removed at the end."""

    base: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="aws-spot-sandbox-")))
    _guard: subprocess.Popen[str] | None = None

    def start(
        self, command: Sequence[str], *, folder: Path, log: Path, env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Raises OSError if the program cannot run."""
        with log.open("ab") as out:
            started = subprocess.Popen(  # noqa: S603 - the instance's own program
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**environment(), **env},
                start_new_session=True,
            )
        self._tell(f"+{started.pid}")
        return started

    def ended(self, process: subprocess.Popen[bytes]) -> None:
        """For a process whose end is known."""
        self._tell(f"-{process.pid}")

    def close(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None and guard.stdin is not None:
            guard.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                guard.wait(10)
        shutil.rmtree(self.base, ignore_errors=True)

    def _tell(self, line: str) -> None:
        if self._guard is None:
            self._guard = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-c", _GUARD, str(self.base)],
                stdin=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        if self._guard.stdin is not None:
            self._guard.stdin.write(f"{line}\n")
            self._guard.stdin.flush()


def environment() -> dict[str, str]:
    """Without the user's settings and credentials."""
    return {name: os.environ[name] for name in _PASSED if name in os.environ}


def signal_all(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To its whole session."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, number)
