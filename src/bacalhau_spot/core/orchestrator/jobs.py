"""A job of the orchestrator and its executions, as values.

Source: Bacalhau 1.9, GET /api/v1/orchestrator/jobs/{id}?include=executions, and pkg/models (job.go, execution.go).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime


class JobState(StrEnum):
    """The state of a job, in Bacalhau's spelling."""

    PENDING = "Pending"
    QUEUED = "Queued"  # no node can take it yet
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"
    OTHER = ""  # a state that Bacalhau 1.9 does not have

    @property
    def final(self) -> bool:
        return self in {JobState.COMPLETED, JobState.FAILED, JobState.STOPPED}


class ExecutionState(StrEnum):
    """The states of an execution that this program distinguishes."""

    ACTIVE = "active"  # offered to a node, accepted, running or publishing
    REJECTED = "rejected"  # the node does not take it
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


# Bacalhau sends numbers, its models also have names (ExecutionStateType).
EXECUTION_STATES: Final = {
    4: ExecutionState.REJECTED,  # AskForBidRejected
    8: ExecutionState.REJECTED,  # BidRejected
    9: ExecutionState.COMPLETED,
    10: ExecutionState.FAILED,
    11: ExecutionState.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Execution:
    """One attempt of a job on a node. `message`: the node's reason; `changed_at`: by the orchestrator's clock."""

    node: str
    state: ExecutionState
    message: str = ""
    exit_code: int = 0
    created_at: datetime | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `message`: the orchestrator's reason for the state; `executions`: the oldest first."""

    id: str
    state: JobState
    message: str = ""
    created_at: datetime | None = None
    executions: tuple[Execution, ...] = ()
    changed_at: datetime | None = None  # its last change of state
