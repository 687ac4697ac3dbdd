"""The phases of a node's instance and their transitions, as a table.

Rules:
1. A phase is derived from AWS's data, never stored.
2. `lost` and `ended` are final. AWS lists a terminated instance for about an hour.
3. AWS's reads lag and may return an older state after a newer one: a transition that is not in the table is ignored.
"""

from __future__ import annotations

from enum import StrEnum

from bacalhau_spot.core.model import Instance, State


class Phase(StrEnum):
    """Where an instance stands on its way."""

    REQUESTED = "asked"  # AWS returned an id, no read lists it yet
    STARTING = "starting"
    RUNNING = "running"  # with its addresses
    TERMINATING = "ending"
    TERMINATED = "ended"  # terminated by a user
    LOST = "lost"  # interrupted or lost by AWS


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
    """The phase after a read with the phase `seen`; `now` when the table has no such transition."""
    return seen if seen in TRANSITIONS[now] else now
