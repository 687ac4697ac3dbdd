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
        "region_decisions": [_choice(choice) for choice in plan.choices],
        "exposure": None
        if plan.exposure is None
        else {"pools": plan.exposure.pools, "at_most": plan.exposure.max_nodes, "limit": plan.exposure.limit},
        "surplus": [one.id for one in plan.surplus],
        "remove": [one.id for one in plan.remove],
    }


def archives_data(archives: Iterable[tuple[Arch, str]]) -> list[Data]:
    return [{"arch": str(arch), "sha256": digest} for arch, digest in archives]


def _choice(choice: RegionDecision) -> Data:
    return {
        "region": choice.region,
        "selected": choice.chosen,
        "reason": str(choice.reason),
        "usd_per_hour": None if choice.usd_per_hour is None else str(choice.usd_per_hour),
        "score": choice.score,
        "quota_headroom": choice.quota_headroom,
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


def _estimate(one: Estimate) -> Data:
    return {
        "instances": _span(one.instances),
        "volumes_usd_per_hour": exact(one.volumes_usd),
        "addresses_usd_per_hour": exact(one.addresses_usd),
        "total": _span(one.total),
        "on_demand": _span(one.on_demand_total),
        "saving": _span(one.saving),
    }


def _span(span: PriceRange | None) -> Data | None:
    return None if span is None else {"low": exact(span.low), "high": exact(span.high)}


def _budget(one: Budget) -> Data:
    return {
        "usd_per_hour": exact(one.usd_per_hour),
        "existing_usd_per_hour": exact(one.existing_usd),
        "launch_usd_per_hour": exact(one.launch_usd),
    }


def create_data(receipt: CreateResult) -> Data:
    return {
        "cluster": receipt.cluster,
        "wanted": receipt.wanted,
        "existing": receipt.existing,
        "requested": receipt.requested,
        "launched": receipt.launched,
        "running": receipt.running,
        "missing": receipt.missing,
        "interrupted": receipt.interrupted,
        "removed": list(receipt.removed),
        "not_removed": list(receipt.not_removed),
        "resources_created": dict(receipt.resources_created),
        "pools": pools_data(receipt.pools),
        "regions": [_region_receipt(region) for region in receipt.regions],
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
        "instances": [instance_data(one) for one in region.instances],
        "pool_failures": [
            {"type": one.type, "zone": one.zone, "code": one.code, "message": one.message}
            for one in region.pool_failures
        ],
        "problem": None if region.problem is None else problem_data(region.problem),
    }


def listing_data(listing: Listing) -> Data:
    return {
        "cluster": listing.cluster,
        "instances": [
            instance_data(one) for one in sorted(listing.instances, key=lambda one: (one.region, one.id))
        ],
        "others": [{"region": one.region, "kind": one.kind, "id": one.id} for one in listing.others],
        "regions_scanned": list(listing.regions_scanned),
        "failed_regions": [problem_data(problem) for problem in listing.failed_regions],
    }
