"""The combined scans of one region: the resources ever seen, those that remain, and those that are excluded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bacalhau_spot.core.cleanup.deletion_order import SPEC_BY_KIND, is_deleting
from bacalhau_spot.core.cleanup.orchestrator_loss import results_kept_reason
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import TaggedId
from bacalhau_spot.engine.cleanup.scan_result import RegionScan

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from bacalhau_spot.core.cleanup.orchestrator_loss import BucketContents
    from bacalhau_spot.core.model import Resource

LocalKey = tuple[str, str]  # kind, id


def local_key(resource: Resource) -> LocalKey:
    """Unique within a region."""
    return resource.kind, resource.id


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference between two scans. `unlisted`: of kinds that could not be listed, so still counted."""

    appeared: tuple[Resource, ...]
    gone: tuple[LocalKey, ...]
    unlisted: frozenset[LocalKey]


class RegionInventory:
    """`skipped`: why a resource is not to be deleted. `last_scan`: its failures are current, its resources are not."""

    def __init__(self, *, excluded: Callable[[Resource], str]) -> None:
        self._excluded = excluded
        self.seen: dict[LocalKey, Resource] = {}
        self.remaining: dict[LocalKey, Resource] = {}
        self.skipped: dict[LocalKey, str] = {}
        self.kept_results: dict[
            LocalKey, BucketContents
        ] = {}  # buckets that turned out to contain job results
        self.children: frozenset[str] = frozenset()
        self.indexed: frozenset[LocalKey] = frozenset()  # ever listed by EC2's tag index
        self.last_scan = RegionScan()
        self._deleting_since_s: dict[LocalKey, float] = {}

    def update(self, scan: RegionScan, *, now_s: float) -> Changes:
        """Apply a scan of everything, and return the changes.

        A resource of a kind that could not be listed counts as remaining: only a list without it proves its deletion.
        """
        self.last_scan = scan
        self.children |= scan.children
        self.indexed |= scan.indexed
        listed, appeared = self._sort(scan.resources, now_s=now_s)
        unlisted = {
            key: resource
            for key, resource in self.remaining.items()
            if key[0] in scan.failed_kinds and key not in listed
        }
        before, self.remaining = self.remaining, listed | unlisted
        return Changes(
            appeared=appeared,
            gone=tuple(key for key in before if key not in self.remaining),
            unlisted=frozenset(unlisted),
        )

    def update_kinds(self, scan: RegionScan, kinds: Collection[ResourceKind], *, now_s: float) -> Changes:
        """Apply a scan of `kinds` only: resources of other kinds and the refusals of services are unchanged."""
        others = (resource for resource in self.remaining.values() if resource.kind not in kinds)
        return self.update(
            replace(
                scan,
                resources=(*others, *scan.resources),
                unsupported=self.last_scan.unsupported,
                failures=self.last_scan.failures,
                partial_failures=self.last_scan.partial_failures,
            ),
            now_s=now_s,
        )

    def _sort(
        self, resources: Iterable[Resource], *, now_s: float
    ) -> tuple[dict[LocalKey, Resource], tuple[Resource, ...]]:
        """The resources to be deleted, and those of them that are seen for the first time."""
        to_delete: dict[LocalKey, Resource] = {}
        appeared: list[Resource] = []
        for resource in resources:
            key = local_key(resource)
            reason = resource.retained or self._excluded(resource) or self._results_reason(key)
            if reason:
                self.skipped[key] = reason
            else:
                to_delete[key] = resource
                if key not in self.seen:
                    appeared.append(resource)
            self.seen[key] = resource
            if is_deleting(resource):
                self._deleting_since_s.setdefault(key, now_s)
        return to_delete, tuple(appeared)

    def keep_results(self, bucket: Resource, contents: BucketContents) -> None:
        """Retain a bucket that was to be deleted."""
        key = local_key(bucket)
        self.kept_results[key] = contents
        self.skipped[key] = self._results_reason(key)
        self.remaining.pop(key, None)

    def _results_reason(self, key: LocalKey) -> str:
        contents = self.kept_results.get(key)
        return results_kept_reason(contents) if contents is not None else ""

    def is_managed(self, resource_id: str) -> bool:
        """It was found by our tag, or a managed launcher lists it."""
        return resource_id in self.children or any(seen_id == resource_id for _, seen_id in self.seen)

    def is_gone(self, instance_id: str) -> bool:
        """Whether AWS has listed this instance, and lists it no more."""
        key = (ResourceKind.INSTANCE.value, instance_id)
        return key in self.seen and key not in self.remaining

    def any_deleting(self, *, now_s: float) -> bool:
        """A remaining resource is being deleted, within the timeout of its kind."""
        return any(
            now_s - since_s <= SPEC_BY_KIND[ResourceKind(key[0])].deletion_timeout_s
            for key, since_s in self._deleting_since_s.items()
            if key in self.remaining
        )

    def remaining_ids(self, kind: ResourceKind) -> list[str]:
        return [resource.id for resource in self.remaining.values() if resource.kind == kind]

    @property
    def seen_names(self) -> list[TaggedId]:
        return list(map(_name, self.seen.values()))

    @property
    def unindexed_names(self) -> list[TaggedId]:
        """Of the EC2 resources that the tag index should list, those that it has never listed."""
        return [
            _name(resource)
            for key, resource in self.seen.items()
            if key not in self.indexed
            and SPEC_BY_KIND[ResourceKind(resource.kind)].service == "ec2"
            and resource.id not in self.children
        ]

    @property
    def is_clear(self) -> bool:
        """Nothing remains, and no service refused to list anything."""
        return self.last_scan.complete and not self.remaining and not self.last_scan.unsupported

    def remaining_of(self, kind: ResourceKind) -> list[LocalKey]:
        return [key for key in self.remaining if key[0] == kind]

    @property
    def remaining_names(self) -> list[TaggedId]:
        return list(map(_name, self.remaining.values()))


def _name(resource: Resource) -> TaggedId:
    return TaggedId(kind=resource.kind, id=resource.arn or resource.id)
