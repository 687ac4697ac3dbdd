"""The output of `create` and `list` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypedDict

from bacalhau_spot.core.launch.group_plan import GroupStep
from bacalhau_spot.core.lifecycle.drain_result import DrainEnd
from bacalhau_spot.core.model import Arch
from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorStep
from bacalhau_spot.core.placement.region_selection import RegionReason
from bacalhau_spot.ui.json_output.values import (
    Amount,
    ArchiveOutput,
    CostSummaryOutput,
    Count,
    DriftedNodeOutput,
    DriftedNodes,
    GroupOutput,
    InstanceOutput,
    Keywords,
    PoolsOutput,
    PriceRangeOutput,
    ProblemOutput,
    SignedAmount,
    Time,
    cost_summary_data,
    drift_data,
    exact,
    group_data,
    instance_data,
    optional_time,
    pools_data,
    problem_data,
    time_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bacalhau_spot.core.clusters.listing import Listing
    from bacalhau_spot.core.launch.create_result import CreateResult, RegionResult
    from bacalhau_spot.core.launch.group_plan import GroupPlan
    from bacalhau_spot.core.launch.plan import Plan, PoolExposure, RegionPlan
    from bacalhau_spot.core.launch.pool_avoidance import InterruptedPool
    from bacalhau_spot.core.lifecycle.drain_result import DrainedNode
    from bacalhau_spot.core.lifecycle.expiry import ExpiryPlan
    from bacalhau_spot.core.placement.region_selection import RegionDecision
    from bacalhau_spot.core.pricing.estimate import Budget, Estimate, PriceRange


class SavingOutput(TypedDict):
    low: SignedAmount
    high: SignedAmount


class EstimateOutput(TypedDict):
    """The cost of the launches; of a plan, the new parts of a managed orchestrator included."""

    instances: PriceRangeOutput | None
    """an hour, from the cheapest to the most expensive pools; null if unknown"""
    volumes_usd_per_hour: Amount
    """US dollars"""
    addresses_usd_per_hour: Amount
    """US dollars"""
    total: PriceRangeOutput | None
    """an hour, the sum"""
    on_demand: PriceRangeOutput | None
    """an hour, the sum with on-demand instances; null if unknown"""
    saving: SavingOutput | None
    """the saved fraction of it, lowest and highest"""


class BudgetOutput(TypedDict):
    usd_per_hour: Amount
    """US dollars, the limit"""
    existing_usd_per_hour: Amount | None
    """US dollars for what exists; null if unknown"""
    launch_usd_per_hour: Amount | None
    """US dollars, the most that the launches cost; null if unknown"""


class ImageOutput(TypedDict):
    id: str
    arch: Arch


class PoolOutput(TypedDict):
    """A capacity pool."""

    type: str
    """instance type"""
    zone: str
    arch: Arch
    usd_per_hour: Amount | None
    """US dollars"""


class RegionPlanOutput(TypedDict):
    region: str
    wanted: Count
    present: Count
    launch: Count
    estimate: EstimateOutput | None
    images: list[ImageOutput]
    pools: list[PoolOutput]


class RegionDecisionOutput(TypedDict):
    region: str
    selected: bool
    reason: RegionReason
    """`present`: the cluster has nodes in it; `left`: the score is low, and no better region was left"""
    usd_per_hour: Amount | None
    """US dollars, the typical price of a node now"""
    score: Annotated[int, Keywords(minimum=1, maximum=10)] | None
    """AWS's placement score; null if unknown"""
    quota_headroom: Count | None
    """the number of additional nodes within the spot quota; null if unknown"""


class ExposureOutput(TypedDict):
    pools: Count
    """capacity pools with nodes after the launches, at most"""
    at_most: Count
    """nodes in one pool, at most"""
    limit: Count | None
    """the limit from `max_share_per_pool`; null: AWS decides"""


class OrchestratorPlanOutput(TypedDict):
    """A managed orchestrator after the plan."""

    region: str
    instance_type: str
    steps: list[OrchestratorStep]
    """the parts that are created or changed, in this order; empty if it works"""
    instance_usd_per_hour: Amount | None
    """US dollars, on demand; null if unknown"""
    volumes_usd_per_hour: Amount
    """US dollars, the root and the data volume"""
    address_usd_per_hour: Amount
    """US dollars, the Elastic IP address"""
    total_usd_per_hour: Amount | None
    """US dollars; null if unknown"""
    added_usd_per_hour: Amount | None
    """US dollars, the part that the plan adds, which `estimate` includes; null if unknown"""


class InterruptedPoolOutput(TypedDict):
    """A capacity pool in which EC2 interrupted nodes of the cluster in the last two hours."""

    type: str
    """instance type"""
    zone: str
    interrupted_at: Time
    """the last interruption"""


class PlannedExpiryOutput(TypedDict):
    """The end of the cluster's lifetime after the launches."""

    expires_at: Time | None
    """null if it was removed"""
    before: Time | None
    """of the existing instances; null without one"""
    changed: list[str]
    """ids of existing instances that get this end"""
    changed_groups: list[str]
    """regions of existing Auto Scaling groups that get this end"""


class GroupPlanOutput(TypedDict):
    """An Auto Scaling group of the plan."""

    region: str
    steps: list[GroupStep]
    """the changes, in this order; empty if the group stays as it is"""
    desired: Count
    """nodes, after the plan"""
    at_most: Count
    """instances at once: AWS launches replacements before it terminates"""
    attach: list[str]
    """ids of running instances that become members"""
    detach: list[str]
    """ids of instances that leave the group and keep running"""


class PlanOutput(TypedDict):
    cluster: str
    wanted: Count
    present: Count
    launch: Count
    usd_per_hour: PriceRangeOutput | None
    """for the instances of all nodes to launch; null if the price of a pool is unknown"""
    orchestrator: OrchestratorPlanOutput | None
    """null without a managed orchestrator"""
    estimate: EstimateOutput
    budget: BudgetOutput | None
    """null without a budget or a launch"""
    regions: list[RegionPlanOutput]
    archives: list[ArchiveOutput]
    """the required checksum of Bacalhau's archive on new nodes; empty without launches or with `verify_archive: false`"""
    region_decisions: list[RegionDecisionOutput]
    """the result for each region with `regions: auto`; otherwise empty"""
    avoided_pools: list[InterruptedPoolOutput]
    """recently interrupted pools, which the launches use only if the others have no capacity"""
    not_avoided_pools: list[InterruptedPoolOutput]
    """recently interrupted pools in regions whose other pools cannot hold the nodes, or cost over 50 % more"""
    exposure: ExposureOutput | None
    """the effect of the loss of one capacity pool after the launches"""
    expiry: PlannedExpiryOutput | None
    """null for a cluster without a lifetime"""
    idle_ttl_s: Count | None
    """the longest time without a job, which `reconcile` enforces; null without one"""
    groups: list[GroupPlanOutput]
    """the Auto Scaling groups before or after the plan"""
    surplus: list[str]
    """ids of surplus instances"""
    being_replaced: list[str]
    """ids of surplus instances with which `replace` has begun"""
    remove: list[str]
    """ids of the surplus instances to drain and terminate"""
    grace_s: Count
    """seconds for their running jobs"""
    old_first: str
    """why they leave before the launches; empty if they do not"""
    drifted: list[DriftedNodeOutput]
    """nodes that differ from the configuration, and stay as they are"""


class PoolFailureOutput(TypedDict):
    type: str
    zone: str
    code: str
    message: str


class RegionReceiptOutput(TypedDict):
    region: str
    requested: Count
    taken_over: Count
    """nodes from other regions"""
    reassigned: Count
    """nodes to other regions"""
    launched: list[str]
    """instance ids"""
    running: Count
    zones: dict[str, Count]
    """running nodes per zone"""
    failed: Count
    code: str | None
    """AWS's error code for the missing nodes"""
    healing: Count
    """missing nodes that the Auto Scaling group goes on trying to launch"""
    instances: list[InstanceOutput]
    pool_failures: list[PoolFailureOutput]
    problem: ProblemOutput | None


class DrainedNodeOutput(TypedDict):
    id: str
    region: str
    end: DrainEnd
    seconds: float
    """from the begin of the drain until the node had left; of one that has not, until the end of the command"""


class ReceiptOutput(TypedDict):
    cluster: str
    wanted: Count
    existing: Count
    """nodes before the launches"""
    requested: Count
    launched: Count
    running: Count
    missing: Count
    interrupted: bool
    joined: int | None
    not_joined: list[str]
    elapsed_s: float | None
    """from the confirmation until the end of the wait"""
    usd_per_hour: Amount | None
    """of the whole cluster at the plan's prices; null: unknown"""
    removed: list[str]
    """ids of terminated instances"""
    leaving: list[str]
    """ids of instances that end without another command"""
    not_removed: list[str]
    """ids of surplus instances that stay"""
    drained: list[DrainedNodeOutput]
    """the surplus nodes, and how their drains ended"""
    resources_created: dict[str, Count]
    """kind → number, without instances"""
    pools: PoolsOutput
    regions: list[RegionReceiptOutput]


class CreatePlanOutput(TypedDict):
    """With `--dry-run`, and if there was nothing to do."""

    plan: PlanOutput


class CreateOutput(CreatePlanOutput):
    """After launches."""

    receipt: ReceiptOutput


class OtherResourceOutput(TypedDict):
    region: str
    kind: str
    id: str


class ListOutput(TypedDict):
    cluster: str
    instances: list[InstanceOutput]
    """nodes"""
    orchestrator: InstanceOutput | None
    """the managed orchestrator; null without one"""
    expires_at: Time | None
    """the end of the cluster's lifetime: the latest of its running instances; null without one"""
    cost: CostSummaryOutput | None
    """null if nothing costs"""
    groups: list[GroupOutput]
    """the Auto Scaling groups"""
    others: list[OtherResourceOutput]
    """all other resources of EC2; roles, parameters and buckets are listed by `destroy` and `nuke`"""
    drifted: DriftedNodes
    regions_scanned: list[str]
    failed_regions: list[ProblemOutput]
    """regions that could not be scanned"""


def plan_data(plan: Plan) -> PlanOutput:
    price = plan.usd_per_hour
    return {
        "cluster": plan.cluster,
        "wanted": plan.wanted,
        "present": plan.present,
        "launch": plan.launch,
        "usd_per_hour": None if price is None else {"low": str(price[0]), "high": str(price[1])},
        "orchestrator": _orchestrator_plan(plan),
        "estimate": _estimate(plan.estimate),
        "budget": None if plan.budget is None else _budget(plan.budget),
        "regions": [_region_plan(region) for region in plan.regions],
        "archives": archives_data(plan.archives),
        "region_decisions": [_decision(decision) for decision in plan.choices],
        "avoided_pools": _interrupted_pools(part.avoided for part in plan.avoidances.values()),
        "not_avoided_pools": _interrupted_pools(part.not_avoided for part in plan.avoidances.values()),
        "exposure": _exposure(plan.exposure),
        "expiry": _expiry(plan.expiry),
        "idle_ttl_s": plan.idle_ttl_s,
        "groups": [_group_plan(group) for group in plan.groups],
        "surplus": [instance.id for instance in plan.surplus],
        "being_replaced": list(plan.being_replaced),
        "remove": [instance.id for instance in plan.remove],
        "grace_s": plan.grace_s,
        "old_first": plan.old_first,
        "drifted": drift_data(plan.drifted),
    }


def _exposure(exposure: PoolExposure | None) -> ExposureOutput | None:
    if exposure is None:
        return None
    return {"pools": exposure.pools, "at_most": exposure.max_nodes, "limit": exposure.limit}


def _interrupted_pools(regions: Iterable[Sequence[InterruptedPool]]) -> list[InterruptedPoolOutput]:
    return [
        {
            "type": found.pool.type,
            "zone": found.pool.zone,
            "interrupted_at": time_text(found.interrupted_at),
        }
        for pools in regions
        for found in pools
    ]


def _expiry(planned: ExpiryPlan | None) -> PlannedExpiryOutput | None:
    if planned is None or not planned.value:
        return None
    return {
        "expires_at": optional_time(planned.at),
        "before": optional_time(planned.before.at),
        "changed": [instance.id for instance in planned.retag],
        "changed_groups": [group.region for group in planned.groups],
    }


def _group_plan(group: GroupPlan) -> GroupPlanOutput:
    return {
        "region": group.region,
        "steps": list(group.steps),
        "desired": group.desired,
        "at_most": group.most,
        "attach": list(group.attach),
        "detach": list(group.detach),
    }


def _orchestrator_plan(plan: Plan) -> OrchestratorPlanOutput | None:
    cost = plan.orchestrator_cost
    if cost is None:
        return None
    added = cost.added.total
    return {
        "region": cost.region,
        "instance_type": cost.instance_type,
        "steps": list(plan.orchestrator.steps) if plan.orchestrator else [],
        "instance_usd_per_hour": exact(cost.instance_usd),
        "volumes_usd_per_hour": exact(cost.volumes_usd),
        "address_usd_per_hour": exact(cost.address_usd),
        "total_usd_per_hour": exact(cost.total_usd),
        "added_usd_per_hour": None if added is None else exact(added.high),
    }


def archives_data(archives: Iterable[tuple[Arch, str]]) -> list[ArchiveOutput]:
    return [{"arch": arch, "sha256": digest} for arch, digest in archives]


def _decision(decision: RegionDecision) -> RegionDecisionOutput:
    return {
        "region": decision.region,
        "selected": decision.chosen,
        "reason": decision.reason,
        "usd_per_hour": None if decision.usd_per_hour is None else str(decision.usd_per_hour),
        "score": decision.score,
        "quota_headroom": decision.quota_headroom,
    }


def _region_plan(region: RegionPlan) -> RegionPlanOutput:
    return {
        "region": region.region,
        "wanted": region.wanted,
        "present": region.present,
        "launch": region.launch,
        "estimate": None if region.estimate is None else _estimate(region.estimate),
        "images": [{"id": image.id, "arch": image.arch} for image in region.images],
        "pools": [
            {
                "type": offer.pool.type,
                "zone": offer.pool.zone,
                "arch": offer.arch,
                "usd_per_hour": None if offer.usd_per_hour is None else str(offer.usd_per_hour),
            }
            for offer in region.offers
        ],
    }


def _estimate(estimate: Estimate) -> EstimateOutput:
    return {
        "instances": _price_range(estimate.instances),
        "volumes_usd_per_hour": exact(estimate.volumes_usd),
        "addresses_usd_per_hour": exact(estimate.addresses_usd),
        "total": _price_range(estimate.total),
        "on_demand": _price_range(estimate.on_demand_total),
        "saving": None if estimate.saving is None else _saving(estimate.saving),
    }


def _price_range(price_range: PriceRange | None) -> PriceRangeOutput | None:
    return None if price_range is None else {"low": exact(price_range.low), "high": exact(price_range.high)}


def _saving(saving: PriceRange) -> SavingOutput:
    return {"low": exact(saving.low), "high": exact(saving.high)}


def _budget(budget: Budget) -> BudgetOutput:
    return {
        "usd_per_hour": exact(budget.usd_per_hour),
        "existing_usd_per_hour": exact(budget.existing_usd),
        "launch_usd_per_hour": exact(budget.launch_usd),
    }


def drained_data(node: DrainedNode) -> DrainedNodeOutput:
    return {
        "id": node.instance.id,
        "region": node.instance.region,
        "end": node.end,
        "seconds": round(node.seconds, 1),
    }


def create_data(result: CreateResult) -> ReceiptOutput:
    return {
        "cluster": result.cluster,
        "wanted": result.wanted,
        "existing": result.existing,
        "requested": result.requested,
        "launched": result.launched,
        "running": result.running,
        "missing": result.missing,
        "interrupted": result.interrupted,
        "joined": result.joined,
        "not_joined": list(result.not_joined),
        "elapsed_s": None if result.elapsed_s is None else round(result.elapsed_s, 1),
        "usd_per_hour": exact(result.usd_per_hour),
        "removed": list(result.removed),
        "leaving": list(result.leaving),
        "not_removed": list(result.not_removed),
        "drained": [drained_data(node) for node in (result.drain.nodes if result.drain else ())],
        "resources_created": dict(result.resources_created),
        "pools": pools_data(result.pools),
        "regions": [_region_receipt(region) for region in result.regions],
    }


def _region_receipt(region: RegionResult) -> RegionReceiptOutput:
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
        "healing": region.healing,
        "instances": [instance_data(instance) for instance in region.instances],
        "pool_failures": [
            {"type": failure.type, "zone": failure.zone, "code": failure.code, "message": failure.message}
            for failure in region.pool_failures
        ],
        "problem": None if region.problem is None else problem_data(region.problem),
    }


def listing_data(listing: Listing) -> ListOutput:
    return {
        "cluster": listing.cluster,
        "instances": [
            instance_data(instance)
            for instance in sorted(listing.instances, key=lambda instance: (instance.region, instance.id))
        ],
        "orchestrator": None if listing.orchestrator is None else instance_data(listing.orchestrator),
        "expires_at": optional_time(listing.expiry.at),
        "cost": cost_summary_data(listing.cost),
        "groups": [group_data(state) for state in listing.groups],
        "others": [
            {"region": resource.region, "kind": resource.kind, "id": resource.id}
            for resource in listing.others
        ],
        "drifted": drift_data(listing.drifted),
        "regions_scanned": list(listing.regions_scanned),
        "failed_regions": [problem_data(failure) for failure in listing.failed_regions],
    }
