"""What `list` found: the instances and the other resources under the cluster's tag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.lifecycle.expiry import cluster_expiry
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from bacalhau_spot.core.launch.node_spec import DriftedNode
    from bacalhau_spot.core.lifecycle.expiry import ClusterExpiry
    from bacalhau_spot.core.model import Instance, Resource
    from bacalhau_spot.core.pricing.cost_summary import CostSummary
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.scaling_group.groups import GroupState


@dataclass(frozen=True, slots=True)
class Listing:
    """The resources under the cluster's tag. `failed_regions`: regions that could not be scanned, with the reason.

    `instances`: of nodes. `orchestrator`: the managed one, unless it has ended. `others`: everything but the instances, from
    the tag index.
    """

    cluster: str
    instances: tuple[Instance, ...] = ()
    regions_scanned: tuple[str, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    others: tuple[Resource, ...] = ()
    orchestrator: Instance | None = None
    drifted: tuple[DriftedNode, ...] = ()  # nodes that differ from the configuration
    groups: tuple[GroupState, ...] = ()  # Auto Scaling groups
    cost: CostSummary | None = None  # None: nothing costs, or it was not asked

    @property
    def expiry(self) -> ClusterExpiry:
        """The orchestrator's included, and that of the Auto Scaling groups."""
        return cluster_expiry(
            [*self.instances, *([self.orchestrator] if self.orchestrator else [])],
            [state.group for state in self.groups],
        )

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.INCOMPLETE if self.failed_regions else ExitCode.DONE
