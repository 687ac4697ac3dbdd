"""The drain of a simulated node: a tag of its instance with the time until which running jobs may end.

As instance/scripts/interruption_watcher.py does it, with its intervals.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aws_spot_sandbox.ec2 import instances
from aws_spot_sandbox.ec2.machine import RUNNING
from aws_spot_sandbox_bacalhau import boot

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox_bacalhau.directory import Directory

KEY = "BacalhauDrainUntil"
POLL_S, CHECK_INTERVAL_S = 5.0, 2.0


@dataclass
class Drain:
    """`began`: when the node has seen the tag. `left_at`: when it has stopped Bacalhau and shut its machine down."""

    began: float
    until: float
    left_at: float | None = None


class Drains:
    """Callers hold the region's lock. `is_real`: whether programs run in place of the simulation."""

    def __init__(self, directory: Directory, *, is_real: Callable[[Machine], bool]) -> None:
        self._directory = directory
        self._is_real = is_real

    def look(self, region: Region, machine: Machine) -> None:
        """After a change of the tags, or the start of the machine: the watcher sees it when it asks next."""
        if machine.state == RUNNING and requested_until(region, machine) is not None:
            watches = (machine.started_at or 0.0) + region.world.settings.boot_s * boot.WATCHES
            region.later(max(POLL_S, watches - region.now()), lambda: self._begin(region, machine))

    def _begin(self, region: Region, machine: Machine) -> None:
        self._drain(region, machine, requested_until(region, machine))

    def expire(self, region: Region, machine: Machine) -> None:
        """The cluster's lifetime is over: the same, with the time of EC2's notice for running jobs."""
        about = boot.node_configuration(machine)
        self._drain(region, machine, region.now() + about.grace_s if about else None)

    def _drain(self, region: Region, machine: Machine, until: float | None) -> None:
        known = machine.id in self._directory.drains
        if until is None or known or machine.state != RUNNING or self._is_real(machine):
            return
        if boot.node_configuration(machine) is None:  # no program of bacalhau-spot's is on it
            return
        self._directory.drains[machine.id] = Drain(region.now(), until)
        self._go_on(region, machine)

    def _go_on(self, region: Region, machine: Machine) -> None:
        drain, until = self._directory.drains[machine.id], requested_until(region, machine)
        if machine.state != RUNNING:
            return
        drain.until = drain.until if until is None else min(drain.until, until)
        if boot.works_on(region, machine, self._directory, drain):
            region.later(CHECK_INTERVAL_S, lambda: self._go_on(region, machine))
            return
        drain.left_at = region.now()
        instances.shut_down_from_inside(region, machine)


def requested_until(region: Region, machine: Machine) -> float | None:
    """As the metadata service has it; None without a drain."""
    text = region.tags(machine.id).get(KEY) if machine.tags_in_metadata else None
    with suppress(ValueError):
        return datetime.strptime(text or "", "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    return None
