"""The plan: launches by region, and their cost."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui.formatting import IN_NO_SUM, error_label, first_few, percent, plural, usd, usd_range
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, next_commands

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bacalhau_spot.core.launch.plan import Plan, RegionPlan
    from bacalhau_spot.core.model import Identity
    from bacalhau_spot.core.pricing.estimate import Budget, Estimate, PriceRange

_UNKNOWN_PRICE = "unknown"


def plan_view(plan: Plan, *, identity: Identity | None = None) -> Group:
    """A row for each region, the totals with their price, warnings, and surplus nodes."""
    parts: list[RenderableType] = []
    if identity is not None:
        parts.append(Paragraph(f"account {identity.account_id} as {identity.arn}", style="dim"))
    parts.extend(Paragraph(warning, prefix="warning: ", prefix_style="yellow") for warning in plan.warnings)
    if plan.launch:
        parts += [_regions(plan), *_totals(plan), *_exposure(plan), *_archives(plan)]
    elif not plan.surplus:
        parts.append(Paragraph(_nothing(plan)))
    parts.extend(_surplus(plan))
    if plan.empty:
        parts.extend(next_commands(("bacalhau-spot list",)))
    return Group(*parts)


def _archives(plan: Plan) -> list[RenderableType]:
    return [
        Paragraph(f"Bacalhau's archive for {arch} must have the SHA-256 sum {sum_}", style="dim")
        for arch, sum_ in plan.archives
    ]


def _nothing(plan: Plan) -> str:
    return f"nothing to do: {plan.present} of {plural(plan.wanted, 'node')} exist"


def _regions(plan: Plan) -> RenderableType:
    counts, money = ("have", "want", "launch"), ("per hour", "saved")
    return TextTable(
        ("region", *counts, "zones", "instance types", "USD per node-hour", *money),
        [_row(region) for region in plan.regions],
        right=(*counts, *money),
        spare=("instance types", "zones", "have", "USD per node-hour", "saved"),
        prose=("instance types",),
        total=_sum(plan) if len(plan.regions) > 1 else None,
    )


def _row(region: RegionPlan) -> tuple[str, ...]:
    counts = (str(region.present), str(region.wanted), str(region.launch))
    if region.estimate is None:
        return (region.region, *counts, "", "", "", "", "")
    zones = " ".join(zone.removeprefix(region.region) for zone in region.zones)
    return (region.region, *counts, zones, first_few(region.types), _price(region), *_money(region.estimate))


def _sum(plan: Plan) -> tuple[str, ...]:
    counts = (str(plan.present), str(plan.wanted), str(plan.launch))
    return ("total", *counts, "", "", "", *_money(plan.estimate))


def _price(region: RegionPlan) -> str:
    if region.low is None or region.high is None:
        return _UNKNOWN_PRICE
    return usd_range(region.low, region.high)


def _money(estimate: Estimate) -> tuple[str, str]:
    total = _UNKNOWN_PRICE if estimate.total is None else _span(estimate.total)
    return total, _saved(estimate.saving)


def _span(price_range: PriceRange) -> str:
    return usd_range(price_range.low, price_range.high)


def _saved(price_range: PriceRange | None) -> str:
    if price_range is None:
        return ""
    low, high = percent(price_range.low), percent(price_range.high)
    return low if low == high else f"{low} to {high}"


def _totals(plan: Plan) -> list[RenderableType]:
    estimate = plan.estimate
    launch = f"launch {plural(plan.launch, 'instance')}"
    if estimate.total is None:
        text = f"{launch}: the price is unknown: AWS lists no price for some pool"
        return [Paragraph(text, style="bold"), *_budget(plan)]
    instances = (
        ""
        if estimate.instances is None
        else f"instances {_span(estimate.instances)} at today's spot prices, "
    )
    return [
        Paragraph(
            f"{launch}: {_span(estimate.total)} an hour, {_span(estimate.total.month)} a month", style="bold"
        ),
        Paragraph(
            f"an hour: {instances}volumes {usd(estimate.volumes_usd)}, public addresses {usd(estimate.addresses_usd)}"
        ),
        Paragraph(_on_demand(plan, estimate)),
        *_budget(plan),
        Paragraph(f"not included in totals and budget: {IN_NO_SUM}", style="dim"),
    ]


def _on_demand(plan: Plan, estimate: Estimate) -> str:
    if estimate.on_demand_total is None:
        why = _no_list(plan) or "not in AWS's price list"
        return f"on demand: unknown, {why}"
    known = f"on demand: {_span(estimate.on_demand_total)} an hour, so {_saved(estimate.saving)} saved"
    return f"{known}; {_no_list(plan)}" if plan.list_prices_missing else known


def _no_list(plan: Plan) -> str:
    if not plan.list_prices_missing:
        return ""
    return f"AWS's price list could not be read ({error_label(plan.list_prices_missing)}); volumes are at list price"


def _budget(plan: Plan) -> list[RenderableType]:
    budget = plan.budget
    if budget is None or not budget.satisfied or budget.total_usd is None:
        return []
    existing = f", {usd(budget.existing_usd)}, of which already running" if budget.existing_usd else ""
    return [
        Paragraph(f"budget: at most {usd(budget.total_usd)} of {usd(budget.usd_per_hour)} an hour{existing}")
    ]


def over_budget(plan: Plan) -> UserError:
    """The refusal of a plan: its possible cost compared with the budget."""
    budget = plan.budget
    if budget is None:
        raise AssertionError("no budget, so nothing is over it")
    if budget.launch_usd is None or budget.existing_usd is None:
        return _no_telling(budget)
    parts = [f"{plural(plan.launch, 'instance')} to launch: up to {usd(budget.launch_usd)} an hour"]
    if budget.existing_usd:
        parts.append(f"{plural(plan.present, 'instance')} there already: {usd(budget.existing_usd)} an hour")
    total = budget.launch_usd + budget.existing_usd
    return UserError(
        f"the cluster may exceed its budget of {usd(budget.usd_per_hour)} an hour; nothing was launched",
        why=f"it may cost {usd(total)} an hour, {usd(total - budget.usd_per_hour)} too much",
        details=tuple(parts),
        hint="lower `nodes`, or raise the budget: `budget_usd_per_hour`, `--budget`",
        exit_code=ExitCode.USAGE,
    )


def _no_telling(budget: Budget) -> UserError:
    """An unknown cost counts as over the budget; the fix depends on what is unknown."""
    say_most = budget.launch_usd is None and budget.existing_usd is not None
    most = (
        "set a maximum price for an instance (`max_price_usd_per_hour`, `--max-price`), or "
        if say_most
        else ""
    )
    return UserError(
        f"cannot check the budget of {usd(budget.usd_per_hour)} an hour; nothing was launched",
        why=f"AWS returned no price for {'some pool' if say_most else 'the pool of a running node'}",
        hint=f"{most}remove the budget: `--budget none`",
        exit_code=ExitCode.USAGE,
    )


def _exposure(plan: Plan) -> list[Paragraph]:
    """The maximum loss from one capacity pool."""
    if plan.exposure is None or not plan.exposure.pools:
        return []
    nodes = plan.launch + plan.present
    limit = plan.exposure.limit
    why = (
        f"max_share_per_pool allows {limit} in each"
        if limit is not None
        else "AWS may put a whole region into one pool; `max_share_per_pool` limits it"
    )
    worst = f"losing one pool may terminate up to {plan.exposure.max_nodes} of {plural(nodes, 'node')}"
    return [Paragraph(f"in up to {plural(plan.exposure.pools, 'capacity pool')}: {worst} ({why})")]


def _surplus(plan: Plan) -> list[Paragraph]:
    if not plan.surplus:
        return []
    counts = Counter(instance.region for instance in plan.surplus)
    where = ", ".join(f"{number} in {region}" for region, number in sorted(counts.items()))
    launched = f", {plan.launch} to launch" if plan.launch else ""
    exist = f"{plural(plan.existing, 'node')} {'exists' if plan.existing == 1 else 'exist'}"
    total = f"{exist}, {plan.wanted} requested{launched}: {len(plan.surplus)} too many ({where})."
    if not plan.remove:
        them = "it" if len(plan.surplus) == 1 else "them"
        return [Paragraph(f"{total} --allow-removal terminates {them}.", "yellow")]
    return [
        Paragraph(f"{total} Terminate:", style="bold"),
        *(
            Paragraph(f"  - {instance.id} {instance.type} in {instance.zone}", style="red")
            for instance in plan.remove
        ),
    ]
