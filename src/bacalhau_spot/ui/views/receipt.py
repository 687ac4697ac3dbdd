"""The receipt of a create: asked, launched, running, failed and why, per region and zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from bacalhau_spot.core.verdict import judge
from bacalhau_spot.ui.views.text import Columns, Said, next_commands
from bacalhau_spot.ui.words import kind, listed, plural

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bacalhau_spot.core.receipt import CreateReceipt, RegionReceipt


def create_receipt_view(receipt: CreateReceipt) -> Group:
    """A row a region with its zones, why something is missing, the total, and what one does next."""
    parts: list[RenderableType] = []
    told = [region for region in receipt.regions if region.asked or region.extra or region.problem]
    if told:
        parts.append(_table(told))
    parts.extend(_reasons(receipt))
    parts.extend(_lost(receipt))
    if receipt.removed:
        parts.append(Text(f"ended {plural(len(receipt.removed), 'instance')} that were too many"))
    parts.append(_total(receipt))
    parts.extend(_after(receipt))
    return Group(*parts)


def _table(regions: list[RegionReceipt]) -> RenderableType:
    numbers = ("asked", "launched", "running", "failed")
    return Columns(
        ("region", *numbers, "zones", "remarks"),
        [
            (
                region.region,
                str(region.asked + region.extra),
                str(len(region.launched)),
                str(len(region.running)),
                str(region.short),
                ", ".join(
                    f"{zone.removeprefix(region.region)}: {count}" for zone, count in region.zones.items()
                ),
                _remark(region),
            )
            for region in regions
        ],
        right=numbers,
        spare=("zones", "launched"),
    )


def _remark(region: RegionReceipt) -> str:
    remarks = []
    if region.moved_away:
        remarks.append(f"{region.moved_away} moved to other regions")
    if region.extra:
        remarks.append(f"{region.extra} taken over")
    if region.unsettled:
        remarks.append(f"{region.unsettled} still starting")
    return ", ".join(remarks)


def _reasons(receipt: CreateReceipt) -> list[RenderableType]:
    """Why regions could not do what was asked, each reason once. Problems that end the command are told as errors."""
    by_code: dict[str, list[str]] = {}
    for region in receipt.regions:
        if region.code is not None and (region.moved_away or region.problem is None):
            by_code.setdefault(region.code, []).append(region.region)
    lines: list[RenderableType] = []
    for code, regions in sorted(by_code.items()):
        verdict = judge(code)
        lines.append(
            Text(f"{verdict.sentence.format(region=listed(sorted(regions)))} ({code})", style="yellow")
        )
        if verdict.hint:
            lines.append(Said(verdict.hint.format(region=min(regions)), prefix="  hint: "))
    return lines


def _lost(receipt: CreateReceipt) -> list[Text]:
    return [
        Text(f"{one.id} in {one.zone} did not stay: {one.why_ended or one.state}", style="yellow")
        for region in receipt.regions
        for one in region.lost
    ]


def _total(receipt: CreateReceipt) -> Text:
    now = receipt.before + receipt.running - len(receipt.removed)
    text = f"{now} of {plural(receipt.wanted, 'node')} running"
    if receipt.interrupted:
        return Text(
            f"interrupted: {plural(receipt.launched, 'instance')} launched, {text}", style="bold yellow"
        )
    return Text(text, style="bold yellow" if receipt.missing else "bold green")


def _after(receipt: CreateReceipt) -> list[RenderableType]:
    """What one does next. Where it did not go well: what has been made by now, how to go on, and how to undo."""
    if not (receipt.interrupted or receipt.missing):
        return [*next_commands(("bacalhau-spot list", "bacalhau-spot destroy"))]
    made = ", ".join(kind(count, name) for name, count in receipt.made)
    return [
        *([Text(f"made on the way: {made}")] if made else []),
        *next_commands(("bacalhau-spot create",), label="to go on: "),
        *next_commands(("bacalhau-spot destroy",), label="to remove everything: "),
    ]
