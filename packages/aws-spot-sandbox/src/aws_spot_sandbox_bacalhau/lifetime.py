"""The end of a simulated machine: a tag of its instance with the end of the cluster's lifetime.

As instance/scripts/expiry.py and orchestrator_expiry.py do it, with their intervals.
"""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aws_spot_sandbox.ec2 import instances
from aws_spot_sandbox.ec2.machine import RUNNING

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox_bacalhau.drain import Drains

KEY = "BacalhauExpiresAt"
INTERVAL_S, ANSWERS, ALONE = 60.0, 3, 5


class Lifetimes:
    """Callers hold the region's lock. `connected`: the number of nodes of an orchestrator's machine; None for a node."""

    def __init__(
        self,
        drains: Drains,
        *,
        is_real: Callable[[Machine], bool],
        connected: Callable[[Machine], int | None],
        says: Callable[[Machine, str], None],
    ) -> None:
        self._drains = drains
        self._is_real = is_real
        self._connected = connected
        self._says = says
        self._planned: dict[str, float] = {}  # by instance, the end that a look is planned for

    def look(self, region: Region, machine: Machine) -> None:
        """After a change of the tags, or the start of the machine."""
        at = expires_at(region, machine)
        if machine.state != RUNNING or at is None or self._planned.get(machine.id) == at:
            return
        self._planned[machine.id] = at
        region.later(
            max(_due(machine, at), region.now()) - region.now(), lambda: self._end(region, machine, at)
        )

    def _end(self, region: Region, machine: Machine, at: float) -> None:
        """Unless the tag has changed meanwhile, or real programs do it."""
        if self._planned.get(machine.id) == at:
            del self._planned[machine.id]
        if machine.state != RUNNING or expires_at(region, machine) != at or self._is_real(machine):
            return
        if self._connected(machine) is None:
            self._drains.expire(region, machine)
        else:
            self._stop(region, machine, at, alone=0)

    def _stop(self, region: Region, machine: Machine, at: float, *, alone: int) -> None:
        if machine.state != RUNNING or expires_at(region, machine) != at:
            return
        alone = 0 if self._connected(machine) else alone + 1
        if alone < ALONE:
            region.later(INTERVAL_S, lambda: self._stop(region, machine, at, alone=alone))
            return
        self._says(machine, "the lifetime of the cluster is over and no node is connected; the machine stops")
        instances.shut_down_from_inside(region, machine)


def _due(machine: Machine, at: float) -> float:
    """The last of the answers that must agree, of a program that asks once a minute from the start of the machine."""
    began = machine.started_at or 0.0
    return began + (math.ceil(max(0.0, at - began) / INTERVAL_S) + ANSWERS - 1) * INTERVAL_S


def expires_at(region: Region, machine: Machine) -> float | None:
    """As the metadata service has it; None without an end."""
    text = region.tags(machine.id).get(KEY) if machine.tags_in_metadata else None
    with suppress(ValueError):
        return datetime.strptime(text or "", "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    return None
