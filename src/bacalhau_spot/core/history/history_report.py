"""The data of a cluster's history, as values: the timeline and its gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from bacalhau_spot.core.history.node_records import NodeRecord
    from bacalhau_spot.core.history.timeline import Timeline
    from bacalhau_spot.core.problem import ApiFailure


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """`records`: of all nodes of the cluster; `timeline`: of the chosen regions.

    `failed_regions`: regions that could not be scanned; `unpriced`: failed requests for spot prices. `api`: whether the
    orchestrator was asked for the joins of running nodes; `api_failure`: why it did not answer. `log_entries`: whether this
    machine's audit log has entries of the cluster.
    """

    cluster: str
    timeline: Timeline
    records: tuple[NodeRecord, ...] = ()
    regions_scanned: tuple[str, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    unpriced: tuple[ApiFailure, ...] = ()
    api: bool = False
    api_failure: ApiFailure | None = None
    log_entries: bool = False

    @property
    def incomplete(self) -> tuple[ApiFailure, ...]:
        """The gaps that another run may fill. Without the orchestrator's answer, only joins are missing."""
        return (*self.failed_regions, *self.unpriced)

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.INCOMPLETE if self.incomplete else ExitCode.DONE
