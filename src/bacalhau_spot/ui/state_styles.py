"""The colour of a node's state and of a verdict, by the meanings of `ui/palette.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.health.diagnosis import Diagnosis, Severity
from bacalhau_spot.core.model import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.core.health.diagnosis import NodeDiagnosis

GOOD, WAITING, WRONG, ENDED = "green", "yellow", "red", "dim"

SEVERITY_STYLES: Final[Mapping[Severity, str]] = {
    Severity.GOOD: GOOD,
    Severity.WAITING: WAITING,
    Severity.UNKNOWN: WAITING,
    Severity.BAD: WRONG,
    Severity.GONE: ENDED,
}
# Of an instance that has not ended; `draining` is no state of EC2.
_STATE_STYLES: Final[Mapping[str, str]] = {
    State.PENDING: WAITING,
    State.RUNNING: GOOD,
    "draining": WAITING,
}


def state_style(state: str) -> str:
    """Of a state of EC2, or `draining`."""
    return _STATE_STYLES.get(state, ENDED)


def diagnosis_style(diagnosis: NodeDiagnosis) -> str:
    """Of a verdict. A node with an interruption notice still runs: it is on its way out, not broken."""
    return WAITING if diagnosis.diagnosis is Diagnosis.NOTICED else SEVERITY_STYLES[diagnosis.severity]
