"""The deletion requests for each resource of a region, and their outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.cleanup.deletion_result import DeletionOutcome, DeletionStatus
from bacalhau_spot.core.error_catalog.internal import TIME_OVER
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.engine.cleanup.region_inventory import local_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.engine.cleanup.deletion_failures import DeletionFailures
    from bacalhau_spot.engine.cleanup.region_inventory import LocalKey, RegionInventory


@dataclass(frozen=True, slots=True)
class DeletionEnding:
    """Why a deletion has ended with resources left. `time_over_s`: the time that it had; None if that was enough."""

    interrupted: bool = False
    time_over_s: float | None = None


class DeletionReport:
    """Records the requests; derives the outcomes from these, the inventory and the failures."""

    def __init__(self, inventory: RegionInventory, failures: DeletionFailures) -> None:
        self._inventory = inventory
        self._failures = failures
        self.requested: set[LocalKey] = set()
        self._request_ids: dict[LocalKey, tuple[str, ...]] = {}  # of accepted deletions
        self._deleted: set[LocalKey] = set()

    def request(self, resources: Iterable[Resource]) -> None:
        self.requested.update(map(local_key, resources))

    def accept(self, resource: Resource, request_ids: tuple[str, ...]) -> bool:
        """AWS accepted the deletion. Whether that is progress: a repeated acceptance is not."""
        is_new = local_key(resource) not in self._request_ids
        self._request_ids[local_key(resource)] = request_ids
        return is_new

    def is_accepted(self, key: LocalKey) -> bool:
        return key in self._request_ids

    def gone(self, keys: Iterable[LocalKey]) -> None:
        """Counts as deleted after the first request, including resources that AWS deletes together with another one."""
        if self.requested:
            self._deleted.update(keys)

    def outcomes(self, ending: DeletionEnding) -> tuple[DeletionOutcome, ...]:
        return tuple(self._outcome(key, resource, ending) for key, resource in self._inventory.seen.items())

    def _outcome(self, key: LocalKey, resource: Resource, ending: DeletionEnding) -> DeletionOutcome:
        if key in self._inventory.remaining:
            return self._remaining(key, resource, ending)
        kept = self._inventory.kept_results.get(key)
        if kept is not None or (key in self._inventory.skipped and key not in self.requested):
            return DeletionOutcome(
                resource=resource,
                status=DeletionStatus.SKIPPED,
                reason=self._inventory.skipped[key],
                results=kept,
            )
        status = DeletionStatus.DELETED if key in self._deleted else DeletionStatus.NOT_FOUND
        return DeletionOutcome(resource=resource, status=status, request_ids=self._request_ids.get(key, ()))

    def _remaining(self, key: LocalKey, resource: Resource, ending: DeletionEnding) -> DeletionOutcome:
        failure = self._failures.problems.get(key)
        dependencies = self._failures.blockers.get(key, ())
        not_blocked = DeletionStatus.FAILED if failure else DeletionStatus.NOT_ATTEMPTED
        # A resource that cannot be listed may be deleted: the reason is then the refusal of its list.
        problem = failure or self._inventory.last_scan.failed_kinds.get(key[0])
        if problem is None and ending.time_over_s is not None:
            message = f"it remained after {ending.time_over_s:g} s, the time for the deletion"
            problem = ApiFailure(TIME_OVER, message, operation="", region=resource.region)
        is_explained = problem is not None or bool(dependencies) or ending.interrupted
        return DeletionOutcome(
            resource=resource,
            status=DeletionStatus.BLOCKED if dependencies else not_blocked,
            problem=problem,
            reason="" if is_explained else "resources that may use it remain",
            dependencies=dependencies,
        )
