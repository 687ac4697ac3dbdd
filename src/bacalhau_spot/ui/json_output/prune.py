"""What `prune` prints for programs, and what `destroy` says of the orchestrator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.ui.json_output.values import Data, problem_data, time_text

if TYPE_CHECKING:
    from bacalhau_spot.core.orchestrator.prune import PruneDecision, PrunePlan, PruneResult


def prune_data(pruning: PrunePlan, forgotten: PruneResult | None, *, address: str) -> Data:
    """`forgotten` None: nothing was removed, by choice or because there was nothing."""
    return {
        "cluster": pruning.cluster,
        "orchestrator": address,
        "nodes": [_node(one, forgotten) for one in pruning.decisions],
        "others": pruning.others,
        "regions_scanned": list(pruning.regions_scanned),
        "failed_regions": [problem_data(problem) for problem in pruning.failed_regions],
        "interrupted": forgotten is not None and forgotten.interrupted,
    }


def _node(one: PruneDecision, forgotten: PruneResult | None) -> Data:
    problem = dict(forgotten.failed).get(one.member.id) if forgotten else None
    since = one.member.since
    return {
        "id": one.member.id,
        "instance_id": one.member.instance_id,
        "region": one.region,
        "connected": one.member.connected,
        "since": None if since is None else time_text(since),
        "reason": str(one.reason),
        "status": _removal_status(one, forgotten),
        "problem": None if problem is None else problem_data(problem),
    }


def _removal_status(one: PruneDecision, forgotten: PruneResult | None) -> str:
    if not one.stale:
        return "kept"
    if forgotten is None:
        return "to remove"
    if one.member.id in forgotten.removed:
        return "removed"
    return "left" if one.member.id in forgotten.not_removed else "failed"


def prune_result_data(forgotten: PruneResult | None) -> Data | None:
    """The nodes of ended instances; None when no orchestrator was asked."""
    if forgotten is None:
        return None
    return {
        "address": forgotten.address,
        "removed": list(forgotten.removed),
        "not_removed": list(forgotten.remaining),
        "problems": [problem_data(problem) for problem in forgotten.problems],
    }
