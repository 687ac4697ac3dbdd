"""The plan: what will be launched where, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from bacalhau_spot.core.plan import HOURS_PER_MONTH
from bacalhau_spot.ui.views.text import Columns, Said, next_commands
from bacalhau_spot.ui.words import few, plural, usd_range

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bacalhau_spot.core.model import Identity
    from bacalhau_spot.core.plan import Plan, RegionPlan

_UNKNOWN_PRICE = "unknown"


def plan_view(plan: Plan, *, identity: Identity | None = None) -> Group:
    """A row a region, the totals with their price, warnings, and what is too many."""
    parts: list[RenderableType] = []
    if identity is not None:
        parts.append(Text(f"account {identity.account_id} as {identity.arn}", style="dim"))
    parts.extend(Said(warning, prefix="warning: ", prefix_style="yellow") for warning in plan.warnings)
    if plan.launch:
        parts += [_regions(plan), *_totals(plan), *_stake(plan)]
    elif not plan.remove:
        there = f"{plan.present} of {plural(plan.wanted, 'node')}"
        parts.append(Text(f"nothing to do: {there} {'is' if plan.wanted == 1 else 'are'} there"))
    parts.extend(_surplus(plan))
    if plan.empty:
        parts.extend(next_commands(("bacalhau-spot list",)))
    return Group(*parts)


def _regions(plan: Plan) -> RenderableType:
    numbers = ("have", "want", "launch")
    return Columns(
        ("region", *numbers, "zones", "instance types", "USD per node-hour"),
        [_row(region) for region in plan.regions],
        right=numbers,
        spare=("instance types", "zones", "have"),
        total=("total", str(plan.present), str(plan.wanted), str(plan.launch), "", "", "")
        if len(plan.regions) > 1
        else None,
    )


def _row(region: RegionPlan) -> tuple[str, ...]:
    counts = (str(region.present), str(region.wanted), str(region.launch))
    if not region.launch:
        return (region.region, *counts, "", "", "")
    zones = " ".join(zone.removeprefix(region.region) for zone in region.zones)
    return (region.region, *counts, zones, few(region.types), _price(region))


def _price(region: RegionPlan) -> str:
    if region.low is None or region.high is None:
        return _UNKNOWN_PRICE
    return usd_range(region.low, region.high)


def _totals(plan: Plan) -> list[Text]:
    price = plan.usd_per_hour
    if price is None:
        cost = "the price is unknown: AWS shows none for some pool"
    else:
        low, high = price
        month = usd_range(low * HOURS_PER_MONTH, high * HOURS_PER_MONTH)
        cost = f"{usd_range(low, high)} an hour, {month} a month, for the instances at today's spot prices"
    return [Text(f"launch {plural(plan.launch, 'instance')}: {cost}", style="bold")]


def _stake(plan: Plan) -> list[Said]:
    """What one capacity pool's loss would take, at worst."""
    if plan.stake is None or not plan.stake.pools:
        return []
    nodes = plan.launch + plan.present
    limit = plan.stake.limit
    why = (
        f"max_share_per_pool allows {limit} in each"
        if limit is not None
        else "AWS may put a whole region into one; `max_share_per_pool` limits that"
    )
    worst = f"the loss of one would take up to {plan.stake.at_most} of {plural(nodes, 'node')}"
    return [Said(f"in up to {plural(plan.stake.pools, 'capacity pool')}: {worst} ({why})")]


def _surplus(plan: Plan) -> list[Text]:
    if not plan.surplus:
        return []
    count = plural(len(plan.surplus), "instance")
    if not plan.remove:
        stay = "it stays" if len(plan.surplus) == 1 else "they stay"
        text = f"{count} more than the configuration asks for; {stay} unless you pass --allow-removal"
        return [Text(text, "yellow")]
    return [
        Text(f"end {count}:", style="bold"),
        *(Text(f"  - {one.id} {one.type} in {one.zone}", style="red") for one in plan.remove),
    ]
