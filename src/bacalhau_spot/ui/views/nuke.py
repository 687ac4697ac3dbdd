"""What a nuke is about to delete: all of it, where it is, whose, how old, and what it costs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.found import in_order
from bacalhau_spot.core.list_prices import HOURS_A_MONTH
from bacalhau_spot.core.receipt import regions_by
from bacalhau_spot.core.teardown import GLOBAL, ROWS, waves
from bacalhau_spot.ui.views.text import Columns, Said, not_seen
from bacalhau_spot.ui.words import age, fault, few, kind, kind_name, listed, plural, usd

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bacalhau_spot.core.found import Found
    from bacalhau_spot.core.model import Resource


# A create of many nodes takes about as long.
JUST_MADE = timedelta(minutes=2)


def nuke_preview_view(found: Found) -> Group:
    """Who and where, the list, what stays, what we may not, what stops costing."""
    parts: list[RenderableType] = [*_where(found)]
    if found.doomed:
        parts.append(_list(found))
    elif not found.foundlings:
        parts.append(Said(_nothing(found)))
    parts += [
        Said(f"{one} in {region} is adopted: it gets our tag, and is deleted", style="yellow")
        for one, region in sorted(found.foundlings.items())
    ]
    parts += _spared(found)
    parts += [
        Said(
            f"carries the tag, and this program does not know how to delete it: {one.kind} {one.id} in {one.region}",
            style="yellow",
        )
        for one in found.unknown
    ]
    parts += _in_the_way(found)
    parts += _denied(found)
    parts += _cost(found)
    return Group(*parts)


def _nothing(found: Found) -> str:
    if found.unseen:
        return "nothing of ours was found where it could be looked for"
    return f"nothing of ours was found: nothing carries {found.scope.key} with our value or mark"


def order_view() -> Group:
    """Which kinds there are, and what each waits for."""
    rows = [
        (
            str(number),
            kind_name(one),
            "" if ROWS[one].service == "ec2" else ROWS[one].service,
            ", ".join(kind_name(other) for other in sorted(ROWS[one].after)),
        )
        for number, wave in enumerate(waves(), start=1)
        for one in wave
    ]
    return Group(
        Said(
            "Each kind goes when what stands behind it is gone from its region, and all that need not wait go at once."
        ),
        Columns(("step", "kind", "service", "when gone"), rows, right=("step",)),
        Said("What is the same in all regions (iam) goes last, when every region is clear.", style="dim"),
    )


def _where(found: Found) -> list[RenderableType]:
    alias = f" ({found.alias})" if found.alias else ""
    lines: list[RenderableType] = [
        Said(f"account {found.identity.account_id}{alias} as {found.identity.arn}", style="bold"),
        Said(f"looked into {listed(found.looked_into)}", style="dim"),
    ]
    if found.left_out:
        lines.append(Said(f"left out, as you wished: {listed(found.left_out)}", style="yellow"))
        lines.append(
            Said(
                "roles and instance profiles stay: nodes of those regions may use them; without --regions they go, too",
                style="yellow",
            )
        )
    if found.not_enabled:
        lines.append(
            Said(f"not looked into, not enabled in this account: {listed(found.not_enabled)}", style="dim")
        )
    return [*lines, *not_seen(found.unseen)]


def _list(found: Found) -> Columns:
    """A column in which all rows say the same is left out: one cluster is named once, below."""
    several = len(_clusters(found)) > 1
    heads = ("region", "kind", "id", "name", *(("cluster",) if several else ()), "age", "remark")
    return Columns(
        heads,
        [
            (
                one.region,
                kind_name(one.kind),
                one.id,
                one.name,
                *((found.cluster_of(one),) if several else ()),
                age(found.now - one.created_at) if one.created_at else "",
                _remark(one, found),
            )
            for one in in_order(found.doomed)
        ],
        spare=("name", "age", *(("cluster",) if several else ())),
    )


def _clusters(found: Found) -> list[str]:
    return sorted({found.cluster_of(one) for one in found.doomed} - {""})


def _remark(one: Resource, found: Found) -> str:
    if one.protection:
        return f"{one.protection}: {'will be lifted' if found.lift else 'add --disable-protection'}"
    if one.region != GLOBAL and not found.cluster_of(one):
        return "without our tag: launched by what is ours"
    return one.state if one.state in {"stopped", "stopping", "shutting-down", "deleting"} else ""


def _spared(found: Found) -> list[RenderableType]:
    reasons: dict[str, list[Resource]] = {}
    for one, why in found.spared:
        reasons.setdefault(why, []).append(one)
    return [
        Said(
            f"stays: {few([f'{kind_name(one.kind)} {one.id}' for one in in_order(ones)], at_most=6)} ({why})",
            style="dim",
        )
        for why, ones in sorted(reasons.items())
    ]


def _in_the_way(found: Found) -> list[RenderableType]:
    """What is not ours is told before anybody agrees: it stays, and keeps what it is in."""
    lines: list[RenderableType] = []
    for vpc in dict.fromkeys(one.id for one, _ in found.in_the_way):
        there = [blocker for one, blocker in found.in_the_way if one.id == vpc]
        names = [f"{kind_name(one.kind)} {one.id}{f' ({one.owner})' if one.owner else ''}" for one in there]
        lines.append(
            Said(
                f"not ours, and in the way of VPC {vpc}, which will be left: {few(names)}; --adopt ID says that it is yours",
                style="yellow",
            )
        )
    reasons = regions_by(found.silent, lambda one: f"{one.operation}: {fault(one.code)}")
    lines += [
        Said(
            f"not known: whether something that is not ours is in the VPCs of {listed(regions)} ({why}); "
            "what turns out to be in the way is named and left",
            style="yellow",
        )
        for why, regions in reasons.items()
    ]
    return lines


def _denied(found: Found) -> list[RenderableType]:
    """One line an action: the same refusal in twelve regions is one."""
    return [
        Said(
            f"you may not {action} in {listed(regions)}: what does not go by itself will be left",
            style="bold yellow",
        )
        for action, regions in regions_by(found.denied, lambda one: one.operation).items()
    ]


def _cost(found: Found) -> list[RenderableType]:
    if not found.doomed:
        return []
    counts: dict[str, int] = {}
    for one in found.doomed:
        counts[one.kind] = counts.get(one.kind, 0) + 1
    regions = len({one.region for one in found.doomed if one.region != GLOBAL})
    what = ", ".join(kind(count, name) for name, count in sorted(counts.items()))
    whose = f" of {listed(_clusters(found))}" if _clusters(found) else ""
    lines: list[RenderableType] = [
        Said(
            f"{plural(len(found.doomed), 'resource')}{whose} in {plural(regions, 'region')}: {what}",
            style="bold",
        )
    ]
    youngest = found.youngest
    if youngest is not None and youngest < JUST_MADE:
        lines.append(
            Said(
                f"the youngest is {age(youngest)} old: if a create is running, let it end first, or use --min-age",
                style="bold yellow",
            )
        )
    if found.usd_per_hour is None:
        lines.append(Said("what stops costing is not known, because not every spot price is"))
    if found.usd_per_hour:
        month = usd(found.usd_per_hour * HOURS_A_MONTH)
        lines.append(
            Said(f"stops costing about {usd(found.usd_per_hour)} an hour, {month} a month", style="bold")
        )
    return lines
