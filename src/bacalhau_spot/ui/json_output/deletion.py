"""What `destroy` and `nuke` print for programs."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING

from bacalhau_spot.core.cleanup.deletion_order import SPEC_BY_KIND, levels
from bacalhau_spot.core.cleanup.nuke_preview import sort_resources
from bacalhau_spot.ui.json_output.prune import prune_result_data
from bacalhau_spot.ui.json_output.values import Data, problem_data, time_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bacalhau_spot.core.cleanup.deletion_result import DeletionResult
    from bacalhau_spot.core.cleanup.nuke_preview import NukePreview
    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.core.orchestrator.prune import PruneResult

_MICRO = Decimal("0.000001")


def resources_data(resources: Iterable[Resource]) -> list[Data]:
    return [_resource(resource) for resource in sort_resources(resources)]


def _resource(resource: Resource) -> Data:
    return {
        "region": resource.region,
        "kind": resource.kind,
        "id": resource.id,
        "name": resource.name,
        "state": resource.state,
    }


def deletion_data(result: DeletionResult, forgotten: PruneResult | None = None) -> Data:
    """`forgotten`: what the orchestrator was made to forget; None when it was not asked."""
    return {
        "cluster": result.cluster,
        "interrupted": result.interrupted,
        "outcomes": [
            {
                **_resource(outcome.resource),
                "status": outcome.status,
                "reason": outcome.reason,
                "request_ids": list(outcome.request_ids),
                "dependencies": [asdict(dependency) for dependency in outcome.dependencies],
                "problem": None if outcome.problem is None else problem_data(outcome.problem),
            }
            for outcome in result.outcomes
        ],
        "remaining": resources_data(result.remaining),
        "unsupported": resources_data(result.unsupported),
        "regions_scanned": list(result.regions_scanned),
        "failed_regions": [problem_data(failure) for failure in result.failed_regions],
        "partial_failures": [problem_data(failure) for failure in result.partial_failures],
        "orchestrator": prune_result_data(forgotten),
    }


def nuke_preview_data(preview: NukePreview) -> Data:
    """With `--dry-run`."""
    return {
        "account_id": preview.identity.account_id,
        "alias": preview.alias,
        "arn": preview.identity.arn,
        "to_delete": [
            {
                **_resource(resource),
                "cluster": resource.tags.get(preview.scope.key, ""),
                "protection": resource.protection,
                "created_at": None if resource.created_at is None else time_text(resource.created_at),
            }
            for resource in sort_resources(preview.to_delete)
        ],
        "excluded": [{**_resource(resource), "reason": why} for resource, why in preview.excluded],
        "unsupported": resources_data(preview.unsupported),
        "to_adopt": [{"id": one, "region": region} for one, region in sorted(preview.to_adopt.items())],
        "denied": [problem_data(failure) for failure in preview.denied],
        "regions_scanned": list(preview.regions_scanned),
        "regions_skipped": list(preview.regions_skipped),
        "regions_not_enabled": list(preview.regions_not_enabled),
        "foreign": [
            {"vpc": resource.id, "region": resource.region, "dependency": asdict(dependency)}
            for resource, dependency in preview.foreign
        ],
        "partial_failures": [problem_data(failure) for failure in preview.partial_failures],
        "failed_regions": [problem_data(failure) for failure in preview.failed_regions],
        "usd_per_hour": None if preview.usd_per_hour is None else str(preview.usd_per_hour.quantize(_MICRO)),
    }


def order_data() -> Data:
    """With `--explain`: the deletion graph."""
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
