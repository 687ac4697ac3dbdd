"""The result of a deletion, as values: what was deleted, what was not and why, what remains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.classifier import Category, classify, most_severe
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.core.problem import ApiFailure


class DeletionStatus:
    """What became of a resource that was to go."""

    DELETED = "deleted"
    NOT_FOUND = "already gone"
    FAILED = "failed"
    BLOCKED = "blocked"  # by something that is not ours
    SKIPPED = "skipped"  # not ours to touch, or spared
    NOT_ATTEMPTED = "left"  # not reached: interrupted, or something before it did not go


# How the owner of what a service of AWS made begins.
AWS_SERVICE_OWNER = "an AWS service"


@dataclass(frozen=True, slots=True)
class Dependency:
    """What keeps a resource of ours, and is not ours. `owner`: as far as AWS shows; `parent_id`: the id that it hangs on.

    `fix_command`: the AWS CLI's command that frees us of it; empty where only a service of AWS can.
    """

    kind: str
    id: str
    owner: str = ""
    parent_id: str = ""
    fix_command: str = ""


@dataclass(frozen=True, slots=True)
class DeletionOutcome:
    """One resource and its fate.

    `problem` when it was refused, `reason` when it was skipped; `request_ids` are AWS's; `dependencies` is what was in the way.
    """

    resource: Resource
    status: str
    problem: ApiFailure | None = None
    reason: str = ""
    request_ids: tuple[str, ...] = ()
    dependencies: tuple[Dependency, ...] = ()


@dataclass(frozen=True, slots=True)
class DeletionResult:
    """The result of a destroy. The verifying scan decides: `remaining` is what AWS still shows, whatever was asked of it."""

    cluster: str
    outcomes: tuple[DeletionOutcome, ...] = ()
    remaining: tuple[Resource, ...] = ()
    unsupported: tuple[Resource, ...] = ()  # carries the tag, of a kind that we do not know how to delete
    regions_scanned: tuple[str, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    partial_failures: tuple[
        ApiFailure, ...
    ] = ()  # services that would not say, and that this teardown can do without
    interrupted: bool = False

    @property
    def deleted(self) -> tuple[DeletionOutcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.status == DeletionStatus.DELETED)

    def deleted_ids(self, kind: str) -> frozenset[str]:
        """Ids of one kind that AWS does not show any more."""
        remaining = {resource.id for resource in self.remaining}
        fates = {DeletionStatus.DELETED, DeletionStatus.NOT_FOUND}
        return frozenset(
            outcome.resource.id
            for outcome in self.outcomes
            if outcome.resource.kind == kind
            and outcome.status in fates
            and outcome.resource.id not in remaining
        )

    @property
    def problems(self) -> tuple[ApiFailure, ...]:
        return tuple(
            outcome.problem
            for outcome in self.outcomes
            if outcome.problem is not None
            and outcome.status in {DeletionStatus.FAILED, DeletionStatus.BLOCKED}
        )

    @property
    def exit_code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        code = most_severe(failure.code for failure in (*self.problems, *self.failed_regions))
        denied = code is not None and classify(code).category in {Category.CREDENTIALS, Category.PERMISSION}
        if self.remaining or self.unsupported:
            return ExitCode.DENIED if denied else ExitCode.FAILED
        if self.failed_regions:
            fault = classify(code).category if code else Category.UNKNOWN
            return ExitCode.DENIED if fault is Category.CREDENTIALS else ExitCode.INCOMPLETE
        return ExitCode.DONE


def resources_by_region(resources: Iterable[Resource]) -> dict[str, tuple[Resource, ...]]:
    """Grouped, in the regions' order."""
    grouped: dict[str, list[Resource]] = {}
    for resource in resources:
        grouped.setdefault(resource.region, []).append(resource)
    return {region: tuple(grouped[region]) for region in sorted(grouped)}
