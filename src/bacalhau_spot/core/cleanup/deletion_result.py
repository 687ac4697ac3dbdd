"""The result of a deletion, as values: deleted resources, failures with their reasons, remaining resources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.cleanup.orchestrator_loss import ResultsBucket
from bacalhau_spot.core.error_catalog.classifier import Category, classify, most_severe
from bacalhau_spot.core.error_catalog.internal import TIME_OVER
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bacalhau_spot.core.cleanup.orchestrator_loss import BucketContents
    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.core.problem import ApiFailure


class DeletionStatus:
    """The outcome for one resource in the scope of a deletion."""

    DELETED = "deleted"
    NOT_FOUND = "already gone"
    FAILED = "failed"
    BLOCKED = "blocked"  # by an unmanaged resource
    SKIPPED = "skipped"  # unmanaged, or excluded by a rule
    NOT_ATTEMPTED = "left"  # not reached: interrupted, or something before it did not go


# Prefix of the owner where an AWS service created the resource.
AWS_SERVICE_OWNER = "an AWS service"


@dataclass(frozen=True, slots=True)
class Dependency:
    """An unmanaged resource that blocks a managed one. `owner`: as far as AWS shows it; `parent_id`: the resource that
    it belongs to.

    `fix_command`: the AWS CLI command that unblocks the deletion; empty where only an AWS service can.
    """

    kind: str
    id: str
    owner: str = ""
    parent_id: str = ""
    fix_command: str = ""


@dataclass(frozen=True, slots=True)
class DeletionOutcome:
    """One resource and its status.

    `problem`: of a failed deletion; `reason`: of a skipped one, or of one without an attempt; `request_ids`: AWS's;
    `dependencies`: blocking resources. `results`: the job results for which a bucket was skipped.
    """

    resource: Resource
    status: str
    problem: ApiFailure | None = None
    reason: str = ""
    request_ids: tuple[str, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    results: BucketContents | None = None


@dataclass(frozen=True, slots=True)
class DeletionResult:
    """The result of a destroy or nuke. The verifying scan decides: `remaining` is what AWS still lists, whatever was called."""

    cluster: str
    outcomes: tuple[DeletionOutcome, ...] = ()
    remaining: tuple[Resource, ...] = ()
    unsupported: tuple[Resource, ...] = ()  # tagged resources of an unsupported kind
    regions_scanned: tuple[str, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    partial_failures: tuple[
        ApiFailure, ...
    ] = ()  # services that did not answer, and that this deletion does not need
    interrupted: bool = False

    @property
    def deleted(self) -> tuple[DeletionOutcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.status == DeletionStatus.DELETED)

    @property
    def kept_results(self) -> tuple[ResultsBucket, ...]:
        """Buckets with job results that were retained."""
        return tuple(
            ResultsBucket(outcome.resource, outcome.results, deleted=False)
            for outcome in self.outcomes
            if outcome.results is not None
        )

    def deleted_ids(self, kind: str) -> frozenset[str]:
        """Ids of one kind that AWS no longer lists."""
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
            and (
                outcome.status in {DeletionStatus.FAILED, DeletionStatus.BLOCKED}
                or outcome.problem.code == TIME_OVER
            )
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
