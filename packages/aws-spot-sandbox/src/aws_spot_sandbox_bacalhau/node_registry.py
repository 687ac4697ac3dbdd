"""The orchestrator's node records, which it never deletes by itself.

Bacalhau 1.9, the orchestrator's node manager: a node registers by a handshake and sends a heartbeat every 15 s. Every
20 s the manager disconnects nodes whose last heartbeat is more than a minute old. A node that shuts down gracefully is
disconnected at once. Records are only deleted by request. A deleted node that is running registers again at its next
heartbeat; a rejected one is refused until it is approved.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import machine as machines
from aws_spot_sandbox.ec2 import selectors
from aws_spot_sandbox_bacalhau import boot, serializers
from aws_spot_sandbox_bacalhau.job_spec import Candidate
from aws_spot_sandbox_bacalhau.job_store import Loss
from aws_spot_sandbox_bacalhau.node_settings import NodeSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox.state import World
    from aws_spot_sandbox_bacalhau.directory import Directory
    from aws_spot_sandbox_bacalhau.user_data_parser import Given

BEAT_S, CHECK_INTERVAL_S, SILENCE_S = 15.0, 20.0, 60.0
MOVES_S = 15.0  # the orchestrator collects nodes' events for this long before it schedules their work again
APPROVED, PENDING, REJECTED = "APPROVED", "PENDING", "REJECTED"
# Reasons of a disconnection, in the orchestrator's words
GOODBYE, TIMEOUT, BANNED = "graceful shutdown", "heartbeat timeout", "node rejected"


@dataclass(frozen=True)
class Node:
    """The data of a node's handshake."""

    name: str
    type: str
    disk_gib: int
    version: str
    profile: bool
    disabled_publishers: frozenset[str]
    labels: Mapping[str, str]
    selector_names: selectors.Names


@dataclass
class Entry:
    """The orchestrator's record of a node."""

    node: Node
    membership: str
    since: float  # time of the last registration
    away_at: float | None = None  # time of the disconnection, for the reason in `error`
    error: str = ""
    silent_at: float | None = None  # its instance ended without disconnecting
    free_at: float = 0.0  # approved after a rejection: it registers at its next try
    cordoned_at: float | None = None  # EC2's notice or a drain: it rejects new work

    def connected(self, now: float) -> bool:
        return self.away_at is None and (self.silent_at is None or now < _noticed(self))

    def cordoned(self, now: float) -> bool:
        return self.cordoned_at is not None and now >= self.cordoned_at

    def settle(self, now: float) -> None:
        """Record the disconnection once the missing heartbeats are due to be noticed."""
        if self.away_at is None and self.silent_at is not None and now >= _noticed(self):
            self.away_at, self.error = _noticed(self), TIMEOUT

    def last_heartbeat(self, now: float) -> float:
        ends = [now, *(moment for moment in (self.away_at, self.silent_at) if moment is not None)]
        return beat(self.since, min(ends))


def beat(first: float, now: float) -> float:
    """The latest heartbeat of a node that registered at `first`."""
    return first + max(0.0, math.floor((now - first) / BEAT_S) * BEAT_S)


def _noticed(entry: Entry) -> float:
    """The first check of the orchestrator at which the last heartbeat is too old."""
    overdue = beat(entry.since, entry.silent_at or 0.0) + SILENCE_S
    return (math.floor(overdue / CHECK_INTERVAL_S) + 1) * CHECK_INTERVAL_S


def _next_beat(first: float, after: float) -> float:
    return first if after < first else beat(first, after) + BEAT_S


class NodeRegistry:
    """The nodes of all regions in one orchestrator. Callers of `look` and `ended` hold the region's lock.

    `belongs`: whether a node with this configuration connects to this orchestrator. `name`: its node's name.
    """

    def __init__(
        self,
        world: World,
        directory: Directory,
        *,
        belongs: Callable[[Given], bool],
        name: str = serializers.ORCHESTRATOR,
    ) -> None:
        self._world = world
        self._directory = directory
        self._belongs = belongs
        self._removed: dict[str, float] = {}
        self.name = name
        self.lock = threading.RLock()
        self.entries: dict[str, Entry] = {}
        self.began = world.now()

    def look(self, region: Region) -> None:
        """Update the records with the events of a region so far."""
        with self.lock:
            for machine in list(region.machines.values()):
                if machine.state in (machines.PENDING, machines.RUNNING):
                    self._see(region, machine)

    def candidates(self) -> list[Candidate]:
        """The nodes that can be given work."""
        now, settings = self._world.now(), self._world.settings_of(NodeSettings)
        with self.lock:
            return [
                Candidate(entry.node.name, entry.node.labels, serializers.engines(entry.node, settings))
                for entry in self.entries.values()
                if entry.membership == APPROVED and entry.connected(now) and not entry.cordoned(now)
            ]

    def connected(self, now: float) -> int:
        """The number of connected nodes."""
        with self.lock:
            return sum(entry.connected(now) for entry in self.entries.values())

    def lost(self, name: str, since: float) -> Loss | None:
        """When a node stopped working since that time, and when the orchestrator schedules its work again."""
        now = self._world.now()
        with self.lock:
            entry = self.entries.get(name)
            if entry is None:
                return None
            entry.settle(now)
            if entry.away_at is not None and entry.error in {GOODBYE, BANNED} and entry.away_at >= since:
                return Loss(entry.away_at, entry.away_at + MOVES_S)
            if entry.silent_at is None or entry.silent_at < since:
                return None
            return Loss(entry.silent_at, _noticed(entry) + MOVES_S)

    def restarted(self, at: float) -> None:
        """The orchestrator has started again with these records: no node is connected yet."""
        with self.lock:
            self.began = at
            for entry in self.entries.values():
                entry.settle(at)
                if entry.away_at is None:
                    entry.away_at, entry.silent_at, entry.error = at, None, ""

    def ended(self, region: Region, machine: Machine) -> None:
        """An instance begins to shut down: it sends nothing more."""
        with self.lock:
            entry = self._see(region, machine)
            if entry is not None and entry.away_at is None and entry.silent_at is None:
                entry.silent_at = region.now()

    def approve(self, entry: Entry) -> None:
        entry.membership, entry.free_at = APPROVED, self._world.now()

    def reject(self, entry: Entry) -> None:
        entry.membership = REJECTED
        entry.away_at, entry.error = self._world.now(), BANNED

    def remove(self, entry: Entry) -> None:
        self._removed[entry.node.name] = self._world.now()
        self.entries.pop(entry.node.name, None)

    def _see(self, region: Region, machine: Machine) -> Entry | None:
        about = boot.node_configuration(machine)
        if about is None or not self._belongs(about):
            return None
        timeline = boot.timeline(region, machine, self._directory)
        name, now = boot.name(machine, about), region.now()
        entry = self.entries.get(name)
        if entry is not None:
            entry.settle(now)
        if timeline.joins_at is None:
            if entry is not None and entry.away_at is None and entry.silent_at is None:
                entry.silent_at = now  # with the current switches it does not work
        else:
            entry = self._heard(region, machine, entry, joins_at=timeline.joins_at, until=timeline.leaves_at)
        leaves = timeline.leaves_at is not None and now >= timeline.leaves_at
        if entry is not None:
            entry.cordoned_at = boot.cordoned_at(machine, self._directory.drains.get(machine.id))
            if entry.away_at is None and leaves:
                entry.away_at, entry.error = timeline.leaves_at, GOODBYE
        return entry

    def _heard(
        self, region: Region, machine: Machine, entry: Entry | None, *, joins_at: float, until: float | None
    ) -> Entry | None:
        """Record its handshake, if one is due since it was deleted, rejected or disconnected."""
        latest = region.now() if until is None else min(region.now(), until)
        if entry is None:
            name = boot.name(machine, _configuration_of(machine))
            at = _next_beat(joins_at, self._removed.get(name, -1.0))
            if at <= latest:
                entry = self.entries[name] = Entry(_node(region, machine), self._membership(), since=at)
                self._directory.joined.setdefault(machine.id, at)
            return entry
        if entry.membership == REJECTED or (entry.away_at is None and entry.silent_at is None):
            return entry
        if entry.error == GOODBYE:
            return entry
        at = _next_beat(joins_at, max(entry.free_at, entry.away_at or entry.silent_at or 0.0))
        if at <= latest:
            entry.since, entry.away_at, entry.silent_at, entry.error = at, None, None, ""
        return entry

    def _membership(self) -> str:
        return PENDING if self._world.settings_of(NodeSettings).manual_approval else APPROVED


def _configuration_of(machine: Machine) -> Given:
    about = boot.node_configuration(machine)
    assert about is not None, "only nodes of ours are heard of"  # noqa: S101 - for the type checker
    return about


def _node(region: Region, machine: Machine) -> Node:
    about = _configuration_of(machine)
    own = {
        "instance-id": machine.id,
        "instance-type": machine.type,
        "region": region.name,
        "zone": machine.zone,
        "lifecycle": "spot" if machine.spot else "on-demand",
    }
    arm = "arm" in str(machine.moto.architecture)
    # Bacalhau's own labels override others
    automatic = {
        "name": boot.name(machine, about),
        "os_arch": "arm64" if arm else "amd64",
        "os_type": "linux",
    }
    sizes = [disk.size for disk in _disks(region, machine)]
    return Node(
        name=automatic["name"],
        type=machine.type,
        disk_gib=int(sizes[0]) if sizes else 8,
        version=about.version,
        profile=bool(machine.profile),
        disabled_publishers=about.disabled_publishers,
        labels={**about.labels, **own, **automatic},
        selector_names=selectors.names(region, machine),
    )


def _disks(region: Region, machine: Machine) -> list[Any]:
    ids = [mapping.volume_id for mapping in machine.moto.block_device_mapping.values()]
    return [region.backend.volumes[volume_id] for volume_id in ids if volume_id in region.backend.volumes]
