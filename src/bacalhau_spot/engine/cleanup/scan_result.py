"""What a scan is asked for and what it shows, as values: one region, and all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bacalhau_spot.core.cleanup.deletion_order import KIND_SPECS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.tags import Scope

TAG_INDEX = "resourcegroupstaggingapi"
ALL_SERVICES = frozenset((TAG_INDEX, *(row.service for row in KIND_SPECS)))


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What to look for, and how hard.

    `with_children`: regions in which every kind that `create` makes is listed, whatever the tag index says, which lags.
    `required`: services without which the scan is incomplete. A refusal of another one is a partial failure, unless the tag
    index names a resource of that service. `shared`: also what is the same in all regions, which nodes of regions that are
    not scanned may use.
    """

    scope: Scope
    with_children: frozenset[str] = frozenset()
    required: frozenset[str] = ALL_SERVICES
    shared: bool = True


@dataclass(frozen=True, slots=True)
class RegionScan:
    """One region: what we can delete, and what is of a kind that we do not know.

    `failures`: refusals of services that the request requires; `partial_failures`: of others. `failed_kinds`: the kinds that
    could therefore not be listed, and why. `children`: instances that launchers of ours name as their own.
    """

    resources: tuple[Resource, ...] = ()
    unsupported: tuple[Resource, ...] = ()
    failures: tuple[ApiFailure, ...] = ()
    partial_failures: tuple[ApiFailure, ...] = ()
    failed_kinds: Mapping[str, ApiFailure] = field(default_factory=dict)
    children: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        return not self.resources and not self.unsupported


@dataclass(frozen=True, slots=True)
class ScanResult:
    """All regions, and GLOBAL. `failed_regions`: those that could not be scanned at all, and why. `at_s`: when, by the
    clock.
    """

    by_region: Mapping[str, RegionScan] = field(default_factory=dict)
    failed_regions: tuple[ApiFailure, ...] = ()
    at_s: float = 0.0
    settled_s: float = 0.0  # what was created before the first scan is shown from then on

    @property
    def empty(self) -> bool:
        return all(scan.empty for scan in self.by_region.values())

    @property
    def resources(self) -> tuple[Resource, ...]:
        return tuple(resource for scan in self.by_region.values() for resource in scan.resources)

    @property
    def unsupported(self) -> tuple[Resource, ...]:
        return tuple(resource for scan in self.by_region.values() for resource in scan.unsupported)

    @property
    def failures(self) -> tuple[ApiFailure, ...]:
        """Every refusal that makes the scan incomplete."""
        return (
            *self.failed_regions,
            *(failure for scan in self.by_region.values() for failure in scan.failures),
        )

    @property
    def partial_failures(self) -> tuple[ApiFailure, ...]:
        return tuple(failure for scan in self.by_region.values() for failure in scan.partial_failures)

    @property
    def ids(self) -> set[str]:
        """Of everything that is ours, tagged or launched by what is."""
        children = {child for scan in self.by_region.values() for child in scan.children}
        return children | {resource.id for resource in (*self.resources, *self.unsupported)}

    @property
    def busy(self) -> tuple[str, ...]:
        """Regions in which there is something to delete."""
        return tuple(region for region, scan in self.by_region.items() if scan.resources)
