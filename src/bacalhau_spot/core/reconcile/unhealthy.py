"""The nodes that `reconcile` replaces, and the reasons to keep them: conservative, because a mistake ends jobs.

Rules:
1. A node is unhealthy if EC2 runs it and it has been of no use for longer than `LOST_FOR` (the orchestrator lost it) or than
   `timeouts.join_s` since its launch (it never joined, or never started).
2. A node that the orchestrator lists as connected is kept, whatever else is wrong with it.
3. Where the orchestrator does not answer, is not healthy or has restarted lately, every node is kept: the reason is there.
4. Where no node has joined, or many are away at once, every node is kept: the reason concerns all of them.
5. At most a share of the cluster is replaced at once. Nodes that are draining already are part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.health.diagnosis import Diagnosis
from bacalhau_spot.core.health.observation import ApiAvailability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.health.cluster_status import ClusterStatus, NodeStatus
    from bacalhau_spot.core.health.observation import NodeObservation
    from bacalhau_spot.core.model import Instance

# The orchestrator disconnects a node after a minute without a heartbeat; most return within five.
LOST_FOR: Final = timedelta(minutes=10)
# Nodes need as long to connect again after a restart of the orchestrator.
RESTARTED_FOR: Final = timedelta(minutes=10)
# The largest part of the cluster's living nodes that may be away before all are kept; one node always may.
_MANY: Final = 3
# The largest part of the cluster's nodes that is replaced at once; one node always may.
_AT_ONCE: Final = 10

# Of nodes that have not joined in time. A node that its own console calls joined may have another orchestrator: kept.
_NEVER_USEFUL: Final = frozenset(
    {
        Diagnosis.NEVER_JOINED,
        Diagnosis.FAILED,
        Diagnosis.STUCK,
        Diagnosis.SILENT,
        Diagnosis.NOT_STARTING,
        Diagnosis.IMPAIRED,
    }
)
_GONE_SILENT: Final = frozenset({Diagnosis.DISCONNECTED, Diagnosis.IMPAIRED})
# What EC2 and the console prove without the orchestrator's API.
_WITHOUT_API: Final = frozenset({Diagnosis.FAILED, Diagnosis.NOT_STARTING, Diagnosis.IMPAIRED})
_AWAY: Final = frozenset({Diagnosis.DISCONNECTED, Diagnosis.HEARTBEAT_OVERDUE, Diagnosis.RECONNECTING})


class Protection(StrEnum):
    """Why unhealthy nodes are kept."""

    ORCHESTRATOR_AWAY = "orchestrator-away"
    ORCHESTRATOR_UNHEALTHY = "orchestrator-unhealthy"
    ORCHESTRATOR_RESTARTED = "orchestrator-restarted"
    NONE_JOINED = "none-joined"
    MANY_AWAY = "many-away"


@dataclass(frozen=True, slots=True)
class UnhealthyNode:
    """`lost_for`: time since the orchestrator lost it; of a node that never joined, since its launch."""

    instance: Instance
    diagnosis: Diagnosis
    lost_for: timedelta


def unhealthy_nodes(status: ClusterStatus) -> tuple[UnhealthyNode, ...]:
    """The living nodes that are of no use, longest first."""
    found = [_unhealthy(node) for node in status.nodes if node.observation.alive]
    return tuple(
        sorted(
            (node for node in found if node is not None),
            key=lambda node: (-node.lost_for, node.instance.region, node.instance.id),
        )
    )


def protection(status: ClusterStatus, unhealthy: Sequence[UnhealthyNode]) -> Protection | None:
    """Why no unhealthy node may be terminated now; None if some may."""
    api = status.snapshot.api
    if api is ApiAvailability.UNAVAILABLE:
        return Protection.ORCHESTRATOR_AWAY
    if status.orchestrator is not None and status.orchestrator.broken:
        return Protection.ORCHESTRATOR_UNHEALTHY
    if _restarted(status):
        return Protection.ORCHESTRATOR_RESTARTED
    if api is ApiAvailability.AVAILABLE and not status.total.joined:
        return Protection.NONE_JOINED
    many = _away(status, unhealthy) > max(1, status.total.present // _MANY)
    return Protection.MANY_AWAY if many else None


def _away(status: ClusterStatus, unhealthy: Sequence[UnhealthyNode]) -> int:
    """The unhealthy nodes, and those that may be so soon."""
    ids = {node.id for node in status.nodes if node.observation.alive and node.diagnosis.diagnosis in _AWAY}
    return len(ids | {node.instance.id for node in unhealthy})


def most_at_once(nodes: int) -> int:
    """How many of a cluster's nodes may be replaced at the same time."""
    return max(1, nodes // _AT_ONCE)


def _restarted(status: ClusterStatus) -> bool:
    listing = status.snapshot.listing
    if listing.started_at is None or listing.answered_at is None:
        return False
    return listing.answered_at - listing.started_at < RESTARTED_FOR


def _unhealthy(node: NodeStatus) -> UnhealthyNode | None:
    observed, diagnosis = node.observation, node.diagnosis.diagnosis
    if observed.instance is None or (observed.member is not None and observed.member.connected):
        return None
    lost_for = _lost_for(observed, diagnosis)
    return None if lost_for is None else UnhealthyNode(observed.instance, diagnosis, lost_for)


def _lost_for(observed: NodeObservation, diagnosis: Diagnosis) -> timedelta | None:
    """None for a node that is not of no use, or not for long enough."""
    if observed.member is None or observed.api is not ApiAvailability.AVAILABLE:
        return observed.age if _never_useful(observed, diagnosis) else None
    since = observed.member.since or observed.member.last_heartbeat_at
    if since is None or diagnosis not in _GONE_SILENT:
        return None
    away_for = (observed.api_at or observed.now) - since
    return away_for if away_for > LOST_FOR else None


def _never_useful(observed: NodeObservation, diagnosis: Diagnosis) -> bool:
    proofs = _NEVER_USEFUL if observed.api is ApiAvailability.AVAILABLE else _WITHOUT_API
    return diagnosis in proofs and observed.join_overdue
