"""Everything that happens while the engine works, as values. Screens, plain lines, JSON and receipts are all made from these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bacalhau_spot.core.launch.lifecycle import Phase


@dataclass(frozen=True, slots=True)
class RegionStarted:
    """Work begins in a region; `requested` nodes are to be launched there."""

    region: str
    requested: int


@dataclass(frozen=True, slots=True)
class ResourceCreated:
    """AWS made something for us."""

    region: str
    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """A call is made again after `wait_s` seconds. `code` is AWS's."""

    region: str
    operation: str
    code: str
    attempt: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class FleetResponded:
    """AWS answered a launch: how many instances, and its refusals as (type, zone, code)."""

    region: str
    fleet_id: str
    requested: int
    launched: int
    refusals: tuple[tuple[str, str, str], ...] = ()


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
    """Nodes that a region could not take go to others, as (region, count)."""

    region: str
    count: int
    to: tuple[tuple[str, int], ...]
    code: str


@dataclass(frozen=True, slots=True)
class RegionFailed:
    """Nothing more can be done in a region now."""

    region: str
    operation: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ResourceFound:
    """A resource that is to go, seen for the first time."""

    region: str
    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Deleting:
    """AWS has taken the order to delete it. `request_ids`: AWS's, of the calls that it took."""

    region: str
    kind: str
    id: str
    request_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deleted:
    """AWS no longer shows it."""

    region: str
    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A region waits for AWS: `message` in a few words, `remaining` things still to come or to go."""

    region: str
    message: str
    remaining: int


@dataclass(frozen=True, slots=True)
class Cancelling:
    """The user pressed Ctrl-C: nothing new begins, calls in flight finish."""


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
    | Cancelling
)
