"""Deletes everything of a live run when the run itself no longer can: a process of its own.

    python -m support.live.guardian FOLDER SECONDS

It ends without a change when it reads "clean" from its standard input. When the input ends without that word, because the
process at the other end has ended in any way, or when SECONDS have passed, it runs `nuke` until nothing is left.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

CLEAN = b"clean"
LOG = "guardian.log"
ATTEMPTS, PAUSE_S = 20, 30.0
# `--max`: more than a run can make is not of a run.
NUKE = ("nuke", "--force", "--delete-results", "--disable-protection", "--max", "400")


def nuke_command(folder: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "bacalhau_spot",
        *NUKE,
        "--config",
        str(folder / "config.yaml"),
        "-o",
        "json",
    ]


class Guardian:
    """The end of it that the run holds."""

    def __init__(
        self, folder: Path, *, within_s: float, environ: Mapping[str, str], options: Sequence[str] = ()
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.live.guardian", str(folder), str(within_s), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # no Ctrl-C of this terminal reaches it
            env={**environ, "PYTHONPATH": os.pathsep.join(sys.path), "XDG_STATE_HOME": str(folder / "state")},
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def release(self) -> None:
        """Everything is deleted."""
        self._finish(CLEAN)

    def call(self) -> None:
        """Something may be left."""
        self._finish(b"")

    def _finish(self, word: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(word)
            self._process.stdin.close()

    def wait(self, seconds: float) -> int:
        return self._process.wait(timeout=seconds)


def watch(read_end: int, *, within_s: float) -> bool:
    """Whether the run has reported that nothing is left. Waits for its end."""
    until, heard = time.monotonic() + within_s, b""
    while True:
        ready, _, _ = select.select([read_end], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return False
        part = os.read(read_end, 64)
        if not part:
            return heard.strip() == CLEAN
        heard += part


def clean_up(command: Sequence[str], *, log: Path, sleep: Callable[[float], None] = time.sleep) -> int:
    """Run the command until it succeeds. Returns its last exit code."""
    code = 1
    for attempt in range(1, ATTEMPTS + 1):
        with log.open("ab") as out:
            out.write(f"\nattempt {attempt}: {' '.join(command)}\n".encode())
            out.flush()
            code = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
            ).returncode
            out.write(f"exit code {code}\n".encode())
        if code == 0:
            return 0
        sleep(PAUSE_S)
    return code


def main(arguments: Sequence[str]) -> int:
    folder, within_s = Path(arguments[0]), float(arguments[1])
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if watch(sys.stdin.fileno(), within_s=within_s):
        return 0
    return clean_up(arguments[2:] or nuke_command(folder), log=folder / LOG)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
