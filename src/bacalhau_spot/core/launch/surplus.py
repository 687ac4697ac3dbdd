"""The nodes beyond the configuration's number: which ones leave, and in which order with the launches.

Rules:
1. A surplus node leaves in this order: being replaced, drifted, the dearest pool, the newest.
2. New nodes are launched first if the budget allows all nodes at once; otherwise the surplus nodes leave first.
3. A surplus node stays for each new node that was not launched, or has not joined.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.launch.node_spec import drifted_nodes
from bacalhau_spot.core.lifecycle.drain_result import without_draining
from bacalhau_spot.core.lifecycle.superseded import superseded

if TYPE_CHECKING:
    from collections.abc import Collection

    from bacalhau_spot.core.launch.create_result import CreateResult
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.pricing.estimate import Budget
    from bacalhau_spot.core.pricing.list_prices import Prices

NOT_BOTH: Final = "the budget does not allow both at once"


def surplus_nodes(facts: LaunchFacts, prices: Prices) -> tuple[tuple[Instance, ...], dict[str, str]]:
    """The nodes beyond the configuration's number, by rule 1, and the reasons by id. `prices`: of their pools, if known."""
    spec = facts.spec
    counts = Counter(instance.region for instance in facts.demand.removable)
    drifted = {node.instance.id for node in drifted_nodes(spec, facts.counted)}

    begun = superseded(facts.counted)

    def order(instance: Instance) -> tuple[bool, bool, Decimal, float, str]:
        usd = prices.get((instance.region, instance.type, instance.zone), Decimal(0))
        newest_first = -instance.launched_at.timestamp()
        return instance.id not in begun, instance.id not in drifted, -usd, newest_first, instance.id

    present = [instance for instance in without_draining(facts.counted) if instance.alive]
    chosen: list[Instance] = []
    for region, count in counts.items():
        chosen += sorted((one for one in present if one.region == region), key=order)[:count]
    return tuple(chosen), {one.id: "drifted" if one.id in drifted else "" for one in chosen}


def leave_first(budget: Budget | None, plan: Plan, *, leaving_usd: Decimal | None) -> str:
    """Why the surplus nodes leave before the launches; empty if they do not.

    `budget`: of the plan, without these nodes; `leaving_usd`: their cost an hour, None if unknown.
    """
    if budget is None or not plan.remove or not plan.launch:
        return ""
    existing = budget.existing_usd
    both = None if existing is None or leaving_usd is None else existing + leaving_usd
    return "" if replace(budget, existing_usd=both).satisfied else NOT_BOTH


def nodes_to_keep(result: CreateResult) -> int:
    """How many surplus nodes stay after the launches, by rule 3."""
    return result.missing + len(result.not_joined)


def keeping_regions(plan: Plan, regions: Collection[str]) -> Plan:
    """The plan without the departures in these regions, whose groups keep their numbers."""
    if not regions:
        return plan
    kept = Counter(instance.region for instance in plan.remove if instance.region in regions)
    groups = tuple(
        replace(group, steps=(), desired=group.desired + kept[group.region])
        if group.heals and group.region in kept
        else group
        for group in plan.groups
    )
    remove = tuple(instance for instance in plan.remove if instance.region not in kept)
    return replace(plan, remove=remove, groups=groups)
