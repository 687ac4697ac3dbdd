"""The output of `reconcile` for programs: one object for each pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from bacalhau_spot.core.health.diagnosis import Diagnosis
from bacalhau_spot.core.lifecycle.expiry import ExpiryKind
from bacalhau_spot.core.reconcile.pass_result import Hindrance
from bacalhau_spot.core.reconcile.unhealthy import Protection
from bacalhau_spot.ui.json_output.values import (
    Amount,
    Count,
    ProblemOutput,
    Time,
    exact,
    optional_time,
    problem_data,
    time_text,
)

if TYPE_CHECKING:
    from bacalhau_spot.core.reconcile.pass_result import PassResult
    from bacalhau_spot.core.reconcile.unhealthy import UnhealthyNode


class UnhealthyNodeOutput(TypedDict):
    id: str
    region: str
    diagnosis: Diagnosis
    """as in `status`"""
    seconds: Count
    """time since the orchestrator lost it; of a node that never joined, since its launch"""


class ClosedRegionOutput(TypedDict):
    region: str
    until: Time
    """the time of the next attempt"""


class ClusterEndOutput(TypedDict):
    reason: ExpiryKind
    since: Time
    """the end of the lifetime, or of the last job"""


class ReconcileFoundOutput(TypedDict):
    """What the pass found at its beginning."""

    wanted: Count
    """the configuration's number of nodes"""
    present: Count
    joined: Count
    missing: Count
    surplus: list[str]
    """instances above the number, without those that drain already"""
    draining: list[str]
    """instances on which no new job starts, and which leave"""
    unhealthy: list[UnhealthyNodeOutput]
    protected: Protection | None
    """why no unhealthy node is replaced; null if some may be"""
    stale: list[str]
    """names of nodes in the orchestrator whose instances are terminated"""
    faulty: list[str]
    """other nodes with a fault, which a pass does not mend; `status` shows it"""
    closed_regions: list[ClosedRegionOutput]
    """regions that refused capacity lately, and are left out for now"""
    orchestrator_broken: bool
    expired: bool
    """the cluster's time is over, and nothing is repaired"""
    other_expiry: list[str]
    """regions whose Auto Scaling group, or a node of it, has another expiry than the cluster"""
    ended: ClusterEndOutput | None
    """why the pass deletes the cluster; null if it does not"""


class ReconcileDoneOutput(TypedDict):
    """What the pass changed."""

    launched: list[str]
    moved: Count
    """launches of one region that another took over"""
    drained: list[str]
    """surplus instances"""
    replaced: list[str]
    """unhealthy instances that were terminated"""
    expiry_written: list[str]
    """regions whose Auto Scaling group and nodes got the expiry of the cluster"""
    pruned: list[str]
    """names of nodes that were removed from the orchestrator"""
    deleted: Count
    """resources of a cluster whose time was over"""
    orchestrator_repaired: bool


class ReconcileOutput(TypedDict):
    cluster: str
    began_at: Time
    seconds: float
    calls: Count
    """requests to AWS"""
    dry_run: bool
    changed: bool
    remaining: bool
    """whether something is wrong after the pass"""
    found: ReconcileFoundOutput
    done: ReconcileDoneOutput
    missing_after: Count
    hindrance: Hindrance | None
    """why the pass launched too few nodes, or changed nothing"""
    reason: str
    """the regions, the command, or the cost an hour that belong to `hindrance`"""
    usd_per_hour: Amount | None
    """of the nodes found; null until this process has launched nodes and so read the prices"""
    expires_at: Time | None
    """the end of the cluster's lifetime; null if it has none"""
    problems: list[ProblemOutput]
    """refusals by AWS and the orchestrator"""
    interrupted: bool


def reconcile_data(result: PassResult) -> ReconcileOutput:
    actions = result.actions
    return {
        "cluster": result.cluster,
        "began_at": time_text(result.began_at),
        "seconds": round(result.took.total_seconds(), 1),
        "calls": result.calls,
        "dry_run": result.dry_run,
        "changed": result.changed,
        "remaining": result.remaining,
        "found": _found(result),
        "done": {
            "launched": list(actions.launched),
            "moved": actions.moved,
            "drained": list(actions.drained),
            "replaced": list(actions.replaced),
            "expiry_written": list(actions.expiry_written),
            "pruned": list(actions.pruned),
            "deleted": actions.deleted,
            "orchestrator_repaired": actions.orchestrator_repaired,
        },
        "missing_after": actions.missing,
        "hindrance": actions.hindrance,
        "reason": actions.reason,
        "usd_per_hour": exact(result.usd_per_hour),
        "expires_at": optional_time(result.expires_at),
        "problems": [problem_data(failure) for failure in (*actions.failures, *result.scan_failures)],
        "interrupted": result.interrupted,
    }


def _found(result: PassResult) -> ReconcileFoundOutput:
    plan = result.plan
    return {
        "wanted": result.wanted,
        "present": result.present,
        "joined": result.joined,
        "missing": plan.missing,
        "surplus": [instance.id for instance in plan.drain],
        "draining": [instance.id for instance in plan.draining],
        "unhealthy": [_unhealthy(node) for node in plan.unhealthy],
        "protected": plan.protected,
        "stale": list(plan.stale),
        "faulty": list(plan.faulty),
        "closed_regions": [
            {"region": region, "until": time_text(until)} for region, until in plan.closed.items()
        ],
        "orchestrator_broken": result.orchestrator_broken,
        "expired": plan.expired,
        "other_expiry": [] if plan.expiry is None else list(plan.expiry.regions),
        "ended": None
        if plan.ended is None
        else {"reason": plan.ended.kind, "since": time_text(plan.ended.since)},
    }


def _unhealthy(node: UnhealthyNode) -> UnhealthyNodeOutput:
    return {
        "id": node.instance.id,
        "region": node.instance.region,
        "diagnosis": node.diagnosis,
        "seconds": int(node.lost_for.total_seconds()),
    }
