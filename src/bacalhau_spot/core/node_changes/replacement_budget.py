"""The order of a replacement that the budget allows, batch by batch.

Rules:
1. New nodes are launched first if all present nodes and the new ones of a batch fit into the budget.
2. Otherwise the old ones leave first, if the present nodes without the batch, and its new ones, fit.
3. New nodes count with the price of their region's dearest pool. An unknown price fits into no budget.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.node_changes.node_change import batches, replacements_of
from bacalhau_spot.core.pricing.estimate import Budget, current_cost

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

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


def _orders(
    facts: LaunchFacts, plan: Plan, budget: Budget, batch: Sequence[Instance]
) -> tuple[Budget, Budget]:
    missing = len(batch) - len(replacements_of(batch, facts.instances))
    new_first = replace(budget, launch_usd=_launch_usd(plan, batch[: max(0, missing)]))
    leaving = current_cost(
        [instance for instance in batch if instance.alive],
        facts.pool_prices,
        facts.rates,
        root_volume_gib=facts.spec.instance.root_volume_gib,
        public_ip=facts.spec.instance.public_ip,
    )
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
