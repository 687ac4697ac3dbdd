"""Reads the state of a node's boot from EC2's console output.

The lines are those of instance/scripts/console.py: `bacalhau-spot: 2026-01-31T12:00:00Z phase: detail`, between lines
of the kernel and of other programs. docs/nodes.md has the phases. The times are the node's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Anywhere in a line: the kernel and cloud-init write on the same console.
_LINE = re.compile(r"bacalhau-spot: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) ([a-z]+)(?:: ([^\r\n]*))?")

WAITING = "waiting"
JOINED = "joined"
# The phase of `reconcile` on a managed orchestrator's machine, and the first words of a failure.
RECONCILE = "reconcile"
DOES_NOT_RUN = "does not run"
# The way from power-on to joined, in its order.
STEPS = ("packages", "docker", "download", "start", "commands", WAITING, JOINED)
# First boot ends with these words on a node that joins nothing: `create` launches it on an explicit choice only.
WITHOUT_ORCHESTRATOR = "the configuration names no orchestrator"
_JOIN = "join"  # the step in which the node waits for the orchestrator
_COMMANDS = "additional_commands "
_NO_DOCKER = "does not offer Docker"
_NO_GPU = "joins without GPU"


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """One phase in the console output."""

    at: datetime
    phase: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class BootProgress:
    """The state of a boot. Empty: the console has no boot step or failure from bacalhau-spot.

    `step` is one of STEPS, `step_at` its begin. `failed`: why first boot gave up; `at_join`: because the node never
    joined. `join_error`: why Bacalhau last could not connect. `commands_failed`: the user's commands failed, which does
    not keep a node from joining. `interrupted_at`: the time of EC2's interruption notice.
    """

    step: str = ""
    step_at: datetime | None = None
    failed: str = ""
    at_join: bool = False
    join_error: str = ""
    commands_failed: str = ""
    no_docker: bool = False
    no_gpu: bool = False
    interrupted_at: datetime | None = None

    @property
    def joined(self) -> bool:
        return self.step == JOINED


# Length of the end of the previous output that is searched in the new one, which may have lost its beginning.
_ANCHOR = 400


def new_output(before: str, after: str) -> str:
    """The part of a console output that the previous output did not have. EC2 returns the whole output, limited to the
    last 64 KiB.
    """
    if after.startswith(before):
        return after[len(before) :]
    anchor = before[-_ANCHOR:]
    at = after.rfind(anchor)
    return after if at < 0 else after[at + len(anchor) :]


def boot_lines_only(text: str) -> str:
    """The lines with the node's phases, without their prefix."""
    return "".join(f"{match[0].rstrip()}\n" for match in _LINE.finditer(text))


def console_lines(text: str) -> tuple[ConsoleLine, ...]:
    """The phases in a console output; lines that are cut off or mixed with others are left out."""
    events = []
    for match in _LINE.finditer(text):
        try:
            at = datetime.fromisoformat(match[1])
        except ValueError:
            continue
        events.append(ConsoleLine(at, match[2], (match[3] or "").strip()))
    return tuple(events)


def parse_boot(text: Iterable[ConsoleLine]) -> BootProgress:
    """Folds the lines in their order. A rebooted node starts again."""
    now = BootProgress()
    for line in text:
        now = _after(now, line)
    return now


def _after(now: BootProgress, line: ConsoleLine) -> BootProgress:
    match line.phase:
        case "failed" if line.text.startswith(_COMMANDS):
            return replace(now, commands_failed=line.text)
        case "failed":
            return _failed(now, line.text)
        case "warning" if _NO_DOCKER in line.text:
            return replace(now, no_docker=True)
        case "warning" if _NO_GPU in line.text:
            return replace(now, no_gpu=True)
        case "interrupted":
            return replace(now, interrupted_at=line.at)
        case step if step in STEPS:
            return _step(now, line)
    return now


def _failed(now: BootProgress, detail: str) -> BootProgress:
    """`join: not joined after 600 s: nats: Authorization Violation` ends with Bacalhau's reason."""
    where, _, why = detail.partition(": ")
    if where != _JOIN:
        return replace(now, failed=detail)
    return replace(now, failed=detail, at_join=True, join_error=why.partition(": ")[2] or now.join_error)


def _step(now: BootProgress, line: ConsoleLine) -> BootProgress:
    if line.phase == STEPS[0]:
        return BootProgress(step=line.phase, step_at=line.at)
    if line.phase == WAITING:
        # The node keeps waiting for another reason: the wait began with the first.
        since = now.step_at if now.step == WAITING else line.at
        return replace(now, step=WAITING, step_at=since, join_error=line.text)
    if line.phase == JOINED:
        return replace(now, step=JOINED, step_at=line.at, failed="", at_join=False, join_error="")
    return replace(now, step=line.phase, step_at=line.at)
