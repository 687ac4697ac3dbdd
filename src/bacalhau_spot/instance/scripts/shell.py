"""Runs other programs: their output goes to the log, the reason of a failure into one line."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from .console import LOG, append_text

if TYPE_CHECKING:
    from collections.abc import Sequence


class CommandFailedError(Exception):
    """Why the boot failed, as one line for the console."""


def run_command(command: Sequence[str], *, timeout_s: float, env: dict[str, str] | None = None) -> None:
    """Raises CommandFailedError with the last line of output if the exit code is not 0."""
    done = output(command, timeout_s=timeout_s, env=env)
    append_text(LOG, f"$ {' '.join(command)}\n{done.stdout}")
    if done.returncode != 0:
        lines = done.stdout.strip().splitlines() or ["no output"]
        raise CommandFailedError(f"{command[0]} ended with {done.returncode}: {lines[-1][:200]}")


def output(
    command: Sequence[str], *, timeout_s: float | None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The output, both streams, and the exit code. Raises CommandFailedError if it cannot run or times out."""
    try:
        return subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=env,
        )
    except subprocess.TimeoutExpired:
        raise CommandFailedError(f"{command[0]} did not end within {timeout_s} s") from None
    except OSError as error:
        raise CommandFailedError(f"{command[0]} cannot run: {error.strerror}") from error


def answers(command: Sequence[str], *, timeout_s: float = 30) -> bool:
    """Whether the exit code is 0."""
    try:
        return output(command, timeout_s=timeout_s).returncode == 0
    except CommandFailedError:
        return False
