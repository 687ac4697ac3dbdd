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

    ASKED = "asked"  # AWS gave an id, no read shows it yet
    STARTING = "starting"
    RUNNING = "running"  # and its addresses are known
    ENDING = "ending"
    ENDED = "ended"  # because someone ended it
    LOST = "lost"  # because AWS took it back or could not keep it


MOVES: dict[Phase, frozenset[Phase]] = {
    Phase.ASKED: frozenset({Phase.STARTING, Phase.RUNNING, Phase.ENDING, Phase.ENDED, Phase.LOST}),
    Phase.STARTING: frozenset({Phase.RUNNING, Phase.ENDING, Phase.ENDED, Phase.LOST}),
    Phase.RUNNING: frozenset({Phase.ENDING, Phase.ENDED, Phase.LOST}),
    Phase.ENDING: frozenset({Phase.ENDED, Phase.LOST}),
    Phase.ENDED: frozenset(),
    Phase.LOST: frozenset(),
}

FINAL = frozenset(phase for phase, moves in MOVES.items() if not moves)

# AWS's own reasons (EC2 API reference, StateReason): everything that begins with Server. was not the user's wish.
_AWS_DID_IT = "Server."


def phase_of(instance: Instance) -> Phase:
    match instance.state:
        case State.PENDING:
            return Phase.STARTING
        case State.RUNNING:
            return Phase.RUNNING if instance.private_ip else Phase.STARTING
        case State.SHUTTING_DOWN | State.STOPPING:
            return Phase.ENDING
        case State.TERMINATED | State.STOPPED:
            return Phase.LOST if (instance.why_ended or "").startswith(_AWS_DID_IT) else Phase.ENDED


def move(now: Phase, seen: Phase) -> Phase:
    """The phase after a read that shows `seen`; `now` when the table has no such move."""
    return seen if seen in MOVES[now] else now
