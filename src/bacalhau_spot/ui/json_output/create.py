"""What `create` and `list` print for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.ui.json_output.cost import exact
from bacalhau_spot.ui.json_output.values import Data, instance_data, pools_data, problem_data

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bacalhau_spot.core.launch.create_result import CreateResult, Listing, RegionResult
    from bacalhau_spot.core.launch.plan import Plan, RegionPlan
    from bacalhau_spot.core.model import Arch
    from bacalhau_spot.core.placement.region_selection import RegionDecision
    from bacalhau_spot.core.pricing.estimate import Budget, Estimate, PriceRange


def plan_data(plan: Plan) -> Data:
    price = plan.usd_per_hour
    return {
        "cluster": plan.cluster,
        "wanted": plan.wanted,
        "present": plan.present,
        "launch": plan.launch,
        "usd_per_hour": None if price is None else {"low": str(price[0]), "high": str(price[1])},
        "estimate": _estimate(plan.estimate),
        "budget": None if plan.budget is None else _budget(plan.budget),
        "regions": [_region_plan(region) for region in plan.regions],
        "archives": archives_data(plan.archives),
        "region_decisions": [_choice(decision) for decision in plan.choices],
        "exposure": None
        if plan.exposure is None
        else {"pools": plan.exposure.pools, "at_most": plan.exposure.max_nodes, "limit": plan.exposure.limit},
        "surplus": [instance.id for instance in plan.surplus],
        "remove": [instance.id for instance in plan.remove],
    }


def archives_data(archives: Iterable[tuple[Arch, str]]) -> list[Data]:
    return [{"arch": str(arch), "sha256": digest} for arch, digest in archives]


def _choice(decision: RegionDecision) -> Data:
    return {
        "region": decision.region,
        "selected": decision.chosen,
        "reason": str(decision.reason),
        "usd_per_hour": None if decision.usd_per_hour is None else str(decision.usd_per_hour),
        "score": decision.score,
        "quota_headroom": decision.quota_headroom,
    }


def _region_plan(region: RegionPlan) -> Data:
    return {
        "region": region.region,
        "wanted": region.wanted,
        "present": region.present,
        "launch": region.launch,
        "estimate": None if region.estimate is None else _estimate(region.estimate),
        "images": [{"id": image.id, "arch": str(image.arch)} for image in region.images],
        "pools": [
            {
                "type": offer.pool.type,
                "zone": offer.pool.zone,
                "arch": str(offer.arch),
                "usd_per_hour": None if offer.usd_per_hour is None else str(offer.usd_per_hour),
            }
            for offer in region.offers
        ],
    }


def _estimate(estimate: Estimate) -> Data:
    return {
        "instances": _span(estimate.instances),
        "volumes_usd_per_hour": exact(estimate.volumes_usd),
        "addresses_usd_per_hour": exact(estimate.addresses_usd),
        "total": _span(estimate.total),
        "on_demand": _span(estimate.on_demand_total),
        "saving": _span(estimate.saving),
    }


def _span(price_range: PriceRange | None) -> Data | None:
    return None if price_range is None else {"low": exact(price_range.low), "high": exact(price_range.high)}


def _budget(budget: Budget) -> Data:
    return {
        "usd_per_hour": exact(budget.usd_per_hour),
        "existing_usd_per_hour": exact(budget.existing_usd),
        "launch_usd_per_hour": exact(budget.launch_usd),
    }


def create_data(result: CreateResult) -> Data:
    return {
        "cluster": result.cluster,
        "wanted": result.wanted,
        "existing": result.existing,
        "requested": result.requested,
        "launched": result.launched,
        "running": result.running,
        "missing": result.missing,
        "interrupted": result.interrupted,
        "removed": list(result.removed),
        "not_removed": list(result.not_removed),
        "resources_created": dict(result.resources_created),
        "pools": pools_data(result.pools),
        "regions": [_region_receipt(region) for region in result.regions],
    }


def _region_receipt(region: RegionResult) -> Data:
    return {
        "region": region.region,
        "requested": region.requested,
        "taken_over": region.extra,
        "reassigned": region.reassigned,
        "launched": list(region.launched),
        "running": len(region.running),
        "zones": region.zones,
        "failed": region.missing,
        "code": region.code,
        "instances": [instance_data(instance) for instance in region.instances],
        "pool_failures": [
            {"type": failure.type, "zone": failure.zone, "code": failure.code, "message": failure.message}
            for failure in region.pool_failures
        ],
        "problem": None if region.problem is None else problem_data(region.problem),
    }


def listing_data(listing: Listing) -> Data:
    return {
        "cluster": listing.cluster,
        "instances": [
            instance_data(instance)
            for instance in sorted(listing.instances, key=lambda one: (one.region, one.id))
        ],
        "others": [
            {"region": resource.region, "kind": resource.kind, "id": resource.id}
            for resource in listing.others
        ],
        "regions_scanned": list(listing.regions_scanned),
        "failed_regions": [problem_data(failure) for failure in listing.failed_regions],
    }
