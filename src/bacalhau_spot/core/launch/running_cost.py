"""The hourly cost of a cluster after a create, at the prices that the plan was made with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.pricing.estimate import current_cost

if TYPE_CHECKING:
    from decimal import Decimal

    from bacalhau_spot.core.launch.create_result import CreateResult
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.pricing.list_prices import Prices


def running_cost(facts: LaunchFacts, plan: Plan, result: CreateResult) -> Decimal | None:
    """In USD an hour, the orchestrator included; None while one of the nodes has no known price, or has not been seen."""
    if any(region.not_visible for region in result.regions):
        return None
    nodes_usd = current_cost(
        _nodes(facts, result),
        {**facts.pool_prices, **_offered_prices(facts)},
        facts.rates,
        root_volume_gib=facts.spec.instance.root_volume_gib,
        public_ip=facts.spec.instance.public_ip,
    )
    cost = plan.orchestrator_cost
    if nodes_usd is None or cost is None:
        return nodes_usd
    return None if cost.total_usd is None else nodes_usd + cost.total_usd


def _nodes(facts: LaunchFacts, result: CreateResult) -> list[Instance]:
    """The nodes from before that stay, and the new ones."""
    gone = {*result.removed, *result.leaving}
    nodes = {node.id: node for node in facts.instances if node.alive and node.id not in gone}
    nodes |= {node.id: node for region in result.regions for node in region.instances if node.alive}
    return list(nodes.values())


def _offered_prices(facts: LaunchFacts) -> Prices:
    """Of the regions with a launch."""
    return {
        (region, offer.pool.type, offer.pool.zone): offer.usd_per_hour
        for region, market in (facts.markets or {}).items()
        for offer in market.offers
        if offer.usd_per_hour is not None
    }
