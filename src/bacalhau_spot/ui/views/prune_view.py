"""The orchestrator's nodes that are to be forgotten, and what became of them."""

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
    PruneReason.TERMINATED: "its instance has ended",
    PruneReason.UNKNOWN: "AWS has no such instance",
    PruneReason.CONNECTED: "it is connected",
    PruneReason.ALIVE: "AWS still has its instance",
    PruneReason.REGION_FAILED: "its region could not be looked into",
    PruneReason.ELSEWHERE: "this seems to be another AWS account",
}
_HEADS = ("node", "region", "disconnected", "why")
_NOTHING = "-"
_FEW = 10


def prune_preview_view(pruning: PrunePlan, *, address: str, now: datetime) -> Group:
    """Which nodes are to be removed, and which disconnected ones stay, each with its reason."""
    parts: list[RenderableType] = [Paragraph(f"orchestrator {address}", style="dim")]
    if pruning.identity is not None:
        parts.append(
            Paragraph(f"account {pruning.identity.account_id} as {pruning.identity.arn}", style="dim")
        )
    if pruning.stale:
        parts += [
            Paragraph(
                f"to remove, of {plural(len(pruning.decisions), 'node')} of {pruning.cluster}:", style="bold"
            ),
            _table(pruning.stale, now=now),
        ]
    else:
        parts.append(Paragraph(_nothing(pruning), style="bold green"))
    if pruning.undecided:
        parts += [Paragraph("disconnected, and they stay:", style="bold"), _table(pruning.undecided, now=now)]
    parts.extend(failed_regions_text(pruning.failed_regions))
    return Group(*parts)


def _nothing(pruning: PrunePlan) -> str:
    if not pruning.decisions:
        others = f"; {plural(pruning.others, 'node')} of others" if pruning.others else ""
        return f"nothing to remove: it lists no node of {pruning.cluster}{others}"
    connected = sum(one.reason is PruneReason.CONNECTED for one in pruning.decisions)
    return f"nothing to remove: {connected} of {plural(len(pruning.decisions), 'node')} of {pruning.cluster} connected"


def _table(judged: Sequence[PruneDecision], *, now: datetime) -> TextTable:
    return TextTable(
        _HEADS,
        [(one.member.id, one.region, _since(one, now), WHY[one.reason]) for one in judged],
        right=("disconnected",),
        spare=("disconnected", "region"),
    )


def _since(one: PruneDecision, now: datetime) -> str:
    return _NOTHING if one.member.since is None else age(now - one.member.since)


def prune_result_view(pruning: PrunePlan, forgotten: PruneResult) -> Group:
    """What the orchestrator forgot, and what it still lists and why."""
    return Group(*_became(forgotten), *failed_regions_text(pruning.failed_regions))


def with_prune_result(view: RenderableType, forgotten: PruneResult | None) -> RenderableType:
    """A teardown's receipt, and below it what the orchestrator forgot."""
    if forgotten is None or not (forgotten.removed or forgotten.remaining):
        return view
    return Group(view, *_became(forgotten))


def _became(forgotten: PruneResult) -> list[RenderableType]:
    reasons: dict[str, list[str]] = {}
    for name, problem in forgotten.failed:
        reasons.setdefault(f" ({_code(problem)})", []).append(name)
    if forgotten.not_removed:
        reasons.setdefault("", []).extend(forgotten.not_removed)
    lines: list[RenderableType] = [
        Paragraph(f"still listed: {first_few(names, at_most=_FEW)}{why}", style="yellow")
        for why, names in reasons.items()
    ]
    done, every = len(forgotten.removed), len(forgotten.removed) + len(forgotten.remaining)
    count = plural(every, "node") if done == every else f"{done} of {plural(every, 'node')}"
    stopped = "interrupted: " if forgotten.interrupted else ""
    style = "bold green" if done == every else "bold yellow"
    lines.append(
        Paragraph(f"{stopped}{count} removed from the orchestrator {forgotten.address}", style=style)
    )
    return lines


def _code(problem: ApiFailure) -> str:
    return f"{problem.code}: {problem.message}"


def not_removed_text(forgotten: PruneResult | None) -> tuple[str, ...]:
    """A warning about the nodes that a teardown could not take from the orchestrator; nothing where there is none."""
    if forgotten is None or forgotten.interrupted or not (forgotten.problems or forgotten.remaining):
        return ()
    why = f" ({_code(forgotten.problems[0])})" if forgotten.problems else ""
    names = forgotten.remaining
    what = (
        "nodes whose instances ended" if not names else names[0] if len(names) == 1 else f"{len(names)} nodes"
    )
    return (
        f"the orchestrator {forgotten.address} still lists {what}{why}; `bacalhau-spot prune` removes what is gone",
    )
