"""The orchestrator's nodes that are to be forgotten, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.prune import Why
from bacalhau_spot.ui.views.text import Columns, Said, not_seen
from bacalhau_spot.ui.words import age, few, plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from bacalhau_spot.core.prune import Forgotten, Judged, Pruning
    from bacalhau_spot.core.receipt import Problem

WHY: Mapping[Why, str] = {
    Why.ENDED: "its instance has ended",
    Why.UNKNOWN: "AWS has no such instance",
    Why.CONNECTED: "it is connected",
    Why.ALIVE: "AWS still has its instance",
    Why.UNSEEN: "its region could not be looked into",
    Why.ELSEWHERE: "this seems to be another AWS account",
}
_HEADS = ("node", "region", "disconnected", "why")
_NOTHING = "-"
_FEW = 10


def prune_preview_view(pruning: Pruning, *, address: str, now: datetime) -> Group:
    """Which nodes are to be removed, and which disconnected ones stay, each with its reason."""
    parts: list[RenderableType] = [Said(f"orchestrator {address}", style="dim")]
    if pruning.identity is not None:
        parts.append(Said(f"account {pruning.identity.account_id} as {pruning.identity.arn}", style="dim"))
    if pruning.gone:
        parts += [
            Said(f"to remove, of {plural(len(pruning.judged), 'node')} of {pruning.cluster}:", style="bold"),
            _table(pruning.gone, now=now),
        ]
    else:
        parts.append(Said(_nothing(pruning), style="bold green"))
    if pruning.in_doubt:
        parts += [Said("disconnected, and they stay:", style="bold"), _table(pruning.in_doubt, now=now)]
    parts.extend(not_seen(pruning.unseen))
    return Group(*parts)


def _nothing(pruning: Pruning) -> str:
    if not pruning.judged:
        others = f"; {plural(pruning.others, 'node')} of others" if pruning.others else ""
        return f"nothing to remove: it lists no node of {pruning.cluster}{others}"
    connected = sum(one.why is Why.CONNECTED for one in pruning.judged)
    return f"nothing to remove: {connected} of {plural(len(pruning.judged), 'node')} of {pruning.cluster} connected"


def _table(judged: Sequence[Judged], *, now: datetime) -> Columns:
    return Columns(
        _HEADS,
        [(one.member.id, one.region, _since(one, now), WHY[one.why]) for one in judged],
        right=("disconnected",),
        spare=("disconnected", "region"),
    )


def _since(one: Judged, now: datetime) -> str:
    return _NOTHING if one.member.since is None else age(now - one.member.since)


def prune_receipt_view(pruning: Pruning, forgotten: Forgotten) -> Group:
    """What the orchestrator forgot, and what it still lists and why."""
    return Group(*_became(forgotten), *not_seen(pruning.unseen))


def with_forgotten(view: RenderableType, forgotten: Forgotten | None) -> RenderableType:
    """A teardown's receipt, and below it what the orchestrator forgot."""
    if forgotten is None or not (forgotten.removed or forgotten.remaining):
        return view
    return Group(view, *_became(forgotten))


def _became(forgotten: Forgotten) -> list[RenderableType]:
    reasons: dict[str, list[str]] = {}
    for name, problem in forgotten.failed:
        reasons.setdefault(f" ({_code(problem)})", []).append(name)
    if forgotten.left:
        reasons.setdefault("", []).extend(forgotten.left)
    lines: list[RenderableType] = [
        Said(f"still listed: {few(names, at_most=_FEW)}{why}", style="yellow")
        for why, names in reasons.items()
    ]
    done, every = len(forgotten.removed), len(forgotten.removed) + len(forgotten.remaining)
    count = plural(every, "node") if done == every else f"{done} of {plural(every, 'node')}"
    stopped = "interrupted: " if forgotten.interrupted else ""
    style = "bold green" if done == every else "bold yellow"
    lines.append(Said(f"{stopped}{count} removed from the orchestrator {forgotten.address}", style=style))
    return lines


def _code(problem: Problem) -> str:
    return f"{problem.code}: {problem.message}"


def still_listed(forgotten: Forgotten | None) -> tuple[str, ...]:
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
