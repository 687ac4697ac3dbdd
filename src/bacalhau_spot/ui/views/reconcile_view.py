"""One pass of `reconcile` on one line: its time, the counts, what it did, what remains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.reconcile.pass_result import Hindrance
from bacalhau_spot.core.reconcile.unhealthy import Protection
from bacalhau_spot.ui.formatting import age, comma_list, first_few, plural, usd
from bacalhau_spot.ui.views.blocks import Paragraph

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bacalhau_spot.core.reconcile.pass_result import PassResult

HINDRANCES: Mapping[Hindrance, str] = {
    Hindrance.NO_CLUSTER: "the cluster does not exist; `bacalhau-spot create` creates it",
    Hindrance.DESTROYED_NOW: (
        "nothing launched: the cluster has nodes in a region without its launch template, as during `bacalhau-spot destroy`; "
        "otherwise `bacalhau-spot create` makes the template again"
    ),
    Hindrance.OVER_BUDGET: "nothing launched: the cluster would exceed its budget",
    Hindrance.REFUSED: "nothing launched",
    Hindrance.NO_CAPACITY: "no capacity",
    Hindrance.EXPIRED: "its time is over, and it could not be deleted completely: see `bacalhau-spot list`",
    Hindrance.NOT_SCANNED: "nothing launched: the missing nodes may be in regions that could not be scanned",
    Hindrance.LOCKED: "nothing changed: another command is changing the cluster",
}
PROTECTIONS: Mapping[Protection, str] = {
    Protection.ORCHESTRATOR_AWAY: "the orchestrator does not answer",
    Protection.ORCHESTRATOR_UNHEALTHY: "the orchestrator is not healthy",
    Protection.ORCHESTRATOR_RESTARTED: "the orchestrator restarted a few minutes ago",
    Protection.NONE_JOINED: "no node has joined",
    Protection.MANY_AWAY: "more than a third of the nodes are away",
}


def pass_view(result: PassResult) -> Paragraph:
    """One line, however long: for logs."""
    style = "" if not result.remaining else "yellow"
    parts = [*_done(result), *_remaining(result)] or ["nothing to do"]
    text = f"{_counts(result)}: {'; '.join(parts)}{_end(result)}"
    return Paragraph(text, prefix=f"{result.began_at:%Y-%m-%d %H:%M:%S}Z ", style=style, whole=True)


def _counts(result: PassResult) -> str:
    return f"{result.cluster}, {result.joined} of {plural(result.wanted, 'node')} joined"


def _done(result: PassResult) -> Iterator[str]:
    actions = result.actions
    if result.dry_run:
        yield from _planned(result)
        return
    if actions.launched:
        moved = f", {actions.moved} of them in other regions" if actions.moved else ""
        yield f"launched {plural(len(actions.launched), 'node')}{moved}"
    if actions.replaced:
        yield f"terminated {plural(len(actions.replaced), 'unhealthy node')} ({first_few(actions.replaced)})"
    if actions.drained:
        yield f"drained {plural(len(actions.drained), 'surplus node')}"
    if actions.pruned:
        yield f"removed {plural(len(actions.pruned), 'stale node')} from the orchestrator"
    if actions.orchestrator_repaired:
        yield "repaired the orchestrator"
    if actions.deleted:
        yield f"its time is over: deleted {plural(actions.deleted, 'resource')}"


def _planned(result: PassResult) -> Iterator[str]:
    plan = result.plan
    if plan.launch:
        yield f"would launch {plural(plan.launch, 'node')}"
    if plan.replace:
        yield f"would replace {plural(len(plan.replace), 'unhealthy node')}"
    if plan.drain:
        yield f"would drain {plural(len(plan.drain), 'surplus node')}"
    if plan.stale:
        yield f"would remove {plural(len(plan.stale), 'stale node')} from the orchestrator"
    if plan.repair_orchestrator:
        yield "would repair the orchestrator"


def _remaining(result: PassResult) -> Iterator[str]:
    plan, actions = result.plan, result.actions
    if actions.hindrance is not None:
        reason = f" ({actions.reason})" if actions.reason else ""
        yield HINDRANCES[actions.hindrance] + reason
    if actions.missing and not result.dry_run:
        yield f"{plural(actions.missing, 'node')} missing"
    if plan.protected is not None:
        kept = f"{plural(len(plan.unhealthy), 'unhealthy node')} kept"
        yield f"{kept}: {PROTECTIONS[plan.protected]}"
    if plan.faulty:
        yield f"{plural(len(plan.faulty), 'node')} with other faults, which `bacalhau-spot status` shows"
    if plan.draining:
        yield f"{plural(len(plan.draining), 'node')} draining"
    if result.orchestrator_broken and not actions.orchestrator_repaired:
        yield "the orchestrator is not healthy; `bacalhau-spot status` shows why"
    codes = dict.fromkeys(failure.code for failure in (*actions.failures, *result.scan_failures))
    if codes:
        yield f"refused: {comma_list(list(codes))}"


def _end(result: PassResult) -> str:
    parts = [f"{plural(result.calls, 'call')}", age(result.took)]
    if result.usd_per_hour is not None:
        parts.insert(0, f"{usd(result.usd_per_hour)} an hour")
    if result.expires_at is not None:
        parts.append(f"expires {result.expires_at:%Y-%m-%d %H:%M}Z")
    return f" ({', '.join(parts)})"
