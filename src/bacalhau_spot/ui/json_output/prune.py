"""What `prune` prints for programs, and what `destroy` says of the orchestrator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.ui.json_output.values import Data, problem_data, time_text

if TYPE_CHECKING:
    from bacalhau_spot.core.orchestrator.prune import PruneDecision, PrunePlan, PruneResult


def prune_data(plan: PrunePlan, result: PruneResult | None, *, address: str) -> Data:
    """`result` None: nothing was removed, by choice or because there was nothing."""
    return {
        "cluster": plan.cluster,
        "orchestrator": address,
        "nodes": [_node(decision, result) for decision in plan.decisions],
        "others": plan.others,
        "regions_scanned": list(plan.regions_scanned),
        "failed_regions": [problem_data(failure) for failure in plan.failed_regions],
        "interrupted": result is not None and result.interrupted,
    }


def _node(decision: PruneDecision, result: PruneResult | None) -> Data:
    failure = dict(result.failed).get(decision.member.id) if result else None
    since = decision.member.since
    return {
        "id": decision.member.id,
        "instance_id": decision.member.instance_id,
        "region": decision.region,
        "connected": decision.member.connected,
        "since": None if since is None else time_text(since),
        "reason": str(decision.reason),
        "status": _removal_status(decision, result),
        "problem": None if failure is None else problem_data(failure),
    }


def _removal_status(decision: PruneDecision, result: PruneResult | None) -> str:
    if not decision.stale:
        return "kept"
    if result is None:
        return "to remove"
    if decision.member.id in result.removed:
        return "removed"
    return "left" if decision.member.id in result.not_removed else "failed"


def prune_result_data(result: PruneResult | None) -> Data | None:
    """The nodes of ended instances; None when no orchestrator was asked."""
    if result is None:
        return None
    return {
        "address": result.address,
        "removed": list(result.removed),
        "not_removed": list(result.remaining),
        "problems": [problem_data(failure) for failure in result.problems],
    }
