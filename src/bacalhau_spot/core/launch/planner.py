"""The plan of a `create`: one pure function of the facts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from bacalhau_spot.core.launch.group_plan import MAX_TYPES, group_plans
from bacalhau_spot.core.launch.group_types import left_out_types
from bacalhau_spot.core.launch.node_spec import drifted_nodes
from bacalhau_spot.core.launch.plan import Plan, build_plan
from bacalhau_spot.core.launch.plan_warnings import plan_warnings
from bacalhau_spot.core.launch.pool_avoidance import pool_avoidance
from bacalhau_spot.core.launch.pool_limits import max_per_pool, nodes_per_pool, pool_exposure
from bacalhau_spot.core.launch.refusals import Refusal, refusal
from bacalhau_spot.core.launch.surplus import leave_first, surplus_nodes
from bacalhau_spot.core.lifecycle.drain_result import GRACE_S
from bacalhau_spot.core.lifecycle.superseded import superseded
from bacalhau_spot.core.pricing.estimate import Budget, current_cost, estimate_nodes, sum_estimates
from bacalhau_spot.core.pricing.orchestrator_cost import orchestrator_cost

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.launch.node_spec import DriftedNode
    from bacalhau_spot.core.launch.plan import PoolExposure
    from bacalhau_spot.core.launch.pool_avoidance import PoolAvoidance
    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.pricing.estimate import Estimate


def plan(facts: LaunchFacts, *, allow_removal: bool = False, grace_s: int = GRACE_S) -> Plan | Refusal:
    """The launches and removals with their price and warnings; or the first reason not to launch.

    A plan over the budget is still a plan, so that its price can be shown (`Plan.over_budget`). `grace_s`: of the drains of
    removed nodes.
    """
    refused = refusal(facts)
    if refused is not None:
        return refused
    spec, markets = facts.spec, facts.markets or {}
    orchestrator = facts.orchestrator_plan
    demand = replace(facts.demand, removable=surplus_nodes(facts, facts.pool_prices)[0])
    planned = replace(
        build_plan(
            spec,
            demand,
            markets,
            allow_removal=allow_removal,
            warnings=(*plan_warnings(facts), *_left_out(facts)),
            rates=facts.rates,
            decisions=facts.decisions or (),
            avoidances=_avoidances(facts),
        ),
        orchestrator=orchestrator,
        orchestrator_cost=orchestrator_cost(orchestrator, facts.rates) if orchestrator else None,
        grace_s=grace_s,
    )
    removed = {instance.id for instance in planned.remove}
    planned = replace(
        planned,
        replaced=sum(facts.replaced.values()),
        being_replaced=tuple(one.id for one in demand.removable if one.id in superseded(facts.instances)),
        groups=group_plans(
            spec, facts.groups, facts.counted, demand, replaced=facts.replaced, removed=removed
        ),
    )
    budget = _budget(facts, planned)
    return replace(
        planned,
        drifted=_drifted(facts, planned),
        list_prices_missing=facts.rates_failure.code if facts.rates_failure else "",
        expiry=facts.expiry_plan,
        idle_ttl_s=spec.idle_ttl_s,
        exposure=_exposure(facts, planned),
        archives=spec.bacalhau.sha256 if markets else (),
        budget=budget,
        removed_usd=_spot_prices(facts, planned.remove),
        old_first=leave_first(budget, planned, leaving_usd=_cost_of(facts, planned.remove)),
    )


def _avoidances(facts: LaunchFacts) -> dict[str, PoolAvoidance]:
    """By region; none in groups, whose pools AWS alone chooses."""
    launch = {} if facts.spec.self_heal else facts.demand.launch
    return {
        name: region_avoidance(facts, name, launch=count)
        for name, count in launch.items()
        if name in (facts.markets or {})
    }


def region_avoidance(facts: LaunchFacts, region: str, *, launch: int) -> PoolAvoidance:
    """The pools that a launch of this many nodes in the region avoids. The region has a market."""
    return pool_avoidance(
        facts.spec,
        (facts.markets or {})[region],
        facts.interrupted_pools,
        launch=launch,
        counts=nodes_per_pool(facts.instances),
    )


def _drifted(facts: LaunchFacts, planned: Plan) -> tuple[DriftedNode, ...]:
    """Without the nodes that the plan removes."""
    removed = {instance.id for instance in planned.remove}
    return drifted_nodes(facts.spec, [node for node in facts.instances if node.id not in removed])


def _left_out(facts: LaunchFacts) -> tuple[str, ...]:
    """Instance types beyond AWS's limits for a group."""
    if not facts.spec.self_heal:
        return ()
    left = {region: left_out_types(market.offers) for region, market in sorted((facts.markets or {}).items())}
    return tuple(
        f"the Auto Scaling group in {region} launches the {MAX_TYPES} cheapest instance types at most, and not "
        f"{', '.join(types)}"
        for region, types in left.items()
        if types
    )


def _exposure(facts: LaunchFacts, planned: Plan) -> PoolExposure:
    """Without the nodes that the plan removes."""
    counts = Counter(nodes_per_pool(facts.instances))
    counts.subtract(nodes_per_pool(planned.remove))
    return pool_exposure(planned.regions, counts, limit=max_per_pool(facts.spec))


def _budget(facts: LaunchFacts, planned: Plan) -> Budget | None:
    """None without a budget, or with nothing to launch."""
    return standing_budget(facts, planned) if planned.adds_cost or planned.group_changes else None


def standing_budget(facts: LaunchFacts, planned: Plan) -> Budget | None:
    """Of the cluster after the plan, also if that changes nothing; None without a budget.

    A managed orchestrator is part of the cluster's cost.
    """
    spec = facts.spec
    if spec.budget_usd_per_hour is None:
        return None
    groups = _groups_cost(facts, planned)
    others = replace(
        planned, regions=tuple(region for region in planned.regions if region.region not in groups)
    )
    total = sum_estimates([others.estimate, *groups.values()]).total
    return Budget(
        usd_per_hour=spec.budget_usd_per_hour,
        existing_usd=_with_orchestrator(_existing_cost(facts, planned, apart=groups), planned),
        launch_usd=None if total is None else total.high,
    )


def _existing_cost(facts: LaunchFacts, planned: Plan, *, apart: Collection[str]) -> Decimal | None:
    """Of the nodes that stay, without those in the regions `apart`; None if unknown."""
    removed = {instance.id for instance in planned.remove}
    return _cost_of(
        facts,
        [
            instance
            for instance in facts.instances
            if instance.alive and instance.id not in removed and instance.region not in apart
        ],
    )


def _spot_prices(facts: LaunchFacts, nodes: Sequence[Instance]) -> Decimal | None:
    """An hour; None if one is unknown."""
    prices = [facts.pool_prices.get((node.region, node.type, node.zone)) for node in nodes]
    known = [price for price in prices if price is not None]
    return sum(known, start=Decimal(0)) if len(known) == len(prices) else None


def _cost_of(facts: LaunchFacts, nodes: Sequence[Instance]) -> Decimal | None:
    """An hour; None if unknown."""
    return current_cost(
        nodes,
        facts.pool_prices,
        facts.rates,
        root_volume_gib=facts.spec.instance.root_volume_gib,
        public_ip=facts.spec.instance.public_ip,
    )


def _groups_cost(facts: LaunchFacts, planned: Plan) -> dict[str, Estimate]:
    """By region, as many nodes as its group may have at once, because it may replace each of them in any pool."""
    markets = facts.markets or {}
    return {
        group.region: estimate_nodes(
            facts.spec, group.region, group.most, markets[group.region].offers, facts.rates
        )
        for group in planned.groups
        if group.heals and group.region in markets
    }


def _with_orchestrator(nodes_usd: Decimal | None, planned: Plan) -> Decimal | None:
    """The cost of the existing nodes and of the orchestrator's existing parts; None if one of them is unknown."""
    cost = planned.orchestrator_cost
    if nodes_usd is None or cost is None:
        return nodes_usd
    return None if cost.existing_usd is None else nodes_usd + cost.existing_usd
