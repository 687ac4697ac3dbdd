"""The usage of a managed orchestrator's volumes and address, which outlive its instance.

AWS bills volumes and Elastic IP addresses from their creation to their deletion, also while the instance is stopped. It
returns the creation time of a volume, and no allocation time of an address: that counts from the earliest volume or launch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bacalhau_spot.core.model import ORCHESTRATOR_ROLE, ROLE_KEY, State
from bacalhau_spot.core.pricing.cost import Usage
from bacalhau_spot.core.pricing.orchestrator_cost import ROOT_VOLUME_GIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import Instance, Resource

_ENDED = frozenset({State.SHUTTING_DOWN, State.TERMINATED})


@dataclass(frozen=True, slots=True)
class OrchestratorParts:
    """`present`: ids of instances that are not terminated, whose volumes are among `volumes`."""

    volumes: tuple[Usage, ...] = ()
    addresses: tuple[Usage, ...] = ()
    present: frozenset[str] = frozenset()

    @property
    def usages(self) -> tuple[Usage, ...]:
        return (*self.volumes, *self.addresses)

    def completed(self, usage: Usage, *, data_volume_gib: int) -> Usage:
        """The instance with the volumes and the address that AWS no longer lists.

        A terminated one had a root volume; if AWS lists no other part in its region, also the data volume and the address.
        """
        addressed = any(part.region == usage.region for part in self.addresses)
        if usage.id in self.present:
            return replace(usage, volume_gib=0, address=usage.address and not addressed)
        kept = any(part.region == usage.region for part in self.volumes)
        size = ROOT_VOLUME_GIB + (0 if kept else data_volume_gib)
        return replace(usage, volume_gib=size, address=not addressed)


def is_orchestrators(resource: Resource) -> bool:
    """Whether it belongs to the managed orchestrator."""
    return resource.tags.get(ROLE_KEY) == ORCHESTRATOR_ROLE


def orchestrator_parts(
    instances: Sequence[Instance],
    volumes: Sequence[Resource],
    addresses: Sequence[Resource],
    *,
    now: datetime,
) -> OrchestratorParts:
    """The usages of the volumes and addresses that AWS lists."""
    machines = [instance for instance in instances if instance.is_orchestrator]
    disks = [
        _volume_usage(volume, volume.created_at)
        for volume in filter(is_orchestrators, volumes)
        if volume.created_at is not None
    ]
    starts = [(disk.region, disk.started_at) for disk in disks]
    starts += [(machine.region, machine.launched_at) for machine in machines]
    return OrchestratorParts(
        volumes=tuple(disks),
        addresses=tuple(
            _address_usage(address, _earliest(starts, address.region, now=now))
            for address in filter(is_orchestrators, addresses)
        ),
        present=frozenset(machine.id for machine in machines if machine.state not in _ENDED),
    )


def _earliest(starts: Iterable[tuple[str, datetime]], region: str, *, now: datetime) -> datetime:
    return min((start for where, start in starts if where == region), default=now)


def _volume_usage(volume: Resource, created_at: datetime) -> Usage:
    return Usage(
        id=volume.id,
        region=volume.region,
        zone=volume.zone,
        type="",
        started_at=created_at,
        volume_gib=volume.size_gib,
        address=False,
        orchestrator=True,
    )


def _address_usage(address: Resource, started_at: datetime) -> Usage:
    return Usage(
        id=address.id, region=address.region, zone="", type="", started_at=started_at, orchestrator=True
    )
