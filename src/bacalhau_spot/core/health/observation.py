"""The data of one node from EC2, its console and the orchestrator."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from bacalhau_spot.core.model import State, Timeouts

if TYPE_CHECKING:
    from datetime import datetime

    from bacalhau_spot.core.health.boot_console import BootProgress
    from bacalhau_spot.core.model import Instance, SpotRequest
    from bacalhau_spot.core.orchestrator.orchestrator_nodes import OrchestratorNode


class StatusCheck(StrEnum):
    """EC2's status check, in its words (EC2 API reference, SummaryStatus)."""

    OK = "ok"
    INITIALIZING = "initializing"
    IMPAIRED = "impaired"
    INSUFFICIENT = "insufficient-data"
    NONE = "not-applicable"  # of an instance that does not run
    UNKNOWN = "unknown"  # not queried, or without an answer


@dataclass(frozen=True, slots=True)
class StatusChecks:
    """EC2's two checks of an instance: of the machine below it, and whether it answers."""

    system: StatusCheck = StatusCheck.UNKNOWN
    instance: StatusCheck = StatusCheck.UNKNOWN

    @property
    def impaired(self) -> tuple[str, ...]:
        """The names of those that are."""
        both = {"system": self.system, "instance": self.instance}
        return tuple(name for name, check in both.items() if check is StatusCheck.IMPAIRED)


@dataclass(frozen=True, slots=True)
class SpotStatus:
    """A spot request's status: AWS's code, and since when (EC2 user guide, "Spot request status codes")."""

    request_id: str
    instance_id: str
    code: str
    updated_at: datetime


def spot_status(request: SpotRequest) -> SpotStatus:
    """The status of a spot request that concerns its instance."""
    return SpotStatus(
        request_id=request.id,
        instance_id=request.instance_id or "",
        code=request.status,
        updated_at=request.updated_at or request.created_at,
    )


class ApiAvailability(StrEnum):
    """Whether the orchestrator answered."""

    AVAILABLE = "answered"
    NOT_CONFIGURED = "no API"  # the configuration names none
    UNAVAILABLE = "no answer"  # unreachable, or an error


@dataclass(frozen=True, slots=True)
class NodeObservation:
    """One node. `instance` None: only the orchestrator lists it. `boot` None: its console output was not requested or
    not available.

    `member` None: the orchestrator does not list it, or did not answer (`api`). `api_at`, `orchestrator_started_at`: the times
    of its answer and of its start, by its own clock.
    """

    now: datetime
    instance: Instance | None = None
    checks: StatusChecks = field(default_factory=StatusChecks)
    spot: SpotStatus | None = None
    boot: BootProgress | None = None
    member: OrchestratorNode | None = None
    api: ApiAvailability = ApiAvailability.AVAILABLE
    api_at: datetime | None = None
    orchestrator_started_at: datetime | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    in_account: bool = False  # the orchestrator is a managed one: no key of the configuration has its address
    terminated_by: str = ""  # the command of this machine that terminated it, by the audit log

    @property
    def age(self) -> timedelta:
        """Time since the launch; EC2 does not return the time at which an instance began to run."""
        return self.since(self.instance.launched_at) if self.instance else timedelta(0)

    def since(self, moment: datetime) -> timedelta:
        """Never negative: the clocks of AWS, the node and this machine differ."""
        return max(timedelta(0), self.now - moment)

    @property
    def heartbeat_age(self) -> timedelta | None:
        """Time since the node's last heartbeat, by the orchestrator's clock; None without one."""
        return self._at_orchestrator(self.member.last_heartbeat_at if self.member else None)

    @property
    def orchestrator_age(self) -> timedelta | None:
        """Time since the orchestrator's start, by its own clock."""
        return self._at_orchestrator(self.orchestrator_started_at)

    def _at_orchestrator(self, moment: datetime | None) -> timedelta | None:
        if moment is None or self.api_at is None:
            return None
        return max(timedelta(0), self.api_at - moment)

    @property
    def alive(self) -> bool:
        return self.instance is not None and self.instance.alive

    @property
    def running(self) -> bool:
        return self.instance is not None and self.instance.state is State.RUNNING

    @property
    def start_overdue(self) -> bool:
        return self.age > timedelta(seconds=self.timeouts.fulfilment_s)

    @property
    def join_overdue(self) -> bool:
        return self.age > timedelta(seconds=self.timeouts.join_s)

    @property
    def ended_at(self) -> datetime | None:
        """The end of the instance, from AWS or its spot request; None while it runs, and where neither has a time."""
        if self.instance is None or self.instance.alive:
            return None
        return self.instance.terminated_at or (self.spot.updated_at if self.spot else None)

    @property
    def id(self) -> str:
        """The instance's, also of one that only the orchestrator remembers; else the orchestrator's name for the node."""
        if self.instance is not None:
            return self.instance.id
        return (self.member.instance_id or self.member.id) if self.member else ""
