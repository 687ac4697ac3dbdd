"""Events of the engine, as values. Live frame, log lines, JSON and results are built from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bacalhau_spot.core.launch.instance_phases import Phase
    from bacalhau_spot.core.orchestrator.smoke_test import Outcome


@dataclass(frozen=True, slots=True)
class RegionStarted:
    """Work begins in a region; `requested` nodes are to be launched there."""

    region: str
    requested: int


@dataclass(frozen=True, slots=True)
class ResourceCreated:
    """AWS created a resource."""

    region: str
    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """A call is repeated after `wait_s` seconds. `code` is AWS's."""

    region: str
    operation: str
    code: str
    attempt: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class FleetResponded:
    """AWS answered a launch: the number of instances, and its refusals."""

    region: str
    fleet_id: str
    requested: int
    launched: int
    refusals: tuple[tuple[str, str, str], ...] = ()
    """instance type, zone and AWS's code"""


@dataclass(frozen=True, slots=True)
class InstanceSeen:
    """An instance moved to another phase."""

    region: str
    id: str
    type: str
    zone: str
    phase: Phase
    address: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NodesReassigned:
    """Other regions launch nodes for which this region has no capacity."""

    region: str
    count: int
    to: tuple[tuple[str, int], ...]
    """region and number"""
    code: str


@dataclass(frozen=True, slots=True)
class RegionFailed:
    """A region failed; the others continue."""

    region: str
    operation: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ResourceFound:
    """The scan found a resource to delete."""

    region: str
    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Deleting:
    """AWS accepted the deletion."""

    region: str
    kind: str
    id: str
    request_ids: tuple[str, ...] = ()
    """AWS's ids of the accepted requests"""


@dataclass(frozen=True, slots=True)
class Deleted:
    """AWS no longer lists the resource."""

    region: str
    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A region waits for AWS; `remaining` resources are not ready, or not deleted."""

    region: str
    message: str
    remaining: int


@dataclass(frozen=True, slots=True)
class OrchestratorChanged:
    """The managed orchestrator has come to another step; `message` names it. `ready`: it accepts nodes."""

    region: str
    message: str
    ready: bool = False


@dataclass(frozen=True, slots=True)
class NodesJoined:
    """The orchestrator lists this many of the launched nodes as connected."""

    joined: int
    launched: int


@dataclass(frozen=True, slots=True)
class SmokeTestStarted:
    """`nodes` joined nodes of a region are to be tested."""

    region: str
    nodes: int


@dataclass(frozen=True, slots=True)
class NodeTested:
    """The smoke test of a node has ended."""

    region: str
    node: str
    outcome: Outcome
    detail: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class NodeDraining:
    """A node accepts no more jobs; it stops when its running jobs have ended, at the latest at `until`."""

    region: str
    id: str
    until: str
    """UTC, as 2026-01-31T12:00:00Z"""


@dataclass(frozen=True, slots=True)
class ImageStarted:
    """An image of the region begins: it is made, copied, or waited for."""

    region: str


@dataclass(frozen=True, slots=True)
class ImageReady:
    """The image of the region can be used."""

    region: str
    id: str


@dataclass(frozen=True, slots=True)
class Cancelling:
    """Ctrl-C: no new calls; calls in flight finish."""


Event = (
    RegionStarted
    | ResourceCreated
    | Retrying
    | FleetResponded
    | InstanceSeen
    | NodesReassigned
    | RegionFailed
    | ResourceFound
    | Deleting
    | Deleted
    | Waiting
    | OrchestratorChanged
    | NodesJoined
    | SmokeTestStarted
    | NodeTested
    | NodeDraining
    | ImageStarted
    | ImageReady
    | Cancelling
)
