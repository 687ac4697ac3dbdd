"""AWS's data on the account and the cluster: regions, tagged resources, instances."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bacalhau_spot.core.orchestrator.managed_state import newest_usable
from bacalhau_spot.core.partitions import region_advice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bacalhau_spot.core.model import Identity, Instance, Region, TaggedId
    from bacalhau_spot.core.problem import ApiFailure


def instances_by_region(instances: Iterable[Instance]) -> dict[str, list[Instance]]:
    """In the order of the first instance of each region."""
    found: dict[str, list[Instance]] = {}
    for instance in instances:
        found.setdefault(instance.region, []).append(instance)
    return found


@dataclass(frozen=True, slots=True)
class UnusableRegions:
    """Regions that a command cannot use; false if empty. `known`: every region of the partition."""

    unknown: tuple[str, ...]
    disabled: tuple[str, ...]
    known: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.unknown) + len(self.disabled)

    @property
    def hint(self) -> str:
        return region_advice(self.unknown, self.disabled, known=self.known)


def unusable_regions(names: Sequence[str], regions: Sequence[Region]) -> UnusableRegions:
    """Those of `names` that do not exist or are not enabled in the account."""
    state = {region.name: region.enabled for region in regions}
    return UnusableRegions(
        unknown=tuple(name for name in names if name not in state),
        disabled=tuple(name for name in names if state.get(name) is False),
        known=tuple(state),
    )


@dataclass(frozen=True, slots=True)
class AccountContext:
    """The identity of the credentials, and every region of the partition."""

    identity: Identity
    regions: tuple[Region, ...]

    @property
    def enabled_regions(self) -> tuple[str, ...]:
        return tuple(region.name for region in self.regions if region.enabled)

    def unusable(self, names: Sequence[str]) -> UnusableRegions:
        return unusable_regions(names, self.regions)


def nodes_only(instances: Iterable[Instance]) -> tuple[Instance, ...]:
    """Without the instances of a managed orchestrator, and those from which images are made."""
    return tuple(instance for instance in instances if instance.is_node)


def orchestrators_only(instances: Iterable[Instance]) -> tuple[Instance, ...]:
    """The instances of a managed orchestrator, in any state."""
    return tuple(instance for instance in instances if instance.is_orchestrator)


@dataclass(frozen=True, slots=True)
class ClusterInventory:
    """Resources with the cluster's tag, by region. `instances`: of nodes; `orchestrators`: those of the managed orchestrator.

    `failed_regions`: regions that could not be scanned.
    """

    tagged: Mapping[str, tuple[TaggedId, ...]] = field(default_factory=dict)
    instances: tuple[Instance, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    orchestrators: tuple[Instance, ...] = ()

    @property
    def orchestrator(self) -> Instance | None:
        return newest_usable(self.orchestrators)
