"""Runs a command as a process of its own: its time, processor time and peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Starts a command and reports on it. A process inherits the peak memory of the one that starts it, which is small here.
_LAUNCHER = """
import json, os, sys, time
began = time.monotonic()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
wall_s = time.monotonic() - began
with open(sys.argv[1], "w") as report:
    json.dump([os.waitstatus_to_exitcode(status), wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024], report)
"""
_PASSED = frozenset({"PATH", "LANG", "LC_ALL", "HOME"})
LIMIT_S = 900


class Process(NamedTuple):
    """A process that has ended. `peak_mb`: of its memory."""

    exit_code: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    output: str


def run_process(line: Sequence[str], *, folder: Path, environ: Mapping[str, str]) -> Process:
    """In the folder, without a terminal, with compiled modules, and with few variables of this process."""
    report = folder / ".process"
    passed = {name: value for name, value in os.environ.items() if name in _PASSED}
    done = subprocess.run(  # noqa: S603 - our own program, or one that the caller names
        [sys.executable, "-S", "-c", _LAUNCHER, str(report), *line],
        check=False,
        cwd=folder,
        env={**passed, "PWD": str(folder), **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LIMIT_S,
    )
    exit_code, wall_s, cpu_s, peak_mb = json.loads(report.read_text())
    report.unlink()
    return Process(exit_code, wall_s, cpu_s, peak_mb, done.stdout)
