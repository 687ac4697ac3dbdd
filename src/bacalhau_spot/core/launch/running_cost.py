"""The hourly cost of a cluster after a create, at the prices that the plan was made with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.pricing.estimate import current_cost

if TYPE_CHECKING:
    from decimal import Decimal

    from bacalhau_spot.core.launch.create_result import CreateResult
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.launch.plan import Plan


def running_cost(facts: LaunchFacts, plan: Plan, result: CreateResult) -> Decimal | None:
    """In USD an hour, the orchestrator included; None while one of the nodes has no known price."""
    gone = {*result.removed, *result.leaving}
    before = [node for node in facts.instances if node.alive and node.id not in gone]
    new = [node for region in result.regions for node in region.running]
    nodes = {node.id: node for node in (*before, *new)}.values()
    offers = {
        (region, offer.pool.type, offer.pool.zone): offer.usd_per_hour
        for region, market in (facts.markets or {}).items()
        for offer in market.offers
        if offer.usd_per_hour is not None
    }
    nodes_usd = current_cost(
        nodes,
        {**facts.pool_prices, **offers},
        facts.rates,
        root_volume_gib=facts.spec.instance.root_volume_gib,
        public_ip=facts.spec.instance.public_ip,
    )
    cost = plan.orchestrator_cost
    if nodes_usd is None or cost is None:
        return nodes_usd
    return None if cost.total_usd is None else nodes_usd + cost.total_usd
