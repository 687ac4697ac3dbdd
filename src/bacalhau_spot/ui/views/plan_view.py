"""The plan: launches by region, and their cost."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.launch.pool_avoidance import avoidance_notes
from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorStep
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui.formatting import (
    IN_NO_SUM,
    capitalized,
    comma_list,
    error_label,
    first_few,
    percent,
    plural,
    usd,
    usd_range,
)
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, next_commands
from bacalhau_spot.ui.views.drift_view import drift_lines
from bacalhau_spot.ui.views.expiry_view import expiry_lines
from bacalhau_spot.ui.views.groups_view import group_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from rich.console import RenderableType

    from bacalhau_spot.core.launch.plan import Plan, RegionPlan
    from bacalhau_spot.core.pricing.estimate import Budget, Estimate, PriceRange

_UNKNOWN_PRICE = "unknown"


def plan_view(plan: Plan, *, changing: str = "") -> Group:
    """A row for each region, the totals with their price, warnings, and surplus nodes.

    `changing`: about another command that is changing the cluster, and may have launched the surplus nodes.
    """
    parts: list[RenderableType] = []
    parts.extend(Paragraph(warning, prefix="warning: ", prefix_style="yellow") for warning in plan.warnings)
    if plan.launch:
        parts += [_regions(plan), *_orchestrator(plan), *_totals(plan), *_exposure(plan)]
        parts += [*_avoidance(plan), *_archives(plan)]
    elif plan.orchestrator is not None and not plan.orchestrator.empty:
        parts += [*_orchestrator(plan), *(_totals(plan) if plan.adds_cost else [])]
    elif not (plan.surplus or plan.changes_existing):
        parts.append(Paragraph(_nothing(plan)))
    parts.extend(group_steps(plan))
    parts.extend(expiry_lines(plan.expiry, idle_ttl_s=plan.idle_ttl_s, healed=plan.heals))
    parts.extend(_surplus(plan, changing))
    parts.extend(drift_lines(plan.drifted, nodes=plan.existing))
    if plan.empty:
        parts.extend(next_commands(("bacalhau-spot list",)))
    return Group(*parts)


def _orchestrator(plan: Plan) -> list[RenderableType]:
    """`orchestrator: t3.small in us-east-1: $0.0291 an hour (instance $0.0208, volumes $0.0033, public address $0.005)`"""
    cost, steps = plan.orchestrator_cost, plan.orchestrator
    if cost is None or steps is None:
        return []
    total = _UNKNOWN_PRICE if cost.total_usd is None else f"{usd(cost.total_usd)} an hour"
    parts = [
        f"instance {_UNKNOWN_PRICE if cost.instance_usd is None else usd(cost.instance_usd)}",
        f"volumes {usd(cost.volumes_usd)}",
        f"public address {usd(cost.address_usd)}",
    ]
    state = "" if cost.adds else "; it exists already, and is not part of the sums below"
    lines = [
        Paragraph(
            f"{cost.instance_type} in {cost.region}: {total} ({', '.join(parts)}){state}",
            prefix="orchestrator: ",
        )
    ]
    if not steps.empty and (not steps.launches or steps.replaces):
        publishes = steps.steps == (OrchestratorStep.RECONCILE,)
        prefix = "to change: " if publishes else "to repair: "
        lines.append(Paragraph(comma_list(list(steps.steps)), prefix=prefix))
    return [*lines]


def _archives(plan: Plan) -> list[RenderableType]:
    return [
        Paragraph(f"Bacalhau's archive for {arch} must have the SHA-256 sum {sum_}", style="dim")
        for arch, sum_ in plan.archives
    ]


def _nothing(plan: Plan) -> str:
    starting = f", AWS is launching {plan.replaced}" if plan.replaced else ""
    exist = f"{plan.present - plan.replaced} of {plural(plan.wanted, 'node')} exist{starting}"
    return f"nothing to launch: {exist}" if plan.drifted else f"nothing to do: {exist}"


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
    return ("total", *counts, "", "", "", *_money(plan.nodes_estimate))


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
    launch = f"launch {_launches(plan)}"
    if estimate.total is None:
        text = f"{launch}: the price is unknown: {_unpriced(plan)}"
        return [Paragraph(text, style="bold"), *_budget(plan)]
    instances = (
        "" if estimate.instances is None else f"instances {_span(estimate.instances)} {_pricing(plan)}, "
    )
    return [
        Paragraph(
            f"{launch}: {_span(estimate.total)} an hour, {_span(estimate.total.month)} a month", style="bold"
        ),
        Paragraph(
            f"an hour: {instances}volumes {usd(estimate.volumes_usd)}, public addresses {usd(estimate.addresses_usd)}"
        ),
        *([Paragraph(_on_demand(plan, estimate))] if plan.launch else []),
        *_budget(plan),
        Paragraph(f"not included in totals and budget: {IN_NO_SUM}", style="dim"),
    ]


def _launches(plan: Plan) -> str:
    """`the orchestrator and 3 instances`"""
    orchestrator = plan.orchestrator_cost is not None and plan.orchestrator_cost.adds
    parts = ["the orchestrator"] if orchestrator else []
    if plan.launch:
        parts.append(plural(plan.launch, "instance"))
    return " and ".join(parts)


def _unpriced(plan: Plan) -> str:
    cost = plan.orchestrator_cost
    if cost is not None and cost.added.total is None:
        return f"AWS's price list has no price for {cost.instance_type} in {cost.region}"
    return "AWS lists no price for some pool"


def _pricing(plan: Plan) -> str:
    """The kinds of prices in the sum of the instances."""
    adds = plan.orchestrator_cost is not None and plan.orchestrator_cost.adds
    if not plan.launch:
        return "on demand"
    return "at today's spot prices, the orchestrator on demand" if adds else "at today's spot prices"


def _on_demand(plan: Plan, estimate: Estimate) -> str:
    if estimate.on_demand_total is None:
        why = _no_list(plan) or "not in AWS's price list"
        return f"on demand: unknown, {why}"
    known = f"on demand: {_span(estimate.on_demand_total)} an hour, so {_saved(estimate.saving)} saved"
    return f"{known}; {_no_list(plan)}" if plan.list_prices_missing else known


def _no_list(plan: Plan) -> str:
    if not plan.list_prices_missing:
        return ""
    return f"AWS's price list could not be read ({error_label(plan.list_prices_missing)}); {_at_list_price(plan)} at list price"


def _at_list_price(plan: Plan) -> str:
    return "volumes and the orchestrator are" if plan.orchestrator_cost is not None else "volumes are"


def _budget(plan: Plan) -> list[RenderableType]:
    budget = plan.budget
    if budget is None or not budget.satisfied or budget.total_usd is None:
        return []
    existing = f"; its existing part costs {usd(budget.existing_usd)}" if budget.existing_usd else ""
    return [
        Paragraph(
            f"budget: the cluster costs at most {usd(budget.total_usd)} of {usd(budget.usd_per_hour)} an hour{existing}"
        )
    ]


def over_budget(plan: Plan, *, hint: str = "") -> UserError:
    """The refusal of a plan: its possible cost compared with the budget. `hint`: of a command without `--budget`."""
    if plan.budget is None:
        raise AssertionError("no budget, so nothing is over it")

    def parts(launch_usd: Decimal, existing_usd: Decimal) -> tuple[str, ...]:
        launches = f"{_counted(plan)}: up to {usd(launch_usd)} an hour"
        if not existing_usd:
            return (launches,)
        exists = plan.orchestrator_cost is not None and bool(plan.orchestrator_cost.existing_usd)
        there = " and ".join([plural(plan.present, "instance"), *(["the orchestrator"] if exists else [])])
        return launches, f"{there} there already: {usd(existing_usd)} an hour"

    return budget_error(
        plan.budget,
        parts=parts,
        hint=hint or "lower `nodes`, or raise the budget: `budget_usd_per_hour`, `--budget`",
        done="nothing was launched",
        options=not hint,
    )


def budget_error(
    budget: Budget,
    *,
    parts: Callable[[Decimal, Decimal], tuple[str, ...]],
    hint: str,
    done: str,
    options: bool,
) -> UserError:
    """The refusal. `parts`: the lines about the launches and about the existing nodes, from their costs.

    `options`: the command has `--budget` and `--max-price`.
    """
    if budget.launch_usd is None or budget.existing_usd is None:
        return _unknown_cost(budget, done=done, options=options)
    total = budget.launch_usd + budget.existing_usd
    return UserError(
        f"the cluster may exceed its budget of {usd(budget.usd_per_hour)} an hour; {done}",
        why=f"it may cost {usd(total)} an hour, {usd(total - budget.usd_per_hour)} too much",
        details=parts(budget.launch_usd, budget.existing_usd),
        hint=hint,
        exit_code=ExitCode.USAGE,
    )


def _counted(plan: Plan) -> str:
    """The instances of the maximum cost: with Auto Scaling groups also those that AWS launches ahead of a termination."""
    most = sum(group.most for group in plan.groups if group.heals)
    if most:
        return f"{plural(most, 'instance')} of the Auto Scaling groups, at most"
    return f"{_launches(plan)} to launch"


def _unknown_cost(budget: Budget, *, done: str, options: bool) -> UserError:
    """An unknown cost counts as over the budget; the fix depends on what is unknown."""
    say_most = budget.launch_usd is None and budget.existing_usd is not None
    most = (
        f"set a maximum price for an instance (`max_price_usd_per_hour`{', `--max-price`' if options else ''}), or "
        if say_most
        else ""
    )
    return UserError(
        f"cannot check the budget of {usd(budget.usd_per_hour)} an hour; {done}",
        why=f"AWS returned no price for {'some pool' if say_most else 'the pool of a running node'}",
        hint=f"{most}remove the budget: {'`--budget none`' if options else '`budget_usd_per_hour`'}",
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


def _avoidance(plan: Plan) -> list[Paragraph]:
    return [Paragraph(note) for note in avoidance_notes(plan.avoidances)]


def begun_replacements(ids: Sequence[str]) -> str:
    """About old nodes that live alongside the new nodes in their place."""
    return f"`replace` has begun with {first_few(list(ids))}, and continues when you run it again"


def _surplus_hint(plan: Plan, changing: str) -> str:
    if changing:
        return f"{capitalized(changing)}."
    them = "it" if len(plan.surplus) == 1 else "them"
    begun = f"{capitalized(begun_replacements(plan.being_replaced))}. " if plan.being_replaced else ""
    return f"{begun}--allow-removal drains and terminates {them}."


def _surplus(plan: Plan, changing: str) -> list[Paragraph]:
    if not plan.surplus:
        return []
    counts = Counter(instance.region for instance in plan.surplus)
    where = ", ".join(f"{number} in {region}" for region, number in sorted(counts.items()))
    launched = f", {plan.launch} to launch" if plan.launch else ""
    exist = f"{plural(plan.existing, 'node')} {'exists' if plan.existing == 1 else 'exist'}"
    total = f"{exist}, {plan.wanted} requested{launched}: {len(plan.surplus)} too many ({where})."
    if changing or not plan.remove:
        return [Paragraph(f"{total} {_surplus_hint(plan, changing)}", "yellow")]
    return [
        Paragraph(f"{total} Drain and terminate:", style="bold"),
        *(
            Paragraph(f"  - {instance.id} {instance.type} in {instance.zone}", style="red")
            for instance in plan.remove
        ),
        *_departure(plan),
    ]


def _departure(plan: Plan) -> list[Paragraph]:
    """The price, the time for jobs, the order, and the nodes that cannot drain."""
    usd_removed = _UNKNOWN_PRICE if plan.removed_usd is None else f"{usd(plan.removed_usd)} an hour"
    parts = [
        Paragraph(f"spot prices of the nodes to terminate: {usd_removed}"),
        Paragraph(f"running jobs may end within {plan.grace_s} s; then they restart on other nodes"),
    ]
    if plan.launch:
        later = f"the nodes to terminate leave first: {plan.old_first}"
        parts.append(Paragraph(later if plan.old_first else "the new nodes join first"))
    if plan.cannot_drain:
        parts.append(cannot_drain_warning([one.id for one in plan.cannot_drain]))
    return parts


def cannot_drain_warning(ids: Sequence[str]) -> Paragraph:
    text = f"terminated at once, because the nodes cannot read their tags: {first_few(ids)}"
    return Paragraph(f"warning: {text}", style="yellow")
