"""The consequences of deleting a managed orchestrator: its state, its users, and the job results in its bucket."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import ORCHESTRATOR_ROLE, ROLE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bacalhau_spot.core.model import Resource

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024


@dataclass(frozen=True, slots=True)
class BucketContents:
    """The objects of a bucket, with all versions. `complete`: false if there are more, which were not counted."""

    objects: int = 0
    size_bytes: int = 0
    complete: bool = True

    @property
    def empty(self) -> bool:
        return self.objects == 0

    @property
    def text(self) -> str:
        more = "" if self.complete else "more than "
        noun = "object" if self.objects == 1 and self.complete else "objects"
        return f"{more}{self.objects} {noun}, {more}{_size(self.size_bytes)}"


def _size(size_bytes: int) -> str:
    if size_bytes == 1:
        return "1 byte"
    amount, unit = float(size_bytes), _UNITS[0]
    for unit in _UNITS:
        if amount < _STEP or unit == _UNITS[-1]:
            break
        amount /= _STEP
    return f"{amount:.0f} {unit}" if unit == _UNITS[0] else f"{amount:.1f} {unit}"


@dataclass(frozen=True, slots=True)
class ResultsBucket:
    """A bucket with job results. `deleted`: the user allowed the deletion of its objects, or it has none."""

    resource: Resource
    contents: BucketContents
    deleted: bool


@dataclass(frozen=True, slots=True)
class OrchestratorLoss:
    """`instances`: orchestrators to be deleted. `users`: running nodes of other clusters, by cluster.

    `certain`: the orchestrator lists these nodes; otherwise AWS lists them, and their orchestrator is unknown.
    `results`: the buckets with job results.
    """

    instances: tuple[Resource, ...] = ()
    users: Mapping[str, int] = field(default_factory=dict)
    certain: bool = False
    results: tuple[ResultsBucket, ...] = ()


# A deletion without an orchestrator.
NO_LOSS = OrchestratorLoss()


def is_of_orchestrator(resource: Resource) -> bool:
    """Part of a managed orchestrator, by its tag."""
    return resource.tags.get(ROLE_KEY) == ORCHESTRATOR_ROLE


def orchestrator_instances(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    return tuple(
        resource
        for resource in resources
        if resource.kind == ResourceKind.INSTANCE and is_of_orchestrator(resource)
    )


def is_results_bucket(resource: Resource) -> bool:
    """Every bucket: its tags can be changed, so no tag proves that its objects are no job results."""
    return resource.kind == ResourceKind.BUCKET


def without_kept(resources: Iterable[Resource], buckets: Iterable[ResultsBucket]) -> tuple[Resource, ...]:
    """The resources that are deleted: all but the retained buckets."""
    kept = {bucket.resource.id for bucket in buckets if not bucket.deleted}
    return tuple(
        resource for resource in resources if not (is_results_bucket(resource) and resource.id in kept)
    )


def results_kept_reason(contents: BucketContents) -> str:
    return f"it contains job results ({contents.text})"
