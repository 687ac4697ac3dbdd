"""The orchestrator's nodes to remove, and the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.orchestrator.prune import PruneReason
from bacalhau_spot.ui.formatting import age, first_few, plural
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, failed_regions_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from bacalhau_spot.core.orchestrator.prune import PruneDecision, PrunePlan, PruneResult
    from bacalhau_spot.core.problem import ApiFailure

WHY: Mapping[PruneReason, str] = {
    PruneReason.TERMINATED: "its instance is terminated",
    PruneReason.UNKNOWN: "AWS has no such instance",
    PruneReason.CONNECTED: "it is connected",
    PruneReason.ALIVE: "its instance still exists",
    PruneReason.REGION_FAILED: "its region could not be scanned",
    PruneReason.ELSEWHERE: "the credentials seem to be of another AWS account",
}
_HEADS = ("node", "region", "disconnected", "why")
_NOTHING = "-"
_FEW = 10


def prune_preview_view(plan: PrunePlan, *, address: str, now: datetime) -> Group:
    """The nodes to remove, and the disconnected ones that are kept, with reasons."""
    parts: list[RenderableType] = [Paragraph(f"orchestrator {address}", style="dim")]
    if plan.stale:
        parts += [
            Paragraph(
                f"to remove, of {plural(len(plan.decisions), 'node')} of {plan.cluster}:", style="bold"
            ),
            _table(plan.stale, now=now),
        ]
    else:
        parts.append(Paragraph(_nothing(plan), style="bold green"))
    if plan.undecided:
        parts += [Paragraph("disconnected, and kept:", style="bold"), _table(plan.undecided, now=now)]
    parts.extend(failed_regions_text(plan.failed_regions))
    return Group(*parts)


def _nothing(plan: PrunePlan) -> str:
    if not plan.decisions:
        others = f"; {plural(plan.others, 'node')} of others" if plan.others else ""
        return f"nothing to remove: it lists no node of {plan.cluster}{others}"
    connected = sum(decision.reason is PruneReason.CONNECTED for decision in plan.decisions)
    return (
        f"nothing to remove: {connected} of {plural(len(plan.decisions), 'node')} of {plan.cluster} connected"
    )


def _table(judged: Sequence[PruneDecision], *, now: datetime) -> TextTable:
    return TextTable(
        _HEADS,
        [
            (decision.member.id, decision.region, _since(decision, now), WHY[decision.reason])
            for decision in judged
        ],
        right=("disconnected",),
        spare=("disconnected", "region"),
    )


def _since(decision: PruneDecision, now: datetime) -> str:
    return _NOTHING if decision.member.since is None else age(now - decision.member.since)


def prune_result_view(plan: PrunePlan, result: PruneResult) -> Group:
    """The removed nodes, and those that remain with the reason."""
    return Group(*_became(result), *failed_regions_text(plan.failed_regions))


def with_prune_result(view: RenderableType, result: PruneResult | None) -> RenderableType:
    """The result of a deletion, and below it the nodes removed from the orchestrator."""
    if result is None or not (result.removed or result.remaining):
        return view
    return Group(view, *_became(result))


def _became(result: PruneResult) -> list[RenderableType]:
    reasons: dict[str, list[str]] = {}
    for name, failure in result.failed:
        reasons.setdefault(f" ({_code(failure)})", []).append(name)
    if result.not_removed:
        reasons.setdefault("", []).extend(result.not_removed)
    lines: list[RenderableType] = [
        Paragraph(f"still listed: {first_few(names, at_most=_FEW)}{why}", style="yellow")
        for why, names in reasons.items()
    ]
    done, every = len(result.removed), len(result.removed) + len(result.remaining)
    count = plural(every, "node") if done == every else f"{done} of {plural(every, 'node')}"
    stopped = "interrupted: " if result.interrupted else ""
    style = "bold green" if done == every else "bold yellow"
    lines.append(Paragraph(f"{stopped}{count} removed from the orchestrator {result.address}", style=style))
    return lines


def _code(failure: ApiFailure) -> str:
    return f"{failure.code}: {failure.message}"


def not_removed_text(result: PruneResult | None) -> tuple[str, ...]:
    """A warning about nodes that could not be removed from the orchestrator; empty without any."""
    if result is None or result.interrupted or not (result.problems or result.remaining):
        return ()
    why = f" ({_code(result.problems[0])})" if result.problems else ""
    names = result.remaining
    what = "terminated nodes" if not names else names[0] if len(names) == 1 else f"{len(names)} nodes"
    return (f"the orchestrator {result.address} still lists {what}{why}; `bacalhau-spot prune` removes them",)
