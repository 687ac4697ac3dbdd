"""The life of a node's instance as this program sees it: a table of phases and of the moves between them.

Rules:
1. A phase is derived from what AWS shows, never remembered.
2. `lost` and `ended` are final. AWS shows an ended instance for about an hour, then no longer.
3. AWS's reads lag and may show an older state after a newer one: a move that is not in the table is ignored, not an error.
"""

from __future__ import annotations

from enum import StrEnum

from bacalhau_spot.core.model import Instance, State


class Phase(StrEnum):
    """Where an instance stands on its way."""

    REQUESTED = "asked"  # AWS gave an id, no read shows it yet
    STARTING = "starting"
    RUNNING = "running"  # and its addresses are known
    TERMINATING = "ending"
    TERMINATED = "ended"  # because someone ended it
    LOST = "lost"  # because AWS took it back or could not keep it


TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.REQUESTED: frozenset(
        {Phase.STARTING, Phase.RUNNING, Phase.TERMINATING, Phase.TERMINATED, Phase.LOST}
    ),
    Phase.STARTING: frozenset({Phase.RUNNING, Phase.TERMINATING, Phase.TERMINATED, Phase.LOST}),
    Phase.RUNNING: frozenset({Phase.TERMINATING, Phase.TERMINATED, Phase.LOST}),
    Phase.TERMINATING: frozenset({Phase.TERMINATED, Phase.LOST}),
    Phase.TERMINATED: frozenset(),
    Phase.LOST: frozenset(),
}

FINAL = frozenset(phase for phase, moves in TRANSITIONS.items() if not moves)

# AWS's own reasons (EC2 API reference, StateReason): everything that begins with Server. was not the user's wish.
_ENDED_BY_AWS = "Server."


def phase_of(instance: Instance) -> Phase:
    match instance.state:
        case State.PENDING:
            return Phase.STARTING
        case State.RUNNING:
            return Phase.RUNNING if instance.private_ip else Phase.STARTING
        case State.SHUTTING_DOWN | State.STOPPING:
            return Phase.TERMINATING
        case State.TERMINATED | State.STOPPED:
            return (
                Phase.LOST
                if (instance.termination_reason or "").startswith(_ENDED_BY_AWS)
                else Phase.TERMINATED
            )


def next_phase(now: Phase, seen: Phase) -> Phase:
    """The phase after a read that shows `seen`; `now` when the table has no such move."""
    return seen if seen in TRANSITIONS[now] else now
