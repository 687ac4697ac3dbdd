"""What a nuke is about to delete: all of it, where it is, whose, how old, and what it costs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.cleanup.deletion_order import SPEC_BY_KIND, levels
from bacalhau_spot.core.cleanup.nuke_preview import sort_resources
from bacalhau_spot.core.kinds import GLOBAL
from bacalhau_spot.core.pricing.list_prices import HOURS_A_MONTH
from bacalhau_spot.core.problem import regions_by_failure
from bacalhau_spot.ui.formatting import (
    age,
    comma_list,
    count_of_kind,
    error_label,
    first_few,
    kind_label,
    plural,
    usd,
)
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, failed_regions_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bacalhau_spot.core.cleanup.nuke_preview import NukePreview
    from bacalhau_spot.core.model import Resource


# A create of many nodes takes about as long.
JUST_MADE = timedelta(minutes=2)


def nuke_preview_view(found: NukePreview) -> Group:
    """Who and where, the list, what stays, what we may not, what stops costing."""
    parts: list[RenderableType] = [*_where(found)]
    if found.to_delete:
        parts.append(_list(found))
    elif not found.to_adopt:
        parts.append(Paragraph(_nothing(found)))
    parts += [
        Paragraph(f"{one} in {region} is adopted: it gets our tag, and is deleted", style="yellow")
        for one, region in sorted(found.to_adopt.items())
    ]
    parts += _excluded(found)
    parts += [
        Paragraph(
            f"carries the tag, and this program does not know how to delete it: {one.kind} {one.id} in {one.region}",
            style="yellow",
        )
        for one in found.unsupported
    ]
    parts += _foreign(found)
    parts += _denied(found)
    parts += _cost(found)
    return Group(*parts)


def _nothing(found: NukePreview) -> str:
    if found.failed_regions:
        return "nothing of ours was found where it could be looked for"
    return f"nothing of ours was found: nothing carries {found.scope.key} with our value or mark"


def order_view() -> Group:
    """Which kinds there are, and what each waits for."""
    rows = [
        (
            str(number),
            kind_label(one),
            "" if SPEC_BY_KIND[one].service == "ec2" else SPEC_BY_KIND[one].service,
            ", ".join(kind_label(other) for other in sorted(SPEC_BY_KIND[one].after)),
        )
        for number, wave in enumerate(levels(), start=1)
        for one in wave
    ]
    return Group(
        Paragraph(
            "Each kind goes when what stands behind it is gone from its region, and all that need not wait go at once."
        ),
        TextTable(("step", "kind", "service", "when gone"), rows, right=("step",)),
        Paragraph(
            "What is the same in all regions (iam) goes last, when every region is clear.", style="dim"
        ),
    )


def _where(found: NukePreview) -> list[RenderableType]:
    alias = f" ({found.alias})" if found.alias else ""
    lines: list[RenderableType] = [
        Paragraph(f"account {found.identity.account_id}{alias} as {found.identity.arn}", style="bold"),
        Paragraph(f"looked into {comma_list(found.regions_scanned)}", style="dim"),
    ]
    if found.regions_skipped:
        lines.append(
            Paragraph(f"left out, as you wished: {comma_list(found.regions_skipped)}", style="yellow")
        )
        lines.append(
            Paragraph(
                "roles and instance profiles stay: nodes of those regions may use them; without --regions they go, too",
                style="yellow",
            )
        )
    if found.regions_not_enabled:
        lines.append(
            Paragraph(
                f"not looked into, not enabled in this account: {comma_list(found.regions_not_enabled)}",
                style="dim",
            )
        )
    return [*lines, *failed_regions_text(found.failed_regions)]


def _list(found: NukePreview) -> TextTable:
    """A column in which all rows say the same is left out: one cluster is named once, below."""
    several = len(_clusters(found)) > 1
    heads = ("region", "kind", "id", "name", *(("cluster",) if several else ()), "age", "remark")
    return TextTable(
        heads,
        [
            (
                one.region,
                kind_label(one.kind),
                one.id,
                one.name,
                *((found.cluster_of(one),) if several else ()),
                age(found.scanned_at - one.created_at) if one.created_at else "",
                _remark(one, found),
            )
            for one in sort_resources(found.to_delete)
        ],
        spare=("name", "age", *(("cluster",) if several else ())),
    )


def _clusters(found: NukePreview) -> list[str]:
    return sorted({found.cluster_of(one) for one in found.to_delete} - {""})


def _remark(one: Resource, found: NukePreview) -> str:
    if one.protection:
        return f"{one.protection}: {'will be lifted' if found.disable_protection else 'add --disable-protection'}"
    if one.region != GLOBAL and not found.cluster_of(one):
        return "without our tag: launched by what is ours"
    return one.state if one.state in {"stopped", "stopping", "shutting-down", "deleting"} else ""


def _excluded(found: NukePreview) -> list[RenderableType]:
    reasons: dict[str, list[Resource]] = {}
    for one, why in found.excluded:
        reasons.setdefault(why, []).append(one)
    return [
        Paragraph(
            f"stays: {first_few([f'{kind_label(one.kind)} {one.id}' for one in sort_resources(ones)], at_most=6)} ({why})",
            style="dim",
        )
        for why, ones in sorted(reasons.items())
    ]


def _foreign(found: NukePreview) -> list[RenderableType]:
    """What is not ours is told before anybody agrees: it stays, and keeps what it is in."""
    lines: list[RenderableType] = []
    for vpc in dict.fromkeys(one.id for one, _ in found.foreign):
        there = [blocker for one, blocker in found.foreign if one.id == vpc]
        names = [f"{kind_label(one.kind)} {one.id}{f' ({one.owner})' if one.owner else ''}" for one in there]
        lines.append(
            Paragraph(
                (
                    f"not ours, and in the way of VPC {vpc}, which will be left: {first_few(names)}; --adopt ID says "
                    "that it is yours"
                ),
                style="yellow",
            )
        )
    reasons = regions_by_failure(
        found.partial_failures, lambda one: f"{one.operation}: {error_label(one.code)}"
    )
    lines += [
        Paragraph(
            f"not known: whether something that is not ours is in the VPCs of {comma_list(regions)} ({why}); "
            "what turns out to be in the way is named and left",
            style="yellow",
        )
        for why, regions in reasons.items()
    ]
    return lines


def _denied(found: NukePreview) -> list[RenderableType]:
    """One line an action: the same refusal in twelve regions is one."""
    return [
        Paragraph(
            f"you may not {action} in {comma_list(regions)}: what does not go by itself will be left",
            style="bold yellow",
        )
        for action, regions in regions_by_failure(found.denied, lambda one: one.operation).items()
    ]


def _cost(found: NukePreview) -> list[RenderableType]:
    if not found.to_delete:
        return []
    counts: dict[str, int] = {}
    for one in found.to_delete:
        counts[one.kind] = counts.get(one.kind, 0) + 1
    regions = len({one.region for one in found.to_delete if one.region != GLOBAL})
    what = ", ".join(count_of_kind(count, name) for name, count in sorted(counts.items()))
    whose = f" of {comma_list(_clusters(found))}" if _clusters(found) else ""
    lines: list[RenderableType] = [
        Paragraph(
            f"{plural(len(found.to_delete), 'resource')}{whose} in {plural(regions, 'region')}: {what}",
            style="bold",
        )
    ]
    youngest = found.youngest_age
    if youngest is not None and youngest < JUST_MADE:
        lines.append(
            Paragraph(
                f"the youngest is {age(youngest)} old: if a create is running, let it end first, or use --min-age",
                style="bold yellow",
            )
        )
    if found.usd_per_hour is None:
        lines.append(Paragraph("what stops costing is not known, because not every spot price is"))
    if found.usd_per_hour:
        month = usd(found.usd_per_hour * HOURS_A_MONTH)
        lines.append(
            Paragraph(f"stops costing about {usd(found.usd_per_hour)} an hour, {month} a month", style="bold")
        )
    return lines
