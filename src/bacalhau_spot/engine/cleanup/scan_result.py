"""The request and the results of a scan, as values: one region, and all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bacalhau_spot.core.cleanup.deletion_order import KIND_SPECS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.core.model import Resource, TaggedId
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.tags import Scope

TAG_INDEX = "resourcegroupstaggingapi"
ALL_SERVICES = frozenset((TAG_INDEX, *(row.service for row in KIND_SPECS)))


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """The scope and depth of a scan.

    `with_children`: regions in which every kind that `create` uses is listed, regardless of the tag index, which lags.
    `required`: services without which the scan is incomplete. A refusal by another one is a partial failure, unless the
    tag index names a resource of that service. `shared`: include account-wide resources, which nodes in regions outside
    the scan may use. `candidates`: by region, resources that may exist although the lagging tag index omits them.
    `account_id`: for the names of buckets with job results, which are derived for the same reason.
    `held`: ids to leave out: that of the lock, which the command releases itself.
    `exclusive`: no other command has created anything that the lists may omit: this one had the lock before the scan, and
    the last one released it in order. `lock_free`: nobody had the lock of the configured cluster, which need not be the
    only one in scope. `changed_here`: a command of this machine was killed or failed a moment ago, and may have created
    something.
    """

    scope: Scope
    with_children: frozenset[str] = frozenset()
    required: frozenset[str] = ALL_SERVICES
    shared: bool = True
    candidates: tuple[tuple[str, TaggedId], ...] = ()
    account_id: str = ""
    held: frozenset[str] = frozenset()
    exclusive: bool = False
    lock_free: bool = False
    changed_here: bool = False

    def __post_init__(self) -> None:
        """A deletion follows the scan. Raises ValueError for a scope with resources of other programs."""
        if self.scope.any_creator:
            raise ValueError("a deletion covers only resources of bacalhau-spot")


@dataclass(frozen=True, slots=True)
class RegionScan:
    """One region: the resources that can be deleted, and those of unsupported kinds.

    `failures`: refusals by services that the request requires; `partial_failures`: by others. `failed_kinds`: the kinds
    that could therefore not be listed, and why. `children`: instances that managed launchers list. `indexed`: kind and id
    of all resources in EC2's tag index.
    """

    resources: tuple[Resource, ...] = ()
    unsupported: tuple[Resource, ...] = ()
    failures: tuple[ApiFailure, ...] = ()
    partial_failures: tuple[ApiFailure, ...] = ()
    failed_kinds: Mapping[str, ApiFailure] = field(default_factory=dict)
    children: frozenset[str] = frozenset()
    indexed: frozenset[tuple[str, str]] = frozenset()

    @property
    def empty(self) -> bool:
        return not self.resources and not self.unsupported

    @property
    def complete(self) -> bool:
        """Whether every service has answered."""
        return not (self.failures or self.partial_failures or self.failed_kinds)


@dataclass(frozen=True, slots=True)
class ScanResult:
    """All regions, and GLOBAL. `failed_regions`: regions without a scan, and why. `at_s`: its time (monotonic)."""

    by_region: Mapping[str, RegionScan] = field(default_factory=dict)
    failed_regions: tuple[ApiFailure, ...] = ()
    at_s: float = 0.0
    settled_s: float = 0.0  # from this time, resources created before the first scan are listed

    @property
    def is_settled(self) -> bool:
        """Whether nothing indicates that something was created a moment before the scan."""
        return self.settled_s <= self.at_s

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
        """Of all managed resources: tagged, or launched by a tagged launcher."""
        children = {child for scan in self.by_region.values() for child in scan.children}
        return children | {resource.id for resource in (*self.resources, *self.unsupported)}

    @property
    def busy(self) -> tuple[str, ...]:
        """Regions with resources to delete."""
        return tuple(region for region, scan in self.by_region.items() if scan.resources)
