"""Finds the other users of a region's resources, and whether they remain."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.core.cleanup.deletion_order import (
    is_deleting,
    is_deleting_or_detaching,
    is_known_kind,
    prerequisites,
)
from bacalhau_spot.core.kinds import ResourceKind

if TYPE_CHECKING:
    from bacalhau_spot.core.cleanup.deletion_result import Dependency
    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.cleanup.deletion_failures import DeletionFailures
    from bacalhau_spot.engine.cleanup.region_inventory import RegionInventory


class DependencyCheck:
    """Finds the dependencies that prevent a deletion, and records them as the resource's failure."""

    def __init__(
        self, calls: AwsCalls, region: str, inventory: RegionInventory, failures: DeletionFailures
    ) -> None:
        self._calls = calls
        self._region = region
        self._inventory = inventory
        self._failures = failures

    def is_in_use(self, resource: Resource) -> bool:
        """Whether a remaining resource uses it, by AWS's own list; if so, recorded as its failure."""
        staying = tuple(filter(self._stays, resource.used_by))
        if staying:
            self._failures.in_use(resource, staying, reasons=self._reasons)
        return bool(staying)

    async def explain(self) -> None:
        """Query the dependencies of resources that were refused or wait for their owner. Raises CloudError."""
        remaining = self._inventory.remaining
        for waiting in remaining.values():
            if is_deleting_or_detaching(waiting) and not is_deleting(waiting):
                self.is_in_use(waiting)
        for resource in [remaining[key] for key in self._failures.busy if key in remaining]:
            dependencies, hidden = await self._calls.read(
                self._region, partial(self._calls.cloud.dependencies, self._region, resource)
            )
            staying = [dependency for dependency in dependencies if self._keeps(dependency, resource)]
            self._failures.add_dependencies(resource, staying, reasons=self._reasons)
            self._failures.add_unreadable(resource, hidden)

    def _keeps(self, dependency: Dependency, resource: Resource) -> bool:
        """It remains, and does not wait for `resource`: a managed VPC does not prevent the deletion of its gateway."""
        return (
            not self._waits_for(dependency, resource)
            and self._stays(dependency.id)
            and (not dependency.parent_id or self._stays(dependency.parent_id))
        )

    def _waits_for(self, dependency: Dependency, resource: Resource) -> bool:
        return (
            is_known_kind(dependency.kind)
            and resource.kind in prerequisites(ResourceKind(dependency.kind))
            and self._inventory.is_managed(dependency.id)
        )

    def _stays(self, resource_id: str) -> bool:
        """It is not managed, or cannot or must not be deleted: waiting for it does not help."""
        return not self._inventory.is_managed(resource_id) or resource_id in self._reasons

    @property
    def _reasons(self) -> dict[str, str]:
        """Why a managed resource remains, by id."""
        skipped = {resource_id: reason for (_, resource_id), reason in self._inventory.skipped.items()}
        return skipped | self._failures.reasons
