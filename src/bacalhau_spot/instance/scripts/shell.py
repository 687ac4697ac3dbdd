"""Running other programs: what they print goes to the log, and why they failed into one line."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from .console import LOG, append_text

if TYPE_CHECKING:
    from collections.abc import Sequence


class CommandFailedError(Exception):
    """Why the node does not come up, in a line for the console."""


def run_command(command: Sequence[str], *, timeout_s: float, env: dict[str, str] | None = None) -> None:
    """Failed with the last line that it printed when it does not end well."""
    done = output(command, timeout_s=timeout_s, env=env)
    append_text(LOG, f"$ {' '.join(command)}\n{done.stdout}")
    if done.returncode != 0:
        lines = done.stdout.strip().splitlines() or ["no output"]
        raise CommandFailedError(f"{command[0]} ended with {done.returncode}: {lines[-1][:200]}")


def output(
    command: Sequence[str], *, timeout_s: float | None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What a program printed, both streams, and how it ended. Failed when it cannot run or takes too long."""
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
    """Whether it ends well."""
    try:
        return output(command, timeout_s=timeout_s).returncode == 0
    except CommandFailedError:
        return False
