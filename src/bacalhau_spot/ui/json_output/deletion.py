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
    return [_resource(one) for one in sort_resources(resources)]


def _resource(one: Resource) -> Data:
    return {"region": one.region, "kind": one.kind, "id": one.id, "name": one.name, "state": one.state}


def deletion_data(receipt: DeletionResult, forgotten: PruneResult | None = None) -> Data:
    """`forgotten`: what the orchestrator was made to forget; None when it was not asked."""
    return {
        "cluster": receipt.cluster,
        "interrupted": receipt.interrupted,
        "outcomes": [
            {
                **_resource(one.resource),
                "status": one.status,
                "reason": one.reason,
                "request_ids": list(one.request_ids),
                "dependencies": [asdict(blocker) for blocker in one.dependencies],
                "problem": None if one.problem is None else problem_data(one.problem),
            }
            for one in receipt.outcomes
        ],
        "remaining": resources_data(receipt.remaining),
        "unsupported": resources_data(receipt.unsupported),
        "regions_scanned": list(receipt.regions_scanned),
        "failed_regions": [problem_data(problem) for problem in receipt.failed_regions],
        "partial_failures": [problem_data(problem) for problem in receipt.partial_failures],
        "orchestrator": prune_result_data(forgotten),
    }


def nuke_preview_data(found: NukePreview) -> Data:
    """With `--dry-run`."""
    return {
        "account_id": found.identity.account_id,
        "alias": found.alias,
        "arn": found.identity.arn,
        "to_delete": [
            {
                **_resource(one),
                "cluster": one.tags.get(found.scope.key, ""),
                "protection": one.protection,
                "created_at": None if one.created_at is None else time_text(one.created_at),
            }
            for one in sort_resources(found.to_delete)
        ],
        "excluded": [{**_resource(one), "reason": why} for one, why in found.excluded],
        "unsupported": resources_data(found.unsupported),
        "to_adopt": [{"id": one, "region": region} for one, region in sorted(found.to_adopt.items())],
        "denied": [problem_data(problem) for problem in found.denied],
        "regions_scanned": list(found.regions_scanned),
        "regions_skipped": list(found.regions_skipped),
        "regions_not_enabled": list(found.regions_not_enabled),
        "foreign": [
            {"vpc": one.id, "region": one.region, "dependency": asdict(blocker)}
            for one, blocker in found.foreign
        ],
        "partial_failures": [problem_data(problem) for problem in found.partial_failures],
        "failed_regions": [problem_data(problem) for problem in found.failed_regions],
        "usd_per_hour": None if found.usd_per_hour is None else str(found.usd_per_hour.quantize(_MICRO)),
    }


def order_data() -> Data:
    """With `--explain`: the deletion graph."""
    return {
        "kinds": [
            {
                "kind": one.value,
                "step": step,
                "service": SPEC_BY_KIND[one].service,
                "after": sorted(other.value for other in SPEC_BY_KIND[one].after),
                "deleted_with_parent": SPEC_BY_KIND[one].deleted_with_parent,
            }
            for step, wave in enumerate(levels(), start=1)
            for one in wave
        ]
    }
