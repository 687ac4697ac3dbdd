"""The plan and the result of `remove`, `replace` and `scale`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.node_changes.change_result import Stop
from bacalhau_spot.ui.formatting import error_label, first_few, plural, usd, usd_range
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, next_commands
from bacalhau_spot.ui.views.drain_view import drained_nodes
from bacalhau_spot.ui.views.groups_view import group_steps
from bacalhau_spot.ui.views.plan_view import budget_error, cannot_drain_warning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from bacalhau_spot.core.node_changes.change_result import ChangeResult
    from bacalhau_spot.core.node_changes.node_change import NodeChange
    from bacalhau_spot.core.pricing.estimate import Budget
    from bacalhau_spot.errors import UserError

_HEADS = ("node", "zone", "type", "reason")


def node_change_view(change: NodeChange, *, words: Sequence[str] = ()) -> Group:
    """The nodes that leave, the launches, the order, and the price before and after.

    `words`: of a dry run, the command line that carries it out.
    """
    parts: list[RenderableType] = [
        Paragraph(
            f"{change.cluster}: {plural(change.present, 'node')} now, {change.after} after the change",
            style="bold",
        ),
    ]
    if change.empty:
        parts.append(Paragraph("nothing to change", style="bold green"))
        return Group(*parts)
    if change.launched_before:
        names = first_few([one.id for one in change.launched_before])
        parts.append(Paragraph(f"launched by an interrupted replacement, and to stay: {names}"))
    parts += [*_leaving(change), *_launching(change), Paragraph(_price(change)), *_warnings(change)]
    if words:
        parts += next_commands((_line(words),), label="to carry it out: ")
    return Group(*parts)


def _leaving(change: NodeChange) -> list[RenderableType]:
    if not change.old:
        return []
    then = "then they restart on other nodes" if change.after else "no node is left to restart the others"
    rows = [(one.id, one.zone, one.type, change.reasons.get(one.id, "")) for one in change.old]
    return [
        Paragraph("to leave:", style="bold"),
        TextTable(_HEADS, rows, spare=("reason", "type")),
        Paragraph(f"running jobs may end within {change.grace_s} s; {then}"),
    ]


def _launching(change: NodeChange) -> list[RenderableType]:
    if change.launch is None or not change.launches:
        return []
    where = ", ".join(f"{one.launch} in {one.region}" for one in change.launch.regions if one.launch)
    parts: list[RenderableType] = [Paragraph(f"to launch: {where}")]
    if change.old:
        later = f"the old nodes leave first: {change.old_first}"
        order = later if change.old_first else "the new nodes join first"
        parts.append(Paragraph(f"{change.at_once} at a time; {order}"))
    return [*parts, *group_steps(change.launch)]


def _warnings(change: NodeChange) -> list[RenderableType]:
    texts = change.launch.warnings if change.launch else ()
    lines: list[RenderableType] = [Paragraph(f"warning: {text}", style="yellow") for text in texts]
    if change.cannot_drain:
        lines.append(cannot_drain_warning([one.id for one in change.cannot_drain]))
    return lines


def _price(change: NodeChange) -> str:
    if change.usd_before is None or change.usd_after is None:
        return "spot prices: unknown"
    low, high = change.usd_after
    return (
        f"spot prices: {usd(change.usd_before)} an hour now, {usd_range(low, high)} an hour after the change"
    )


def replacement_over_budget(budget: Budget, *, at_once: int) -> UserError:
    """The refusal of a replacement. `budget`: of its dearest batch, whose old nodes leave first."""
    fewer = "replace fewer nodes at a time (`--at-once 1`), or " if at_once > 1 else ""
    return budget_error(
        budget,
        parts=lambda launch_usd, kept_usd: (
            f"new nodes of a batch: up to {usd(launch_usd)} an hour",
            f"nodes that stay while they start, without the old ones of the batch: {usd(kept_usd)} an hour",
        ),
        hint=f"{fewer}raise the budget: `budget_usd_per_hour`",
        done="nothing was changed",
        options=False,
    )


def node_change_result_view(words: Sequence[str], change: NodeChange, result: ChangeResult) -> Group:
    """How each node ended, the new nodes, and how to go on after a stop. `words`: the command line as typed."""
    parts: list[RenderableType] = []
    if result.drained:
        parts.append(drained_nodes(result.drained))
    style = "bold green" if result.stop is None else "bold yellow"
    parts.append(Paragraph(f"{change.cluster}: {_counts(change, result)}", style=style))
    if result.stop is not None:
        parts += _stop(words, change, result, result.stop)
    return Group(*parts)


def _counts(change: NodeChange, result: ChangeResult) -> str:
    ended = sum(node.over for node in result.drained)
    counts = [f"{plural(ended, 'node')} ended"] if change.old else []
    launched = sum(batch.launch.running for batch in result.batches if batch.launch)
    earlier = len(result.new) - launched
    counts += [f"{plural(launched, 'node')} launched"] if launched or (change.launch and not earlier) else []
    counts += [f"{plural(earlier, 'node')} launched by an earlier run"] if earlier else []
    return ", ".join(counts)


def _stop(words: Sequence[str], change: NodeChange, result: ChangeResult, stop: Stop) -> list[RenderableType]:
    faulty = [name for batch in result.batches for name in batch.faulty]
    names = f": {', '.join(faulty)}" if faulty else ""
    lines: list[RenderableType] = [Paragraph(f"stopped: {stop}{names}{_refusal(result)}", style="yellow")]
    if result.left:
        lines.append(Paragraph(f"unchanged: {first_few(list(result.left), at_most=10)}"))
    lines += [Paragraph(text) for text in _ways_on(words, change, result, stop)]
    commands = [_line(words), "bacalhau-spot status"]
    if faulty and stop is Stop.NOT_JOINED:
        commands.insert(1, f"bacalhau-spot console {faulty[0]}")
    return [*lines, *next_commands(commands)]


def _refusal(result: ChangeResult) -> str:
    """AWS's code of the most severe refusal of a launch, in words too."""
    if result.launch_code is None:
        return ""
    label = error_label(result.launch_code)
    return f": {result.launch_code}" + (f" ({label})" if label != result.launch_code else "")


def _line(words: Sequence[str], *more: str) -> str:
    return f"bacalhau-spot {shlex.join([*words, *more])}"


def _ways_on(words: Sequence[str], change: NodeChange, result: ChangeResult, stop: Stop) -> list[str]:
    texts = []
    replacing = words[0] == "replace"
    if replacing and (missing := result.unreplaced()):
        launch = (
            "bacalhau-spot create"
            if change.after == change.configured
            else f"bacalhau-spot scale {change.after}"
        )
        texts.append(f"{plural(missing, 'node')} not replaced yet: `{launch}` launches the rest")
    if stop is Stop.NOT_LAUNCHED and replacing and not change.old_first:
        texts.append(
            f"with `{_line(words, '--old-first')}`, new nodes use the quota and the capacity of the old ones"
        )
    if stop is Stop.TEST_REFUSED:
        again = _line(words, "--no-smoke-test")
        texts.append(f"the key of the API may not submit jobs; with `{again}`, new nodes run no job")
    return [*texts, "the same command continues"]
