"""The stages of a first boot, from the lines on the machine's console."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from firstboot.machine import Machine

LOOK_S = 0.2  # between two readings of the console
# What ends with the console line of each phase. The last stage ends with the connection to the orchestrator.
STAGES = {
    "packages": "power-on, kernel, systemd, cloud-init",
    "docker": "install Docker's packages",
    "download": "start Docker",
    "start": "the rest of the download of Bacalhau",
    "": "start Bacalhau, which connects",
}


@dataclass(frozen=True)
class Moment:
    """Since power-on: seconds, and processor time of the virtual machine, which other work on the host hardly changes."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class FirstBoot:
    """`stages`: how long each took; empty for other tools, which write no phases to the console."""

    joined: Moment
    stages: dict[str, Moment]


def follow(machine: Machine, joined: threading.Event, *, patience_s: float) -> FirstBoot:
    """Until the machine has joined. Raises SystemExit with the end of its console if it ends first, or takes too long."""
    seen: dict[str, Moment] = {}
    while not joined.wait(LOOK_S):
        if machine.process.poll() is not None:
            raise SystemExit(f"the machine ended before it joined\n{machine.console()[-4000:]}")
        now = _now(machine)
        for phase, _ in machine.phases():
            seen.setdefault(phase, now)
        if "failed" in seen or now.wall_s > patience_s:
            raise SystemExit(f"did not join\n{machine.console()[-4000:]}")
    end = _now(machine)
    return FirstBoot(end, durations(seen, end))


def durations(seen: dict[str, Moment], end: Moment) -> dict[str, Moment]:
    """Stage -> how long it took. A phase on no reading of the console takes no time."""
    if not seen:
        return {}
    ends = [end]
    for phase in reversed([phase for phase in STAGES if phase]):
        ends.insert(0, seen.get(phase, ends[0]))
    return {
        stage: Moment(after.wall_s - before.wall_s, after.cpu_s - before.cpu_s)
        for stage, (before, after) in zip(STAGES.values(), pairwise([Moment(0.0, 0.0), *ends]), strict=True)
    }


def _now(machine: Machine) -> Moment:
    return Moment(time.monotonic() - machine.began, processor_s(machine.process.pid))


def processor_s(pid: int) -> float:
    """User and system time of a running process (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
