"""One pass of `reconcile` on one line: its time, the counts, what it did, what remains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.lifecycle.expiry import ExpiryKind
from bacalhau_spot.core.reconcile.pass_result import Hindrance
from bacalhau_spot.core.reconcile.unhealthy import Protection
from bacalhau_spot.ui.formatting import age, comma_list, first_few, plural, usd
from bacalhau_spot.ui.views.blocks import Paragraph

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bacalhau_spot.core.reconcile.pass_result import PassResult

HINDRANCES: Mapping[Hindrance, str] = {
    Hindrance.NO_CLUSTER: (
        "nothing launched: no region has the cluster's launch template, as before `bacalhau-spot create` and during "
        "`bacalhau-spot destroy`"
    ),
    Hindrance.JUST_CREATED: "nothing launched: the cluster was created a moment ago, and AWS may not list all its nodes yet",
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
    Hindrance.OTHER_CONFIGURATION: (
        "nothing changed: the orchestrator's machine keeps the cluster with another configuration; "
        "`bacalhau-spot create` gives it this one"
    ),
    Hindrance.ORCHESTRATOR_LEFT: "the orchestrator is left; `bacalhau-spot destroy` removes it",
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
    ends = (
        ["its time is over: its nodes end themselves"]
        if result.plan.expired and result.plan.ended is None
        else []
    )
    parts = [*_done(result), *ends, *_remaining(result)] or ["nothing to do"]
    text = f"{_counts(result)}: {'; '.join(parts)}{_end(result)}"
    return Paragraph(text, prefix=f"{result.began_at:%Y-%m-%d %H:%M:%S}Z ", style=style, whole=True)


def _counts(result: PassResult) -> str:
    return f"{result.cluster}, {result.joined} of {plural(result.wanted, 'node')} joined"


def _done(result: PassResult) -> Iterator[str]:
    if result.dry_run:
        # The hindrance of a dry run concerns the whole pass.
        yield from _planned(result) if result.actions.hindrance is None else ()
        return
    actions = result.actions
    moved = f", {actions.moved} of them in other regions" if actions.moved else ""
    unhealthy = f" ({first_few(actions.replaced)})"
    yield from _counted(
        (f"launched {{}}{moved}", len(actions.launched), "node"),
        (f"terminated {{}}{unhealthy}", len(actions.replaced), "unhealthy node"),
        ("drained {}", len(actions.drained), "surplus node"),
        ("removed {} from the orchestrator", len(actions.pruned), "stale node"),
        ("wrote the expiry in {}", len(actions.expiry_written), "region"),
        (f"{_ended(result)}: deleted {{}}", actions.deleted, "resource"),
    )
    if actions.orchestrator_repaired:
        yield "repaired the orchestrator"


def _planned(result: PassResult) -> Iterator[str]:
    plan = result.plan
    yield from _counted(
        ("would launch {}", plan.launch, "node"),
        ("would replace {}", len(plan.replace), "unhealthy node"),
        ("would drain {}", len(plan.drain), "surplus node"),
        ("would remove {} from the orchestrator", len(plan.stale), "stale node"),
        ("would write the expiry in {}", len(plan.expiry.regions) if plan.expiry else 0, "region"),
    )
    if plan.repair_orchestrator:
        yield "would repair the orchestrator"
    if plan.ended is not None:
        yield f"{_ended(result)}: would delete it"


def _ended(result: PassResult) -> str:
    """Why the cluster is deleted."""
    ended = result.plan.ended
    if ended is None or ended.kind is ExpiryKind.LIFETIME:
        return "its time is over"
    return f"no job since {ended.since:%Y-%m-%d %H:%M}Z"


def _counted(*rows: tuple[str, int, str]) -> Iterator[str]:
    """The sentences of what there is."""
    for template, count, noun in rows:
        if count:
            yield template.format(plural(count, noun))


def _remaining(result: PassResult) -> Iterator[str]:
    plan, actions = result.plan, result.actions
    if actions.hindrance is not None:
        yield HINDRANCES[actions.hindrance] + (f" ({actions.reason})" if actions.reason else "")
    if plan.protected is not None:
        kept = f"{plural(len(plan.unhealthy), 'unhealthy node')} kept"
        yield f"{kept}: {PROTECTIONS[plan.protected]}"
    yield from _counted(
        ("{} missing", 0 if result.dry_run else actions.missing, "node"),
        ("{} with other faults, which `bacalhau-spot status` shows", len(plan.faulty), "node"),
        ("{} draining", len(plan.draining), "node"),
    )
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
