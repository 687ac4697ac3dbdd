"""The order of a replacement that the budget allows, batch by batch.

Rules:
1. New nodes are launched first if all present nodes and the new ones of a batch fit into the budget.
2. Otherwise the old ones leave first, if the present nodes without the batch, and its new ones, fit.
3. New nodes count with the price of their region's dearest pool. An unknown price fits into no budget.
4. Auto Scaling groups cost the same before and after a batch: as many nodes as they may have, in their dearest pools. With new
   nodes first, the old nodes of the batch run outside of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.launch import planner
from bacalhau_spot.core.launch.group_plan import GroupPlan, GroupStep
from bacalhau_spot.core.node_changes.node_change import batches, replacements_of
from bacalhau_spot.core.pricing.estimate import Budget, current_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.model import Instance

CHOSEN: Final = "chosen by --old-first"


@dataclass(frozen=True, slots=True)
class BatchBudget:
    """The cost of the dearest batch, in both orders. None: without a budget, or with nothing to launch."""

    new_first: Budget | None = None
    old_first: Budget | None = None

    @property
    def fits_new_first(self) -> bool:
        return self.new_first is None or self.new_first.satisfied

    @property
    def fits_old_first(self) -> bool:
        return self.old_first is None or self.old_first.satisfied


def batch_budget(facts: LaunchFacts, plan: Plan, old: Sequence[Instance], *, at_once: int) -> BatchBudget:
    """`plan`: of all missing replacements of the old nodes together, with `facts`."""
    if plan.budget is None or not plan.launch:
        return BatchBudget()
    both = [_orders(facts, plan, plan.budget, batch) for batch in batches(old, at_once)]
    return BatchBudget(_dearest([one for one, _ in both]), _dearest([one for _, one in both]))


def group_budget(facts: LaunchFacts, plan: Plan, old: Sequence[Instance], *, at_once: int) -> BatchBudget:
    """`batch_budget` in a self-healing cluster. `plan`: without the launches of the batch."""
    standing = planner.standing_budget(facts, plan)
    if standing is None:
        return BatchBudget()
    costs = [_leaving_usd(facts, batch) for batch in batches(old, at_once)]
    dearest = None if None in costs else max(filter(None, costs), default=Decimal(0))
    both = None if standing.existing_usd is None or dearest is None else standing.existing_usd + dearest
    return BatchBudget(replace(standing, existing_usd=both), standing)


def standing_plan(facts: LaunchFacts, plan: Plan) -> Plan:
    """The plan of the replacements of a self-healing cluster without their launches: the groups keep their numbers.

    Outdated ones get the values of the configuration.
    """
    groups = tuple(
        GroupPlan(
            group.region,
            steps=(GroupStep.UPDATE,) if GroupStep.UPDATE in group.steps else (),
            desired=facts.groups[group.region].desired,
        )
        for group in plan.groups
        if group.region in facts.groups
    )
    return replace(plan, regions=tuple(replace(one, launch=0) for one in plan.regions), groups=groups)


def _leaving_usd(facts: LaunchFacts, batch: Sequence[Instance]) -> Decimal | None:
    """The cost an hour of the batch's living nodes; None: unknown."""
    return current_cost(
        [instance for instance in batch if instance.alive],
        facts.pool_prices,
        facts.rates,
        root_volume_gib=facts.spec.instance.root_volume_gib,
        public_ip=facts.spec.instance.public_ip,
    )


def _orders(
    facts: LaunchFacts, plan: Plan, budget: Budget, batch: Sequence[Instance]
) -> tuple[Budget, Budget]:
    missing = len(batch) - len(replacements_of(batch, facts.instances))
    new_first = replace(budget, launch_usd=_launch_usd(plan, batch[: max(0, missing)]))
    leaving = _leaving_usd(facts, batch)
    kept = None if budget.existing_usd is None or leaving is None else budget.existing_usd - leaving
    return new_first, replace(new_first, existing_usd=kept)


def _launch_usd(plan: Plan, batch: Sequence[Instance]) -> Decimal | None:
    """At most, an hour: in the old node's region, or in the dearest one if nothing is launched there."""
    prices: dict[str, Decimal] = {}
    for region in plan.regions:
        if not region.launch:
            continue
        if region.estimate is None or region.estimate.total is None:
            return None
        prices[region.region] = region.estimate.total.high / region.launch
    dearest = max(prices.values())
    return sum((prices.get(old.region, dearest) for old in batch), start=dearest * 0)


def _dearest(budgets: Sequence[Budget]) -> Budget:
    """An unknown cost is the dearest."""
    return max(budgets, key=lambda one: (one.total_usd is None, one.total_usd or 0))
