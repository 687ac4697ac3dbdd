"""The output of `destroy` and `nuke` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypedDict

from bacalhau_spot.core.cleanup.deletion_order import SPEC_BY_KIND, levels
from bacalhau_spot.core.cleanup.deletion_result import DeletionStatus
from bacalhau_spot.core.cleanup.nuke_preview import sort_resources
from bacalhau_spot.core.cleanup.orchestrator_loss import NO_LOSS
from bacalhau_spot.ui.json_output.prune import PruneResultOutput, prune_result_data
from bacalhau_spot.ui.json_output.values import (
    Amount,
    Keywords,
    ProblemOutput,
    Time,
    exact,
    optional_time,
    problem_data,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from bacalhau_spot.core.cleanup.deletion_result import DeletionOutcome, DeletionResult, Dependency
    from bacalhau_spot.core.cleanup.nuke_preview import NukePreview
    from bacalhau_spot.core.cleanup.orchestrator_loss import OrchestratorLoss, ResultsBucket
    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.core.orchestrator.prune import PruneResult

Status = Annotated[
    str,
    Keywords(
        enum=[
            DeletionStatus.DELETED,
            DeletionStatus.NOT_FOUND,
            DeletionStatus.BLOCKED,
            DeletionStatus.FAILED,
            DeletionStatus.SKIPPED,
            DeletionStatus.NOT_ATTEMPTED,
        ]
    ),
]


class ResourceOutput(TypedDict):
    region: str
    kind: str
    id: str
    name: str
    state: str


class DependencyOutput(TypedDict):
    """An unmanaged resource that blocks a deletion."""

    kind: str
    id: str
    owner: str
    """as far as AWS lists it"""
    parent_id: str
    """the resource that it belongs to"""
    fix_command: str
    """the AWS CLI's command that removes it"""


class OutcomeOutput(ResourceOutput):
    status: Status
    reason: str
    """why it was skipped, or not attempted"""
    request_ids: list[str]
    """AWS's ids of the requests that deleted it"""
    dependencies: list[DependencyOutput]
    """unmanaged resources that block the deletion"""
    problem: ProblemOutput | None


class DeletionOutput(TypedDict):
    """After the deletion."""

    cluster: str
    interrupted: bool
    elapsed_s: float | None
    """of the deletion and its verification"""
    usd_per_hour: Amount | None
    """of the resources before the deletion; null: unknown"""
    outcomes: list[OutcomeOutput]
    remaining: list[ResourceOutput]
    """resources that AWS lists at the end"""
    unsupported: list[ResourceOutput]
    """tagged resources of an unsupported kind"""
    regions_scanned: list[str]
    failed_regions: list[ProblemOutput]
    """regions that could not be scanned"""
    partial_failures: list[ProblemOutput]
    """failed queries of services that this cluster does not use"""
    results: list[ResultsBucketOutput]
    """buckets that were retained with their job results"""
    orchestrator: PruneResultOutput | None
    """null if none is configured, if there was nothing to delete, or if the orchestrator was deleted"""


class OrchestratorUsersOutput(TypedDict):
    cluster: str
    nodes: Annotated[int, Keywords(minimum=1)]


class OrchestratorLossOutput(TypedDict):
    """The managed orchestrator that is deleted, and its users."""

    instances: list[str]
    """its instances, which are deleted after the nodes"""
    users: list[OrchestratorUsersOutput]
    """running nodes of other clusters"""
    certain: bool
    """true: the orchestrator lists these nodes. false: it does not answer, and AWS lists all other clusters"""


class ResultsBucketOutput(TypedDict):
    """A bucket with job results."""

    bucket: str
    region: str
    objects: Annotated[int, Keywords(minimum=0)]
    """with all versions"""
    size_bytes: Annotated[int, Keywords(minimum=0)]
    complete: bool
    """false: there are more objects, which were not counted"""
    deleted: bool
    """false: the bucket is retained, because it contains results and `--delete-results` is missing"""
    delete_command: str
    """deletes the retained results; empty if they are deleted"""


class DestroyPreviewOutput(TypedDict):
    """With `--dry-run`."""

    usd_per_hour: Amount | None
    """what the deletion saves; null: unknown"""
    to_delete: list[ResourceOutput]
    unsupported: list[ResourceOutput]
    """tagged resources of an unsupported kind"""
    orchestrator: OrchestratorLossOutput | None
    """null if no managed orchestrator is deleted"""
    results: list[ResultsBucketOutput]


class ResourceToDeleteOutput(ResourceOutput):
    cluster: str
    protection: str
    created_at: Time | None
    """null if AWS does not list it"""


class ExcludedResourceOutput(ResourceOutput):
    reason: str


class ResourceToAdoptOutput(TypedDict):
    id: str
    region: str


class ForeignResourceOutput(TypedDict):
    vpc: str
    region: str
    dependency: DependencyOutput


class NukePreviewOutput(TypedDict):
    """With `--dry-run`."""

    account_id: str
    alias: str
    arn: str
    to_delete: list[ResourceToDeleteOutput]
    excluded: list[ExcludedResourceOutput]
    unsupported: list[ResourceOutput]
    """tagged resources of an unsupported kind"""
    to_adopt: list[ResourceToAdoptOutput]
    denied: list[ProblemOutput]
    """resources without permission to delete"""
    regions_scanned: list[str]
    regions_skipped: list[str]
    regions_not_enabled: list[str]
    """regions that are not enabled in the account; AWS does not list resources in them"""
    foreign: list[ForeignResourceOutput]
    """unmanaged resources in a managed VPC; they remain, and so does the VPC"""
    partial_failures: list[ProblemOutput]
    """failed queries about resources in managed VPCs"""
    failed_regions: list[ProblemOutput]
    """regions that could not be scanned"""
    usd_per_hour: Amount | None
    """US dollars that end with the resources; null if unknown"""
    results: list[ResultsBucketOutput]


class KindOutput(TypedDict):
    kind: str
    step: Annotated[int, Keywords(minimum=1)]
    service: str
    after: list[str]
    """kinds that must be deleted first in the region"""
    deleted_with_parent: bool


class DeletionOrderOutput(TypedDict):
    """With `--explain`."""

    kinds: list[KindOutput]


def resources_data(resources: Iterable[Resource]) -> list[ResourceOutput]:
    return [_resource(resource) for resource in sort_resources(resources)]


def _resource(resource: Resource) -> ResourceOutput:
    return {
        "region": resource.region,
        "kind": resource.kind,
        "id": resource.id,
        "name": resource.name,
        "state": resource.state,
    }


def _dependency(dependency: Dependency) -> DependencyOutput:
    return {
        "kind": dependency.kind,
        "id": dependency.id,
        "owner": dependency.owner,
        "parent_id": dependency.parent_id,
        "fix_command": dependency.fix_command,
    }


def _outcome(outcome: DeletionOutcome) -> OutcomeOutput:
    return {
        **_resource(outcome.resource),
        "status": outcome.status,
        "reason": outcome.reason,
        "request_ids": list(outcome.request_ids),
        "dependencies": [_dependency(dependency) for dependency in outcome.dependencies],
        "problem": None if outcome.problem is None else problem_data(outcome.problem),
    }


def deletion_data(
    result: DeletionResult,
    forgotten: PruneResult | None = None,
    *,
    delete_results: str = "",
    elapsed_s: float | None = None,
    usd_per_hour: Decimal | None = None,
) -> DeletionOutput:
    """`forgotten`: the nodes removed from the orchestrator; None without a query. `delete_results`: the command for it."""
    return {
        "cluster": result.cluster,
        "interrupted": result.interrupted,
        "elapsed_s": None if elapsed_s is None else round(elapsed_s, 1),
        "usd_per_hour": exact(usd_per_hour),
        "outcomes": [_outcome(outcome) for outcome in result.outcomes],
        "remaining": resources_data(result.remaining),
        "unsupported": resources_data(result.unsupported),
        "regions_scanned": list(result.regions_scanned),
        "failed_regions": [problem_data(failure) for failure in result.failed_regions],
        "partial_failures": [problem_data(failure) for failure in result.partial_failures],
        "results": results_data(result.kept_results, command=delete_results),
        "orchestrator": prune_result_data(forgotten),
    }


def destroy_preview_data(
    to_delete: Iterable[Resource],
    unsupported: Iterable[Resource],
    *,
    loss: OrchestratorLoss = NO_LOSS,
    delete_results: str = "",
    usd_per_hour: Decimal | None = None,
) -> DestroyPreviewOutput:
    return {
        "usd_per_hour": exact(usd_per_hour),
        "to_delete": resources_data(to_delete),
        "unsupported": resources_data(unsupported),
        "orchestrator": _loss(loss),
        "results": results_data(loss.results, command=delete_results),
    }


def _loss(loss: OrchestratorLoss) -> OrchestratorLossOutput | None:
    if not loss.instances:
        return None
    return {
        "instances": [resource.id for resource in loss.instances],
        "users": [{"cluster": name, "nodes": count} for name, count in loss.users.items()],
        "certain": loss.certain,
    }


def results_data(buckets: Iterable[ResultsBucket], *, command: str) -> list[ResultsBucketOutput]:
    """`command`: deletes the retained results."""
    return [
        {
            "bucket": bucket.resource.id,
            "region": bucket.resource.region,
            "objects": bucket.contents.objects,
            "size_bytes": bucket.contents.size_bytes,
            "complete": bucket.contents.complete,
            "deleted": bucket.deleted,
            "delete_command": "" if bucket.deleted else command,
        }
        for bucket in buckets
    ]


def nuke_preview_data(preview: NukePreview, *, delete_results: str = "") -> NukePreviewOutput:
    return {
        "account_id": preview.identity.account_id,
        "alias": preview.alias,
        "arn": preview.identity.arn,
        "to_delete": [
            {
                **_resource(resource),
                "cluster": resource.tags.get(preview.scope.key, ""),
                "protection": resource.protection,
                "created_at": optional_time(resource.created_at),
            }
            for resource in sort_resources(preview.to_delete)
        ],
        "excluded": [{**_resource(resource), "reason": why} for resource, why in preview.excluded],
        "unsupported": resources_data(preview.unsupported),
        "to_adopt": [
            {"id": instance_id, "region": region} for instance_id, region in sorted(preview.to_adopt.items())
        ],
        "denied": [problem_data(failure) for failure in preview.denied],
        "regions_scanned": list(preview.regions_scanned),
        "regions_skipped": list(preview.regions_skipped),
        "regions_not_enabled": list(preview.regions_not_enabled),
        "foreign": [
            {"vpc": resource.id, "region": resource.region, "dependency": _dependency(dependency)}
            for resource, dependency in preview.foreign
        ],
        "partial_failures": [problem_data(failure) for failure in preview.partial_failures],
        "failed_regions": [problem_data(failure) for failure in preview.failed_regions],
        "usd_per_hour": exact(preview.usd_per_hour),
        "results": results_data(preview.results, command=delete_results),
    }


def order_data() -> DeletionOrderOutput:
    """The deletion graph."""
    return {
        "kinds": [
            {
                "kind": kind.value,
                "step": step,
                "service": SPEC_BY_KIND[kind].service,
                "after": sorted(other.value for other in SPEC_BY_KIND[kind].after),
                "deleted_with_parent": SPEC_BY_KIND[kind].deleted_with_parent,
            }
            for step, wave in enumerate(levels(), start=1)
            for kind in wave
        ]
    }
