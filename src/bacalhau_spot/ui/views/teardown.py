"""What is to go, and what became of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from bacalhau_spot.core.receipt import Fate, by_region
from bacalhau_spot.ui.views.text import Columns, next_commands, not_seen
from bacalhau_spot.ui.words import fault, kind, kind_name, listed, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType

    from bacalhau_spot.core.model import Identity, Naming, Resource
    from bacalhau_spot.core.receipt import Problem, TeardownReceipt


def teardown_preview_view(
    resources: Sequence[Resource], *, unknown: Sequence[Resource], identity: Identity, cluster: str
) -> Group:
    """What was found, by region and kind."""
    parts: list[RenderableType] = [Text(f"account {identity.account_id} as {identity.arn}", style="dim")]
    if resources:
        shown = Columns(
            ("region", "to delete"),
            [(region, _kinds(found)) for region, found in by_region(resources).items()],
        )
        parts += [Text(f"everything of {cluster}:", style="bold"), shown]
    else:
        parts.append(Text(f"nothing of {cluster} was found"))
    parts.extend(_unknown(unknown))
    return Group(*parts)


def _kinds(resources: Iterable[Resource]) -> str:
    counts = Counter(resource.kind for resource in resources)
    return ", ".join(kind(count, name) for name, count in sorted(counts.items()))


def _unknown(unknown: Sequence[Resource]) -> list[Text]:
    return [
        Text(
            f"carries the tag, and this program does not know how to delete it: {one.kind} {one.id} in {one.region}"
        )
        for one in unknown
    ]


def teardown_receipt_view(receipt: TeardownReceipt, *, naming: Naming) -> Group:
    """Deleted by region and kind, what is left and why, and what the verifying look found."""
    parts: list[RenderableType] = []
    gone = [one.resource for one in receipt.outcomes if one.fate in {Fate.DELETED, Fate.GONE}]
    if gone:
        rows = [(region, _kinds(resources)) for region, resources in by_region(gone).items()]
        parts.append(Columns(("region", "deleted"), rows))
    parts.extend(_left(receipt))
    parts.extend(_unknown(receipt.unknown))
    parts.extend(not_seen(receipt.unseen))
    parts.extend(_silent(receipt.silent))
    parts.extend(_ending(receipt, naming, found=bool(receipt.outcomes)))
    return Group(*parts)


def _silent(problems: Sequence[Problem]) -> list[Text]:
    """Services that a cluster of this configuration never uses, and that would not say whether they hold anything."""
    operations = sorted({problem.operation for problem in problems})
    if not operations:
        return []
    why = fault(problems[0].code)
    return [Text(f"not looked into, and not needed here: {listed(operations)} ({why})", style="dim")]


def _left(receipt: TeardownReceipt) -> list[Text]:
    codes = {one.resource.id: one.problem.code for one in receipt.outcomes if one.problem is not None}
    return [
        Text(
            f"left: {kind_name(one.kind)} {one.id} in {one.region}"
            + (f" ({codes[one.id]})" if one.id in codes else ""),
            style="yellow",
        )
        for one in receipt.remaining
    ]


def _ending(receipt: TeardownReceipt, naming: Naming, *, found: bool) -> list[RenderableType]:
    tag = f"{naming.tag_key}={naming.tag_value}"
    where = plural(len(receipt.looked_into), "region")
    if receipt.interrupted or receipt.remaining:
        text = (
            f"{plural(len(receipt.remaining), 'resource')} left"
            if receipt.remaining
            else "not everything was verified"
        )
        text = f"interrupted: {text}" if receipt.interrupted else text
        return [
            Text(text, style="bold yellow"),
            *next_commands(("bacalhau-spot destroy",), label="to go on: "),
        ]
    if receipt.unknown:
        return [Text(f"{plural(len(receipt.unknown), 'resource')} left in {where}", style="bold yellow")]
    if receipt.unseen:
        return [Text("not everything could be looked into", style="bold yellow")]
    if not found:
        return [Text(f"nothing to delete: nothing carries {tag} in {where}", style="bold green")]
    return [Text(f"verified: nothing with {tag} is left in {where}", style="bold green")]
