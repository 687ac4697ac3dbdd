"""The output of `remove`, `replace` and `scale` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from bacalhau_spot.core.node_changes.change_result import Stop
from bacalhau_spot.ui.json_output.create import (
    DrainedNodeOutput,
    PlanOutput,
    ReceiptOutput,
    create_data,
    drained_data,
    plan_data,
)
from bacalhau_spot.ui.json_output.values import (
    Amount,
    Count,
    InstanceOutput,
    PriceRangeOutput,
    ProblemOutput,
    exact,
    instance_data,
    problem_data,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from bacalhau_spot.core.node_changes.change_result import BatchResult, ChangeResult
    from bacalhau_spot.core.node_changes.node_change import NodeChange


class LeavingNodeOutput(TypedDict):
    instance: InstanceOutput
    reason: str
    """why `scale` has chosen it; otherwise empty"""
    drains: bool
    """false: its jobs cannot finish, and the instance is terminated at once"""


class ChangePlanOutput(TypedDict):
    cluster: str
    present: Count
    """nodes now, without draining ones"""
    after: Count
    """nodes after the change"""
    leaving: list[LeavingNodeOutput]
    """in their order"""
    launch: PlanOutput | None
    """as of `create`; null without a launch"""
    at_once: Count
    old_first: str
    """why old nodes leave before new ones are launched; empty if they do not"""
    grace_s: Count
    usd_per_hour_before: Amount | None
    """spot prices of all nodes; null: unknown"""
    usd_per_hour_after: PriceRangeOutput | None


class BatchOutput(TypedDict):
    old: list[str]
    """ids of the instances that leave"""
    new: list[str]
    """ids of the instances in their place"""
    faulty: list[str]
    """new instances that have not joined, or failed the smoke test"""
    stopped: Stop | None
    launch: ReceiptOutput | None
    drained: list[DrainedNodeOutput]
    problems: list[ProblemOutput]


class ChangeOutput(TypedDict):
    batches: list[BatchOutput]
    left: list[str]
    """ids of instances that were to leave, and are unchanged"""
    stopped: Stop | None


class NodeChangeOutput(TypedDict):
    plan: ChangePlanOutput
    result: ChangeOutput | None
    """null: nothing was changed"""


def node_change_data(change: NodeChange, result: ChangeResult | None) -> NodeChangeOutput:
    """`result` None: of a dry run, or with nothing to change."""
    return {"plan": _plan(change), "result": None if result is None else _result(result)}


def _plan(change: NodeChange) -> ChangePlanOutput:
    at_once = {instance.id for instance in change.cannot_drain}
    return {
        "cluster": change.cluster,
        "present": change.present,
        "after": change.after,
        "leaving": [
            {
                "instance": instance_data(instance),
                "reason": change.reasons.get(instance.id, ""),
                "drains": instance.id not in at_once,
            }
            for instance in change.old
        ],
        "launch": plan_data(change.launch) if change.launch else None,
        "at_once": change.at_once,
        "old_first": change.old_first,
        "grace_s": change.grace_s,
        "usd_per_hour_before": exact(change.usd_before),
        "usd_per_hour_after": _range(change.usd_after),
    }


def _range(prices: tuple[Decimal, Decimal] | None) -> PriceRangeOutput | None:
    return None if prices is None else {"low": exact(prices[0]), "high": exact(prices[1])}


def _result(result: ChangeResult) -> ChangeOutput:
    return {
        "batches": [_batch(batch) for batch in result.batches],
        "left": list(result.left),
        "stopped": result.stop,
    }


def _batch(batch: BatchResult) -> BatchOutput:
    drained = batch.drain.nodes if batch.drain else ()
    return {
        "old": list(batch.old),
        "new": list(batch.new),
        "faulty": list(batch.faulty),
        "stopped": batch.stop,
        "launch": create_data(batch.launch) if batch.launch else None,
        "drained": [drained_data(node) for node in drained],
        "problems": [problem_data(failure) for failure in (batch.drain.failures if batch.drain else ())],
    }
