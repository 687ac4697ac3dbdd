"""Decides which resources of a region may be deleted now, and when waiting no longer helps. Makes no calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.cleanup.deletion_order import (
    RUNNING,
    SPEC_BY_KIND,
    deletable,
    is_deleting_or_detaching,
    unblocked_kinds,
)
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.engine.cleanup.region_inventory import local_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.engine.cleanup.deletion_failures import DeletionFailures
    from bacalhau_spot.engine.cleanup.region_inventory import LocalKey, RegionInventory

# The age of a list by which a resource is deleted: its tags may have changed since.
FRESH_S = 30.0
_ORDER = {kind: place for place, kind in enumerate(SPEC_BY_KIND)}


class DeletionScheduler:
    """The order of kinds (core/cleanup/deletion_order.py), applied to resources that remain and are not stuck."""

    def __init__(self, inventory: RegionInventory, failures: DeletionFailures) -> None:
        self._inventory = inventory
        self._failures = failures
        self._listed_at_s: dict[ResourceKind, float] = {}  # kinds that have not been changed since
        self._retried: set[LocalKey] = set()
        self._presumed: frozenset[LocalKey] = frozenset()

    def presume_gone(self, keys: Iterable[LocalKey]) -> None:
        """These no longer prevent the deletion of others, although no list without them proves it yet."""
        self._presumed |= frozenset(keys)

    def presume_nothing(self) -> bool:
        """Whether anything had been presumed to be gone."""
        had_any = any(key in self._presumed for key in self._inventory.remaining)
        self._presumed = frozenset()
        return had_any

    @property
    def next_kinds(self) -> frozenset[ResourceKind]:
        return unblocked_kinds(self._movable())

    def mark_listed(self, kinds: Iterable[ResourceKind], *, at_s: float) -> None:
        listed = dict.fromkeys(kinds, at_s)
        self._listed_at_s |= listed
        self._presumed = frozenset(key for key in self._presumed if key[0] not in listed)

    def mark_changed(self, kinds: Collection[ResourceKind]) -> None:
        """AWS was asked to delete resources of these kinds: they, and the instances of launchers, are listed again.

        So are addresses: AWS ends their association with an instance that terminates.
        """
        changed = {*kinds, *((*RUNNING, ResourceKind.ADDRESS) if not RUNNING.isdisjoint(kinds) else ())}
        for kind in changed:
            self._listed_at_s.pop(kind, None)

    def kinds_to_list(self, *, now_s: float) -> frozenset[ResourceKind]:
        """Of the kinds that can be deleted next, those without a recent list; with launchers, also their instances.

        If everything that remains is presumed to be gone, all of its kinds.
        """
        movable = self._movable()
        if movable and all(local_key(resource) in self._presumed for resource in movable):
            return frozenset(ResourceKind(resource.kind) for resource in movable)
        kinds = self.next_kinds - (self._listed(now_s=now_s) - self._changing())
        if RUNNING.isdisjoint(kinds):
            return kinds
        return kinds | RUNNING.intersection(ResourceKind(resource.kind) for resource in self._movable())

    def ready(self, *, now_s: float) -> tuple[Resource, ...]:
        """In the order of the table of kinds: launchers before the others."""
        found = deletable(self._movable(), scanned=self._listed(now_s=now_s))
        return tuple(sorted(found, key=lambda resource: _ORDER[ResourceKind(resource.kind)]))

    def _listed(self, *, now_s: float) -> frozenset[ResourceKind]:
        return frozenset(kind for kind, at_s in self._listed_at_s.items() if now_s - at_s <= FRESH_S)

    def _changing(self) -> frozenset[str]:
        """Kinds of which AWS is deleting a resource."""
        remaining = self._inventory.remaining.values()
        return frozenset(resource.kind for resource in remaining if is_deleting_or_detaching(resource))

    @property
    def is_blocked(self) -> bool:
        """Nothing that remains can be deleted, however long the wait."""
        return all(key in self._failures.stuck for key in self._inventory.remaining)

    @property
    def any_passing_failure(self) -> bool:
        """A remaining resource was refused, and may be accepted later."""
        return any(
            key in self._failures.problems and key not in self._failures.stuck
            for key in self._inventory.remaining
        )

    @property
    def next_all_in_use(self) -> bool:
        """Remaining resources use everything that could be deleted next."""
        return all(self._failures.blockers.get(key) for key in self._waiting())

    def give_up(self) -> None:
        """The resources that could be deleted next are given up, so that the kinds after them are tried."""
        self._failures.stuck.update(self._waiting())

    def retry_empty_launchers(self) -> None:
        """Retry launchers whose instances have terminated, once each.

        AWS refuses to delete a fleet with many instances while they run (EC2 API reference, DeleteFleets). A refusal
        for another reason occurs again.
        """
        remaining = self._inventory.remaining
        instances = set(self._inventory.remaining_ids(ResourceKind.INSTANCE))
        for key in self._failures.stuck - self._retried:
            launcher = remaining.get(key)
            if launcher is not None and launcher.children and instances.isdisjoint(launcher.children):
                self._retried.add(key)
                self._failures.stuck.discard(key)

    def would_be_relaunched(self, resource: Resource) -> bool:
        """A remaining launcher would replace this instance."""
        remaining = self._inventory.remaining
        staying = (remaining[key] for key in self._failures.stuck if key in remaining)
        return resource.kind == ResourceKind.INSTANCE and any(
            launcher.relaunches and resource.id in launcher.children for launcher in staying
        )

    def _movable(self) -> list[Resource]:
        """Those that are not given up; without those presumed to be gone, unless there are no others."""
        movable = {
            key: resource
            for key, resource in self._inventory.remaining.items()
            if key not in self._failures.stuck
        }
        existing = [resource for key, resource in movable.items() if key not in self._presumed]
        return existing or list(movable.values())

    def _waiting(self) -> list[LocalKey]:
        kinds = self.next_kinds
        return [local_key(resource) for resource in self._movable() if resource.kind in kinds]
