"""The output of `prune` for programs, and the orchestrator's part of `destroy`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from bacalhau_spot.core.orchestrator.prune import PruneReason
from bacalhau_spot.ui.json_output.values import (
    ConnectionTime,
    Count,
    ProblemOutput,
    optional_time,
    problem_data,
)

if TYPE_CHECKING:
    from bacalhau_spot.core.orchestrator.prune import PruneDecision, PrunePlan, PruneResult

RemovalStatus = Literal["to remove", "removed", "failed", "left", "kept"]


class PruneNodeOutput(TypedDict):
    id: str
    instance_id: str
    region: str
    """from the node's label; empty without one"""
    connected: bool
    since: ConnectionTime | None
    reason: PruneReason
    status: RemovalStatus
    """`to remove`: with `--dry-run`; `left`: not attempted after a failure or an interruption"""
    problem: ProblemOutput | None


class PruneOutput(TypedDict):
    cluster: str
    """the label"""
    orchestrator: str
    """its address"""
    nodes: list[PruneNodeOutput]
    """every node of the cluster"""
    others: Count
    """the number of nodes outside the cluster"""
    regions_scanned: list[str]
    """empty if no AWS query was necessary"""
    failed_regions: list[ProblemOutput]
    """regions that could not be scanned"""
    interrupted: bool


class PruneResultOutput(TypedDict):
    """Nodes of terminated instances, in the orchestrator."""

    address: str
    removed: list[str]
    not_removed: list[str]
    """names of nodes that the orchestrator still lists"""
    problems: list[ProblemOutput]


def prune_data(plan: PrunePlan, result: PruneResult | None, *, address: str) -> PruneOutput:
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


def _node(decision: PruneDecision, result: PruneResult | None) -> PruneNodeOutput:
    failure = dict(result.failed).get(decision.member.id) if result else None
    return {
        "id": decision.member.id,
        "instance_id": decision.member.instance_id,
        "region": decision.region,
        "connected": decision.member.connected,
        "since": optional_time(decision.member.since),
        "reason": decision.reason,
        "status": _removal_status(decision, result),
        "problem": None if failure is None else problem_data(failure),
    }


def _removal_status(decision: PruneDecision, result: PruneResult | None) -> RemovalStatus:
    if not decision.stale:
        return "kept"
    if result is None:
        return "to remove"
    if decision.member.id in result.removed:
        return "removed"
    return "left" if decision.member.id in result.not_removed else "failed"


def prune_result_data(result: PruneResult | None) -> PruneResultOutput | None:
    """None without a query of an orchestrator."""
    if result is None:
        return None
    return {
        "address": result.address,
        "removed": list(result.removed),
        "not_removed": list(result.remaining),
        "problems": [problem_data(failure) for failure in result.problems],
    }
