"""The results of the Python API from the documents of `-o json`."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bacalhau_spot.api.models import (
    CleanupReport,
    ClusterHealth,
    ClusterNode,
    ClusterPlan,
    CostRange,
    FailedCall,
    LaunchReceipt,
    NodeHealth,
    OrchestratorHealth,
    PlannedPool,
    PlannedRegion,
    ProgressEvent,
    TaggedResource,
)
from bacalhau_spot.core.cleanup.deletion_result import DeletionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Both mean that AWS no longer lists the resource.
_DELETED = frozenset({DeletionStatus.DELETED, DeletionStatus.NOT_FOUND})
# Parts of a plan that are changes.
_CHANGES = ("launch", "remove")


def plan_from_output(envelope: Mapping[str, Any]) -> ClusterPlan:
    """Of the output of `create`."""
    plan = envelope["data"]["plan"]
    estimate, expiry = plan["estimate"], plan["expiry"]
    return ClusterPlan(
        cluster=plan["cluster"],
        wanted=plan["wanted"],
        present=plan["present"],
        launch=plan["launch"],
        usd_per_hour=_cost_range(estimate["total"]),
        on_demand_usd_per_hour=_cost_range(estimate["on_demand"]),
        regions=tuple(map(_planned_region, plan["regions"])),
        surplus=tuple(plan["surplus"]),
        remove=tuple(plan["remove"]),
        drifted=tuple(node["id"] for node in plan["drifted"]),
        expires_at=_moment(expiry["expires_at"]) if expiry else None,
        empty=_is_empty(plan),
        warnings=tuple(envelope["warnings"]),
        data=plan,
    )


def receipt_from_output(envelope: Mapping[str, Any]) -> LaunchReceipt:
    """Of the output of `create`; of one that had nothing to do, the plan alone."""
    plan = plan_from_output(envelope)
    receipt = envelope["data"].get("receipt")
    if receipt is None:
        return LaunchReceipt(
            cluster=plan.cluster,
            wanted=plan.wanted,
            running=plan.present,
            missing=0,
            launched=(),
            joined=None,
            not_joined=(),
            removed=(),
            plan=plan,
            warnings=plan.warnings,
        )
    launched = {instance_id for region in receipt["regions"] for instance_id in region["launched"]}
    nodes = (instance for region in receipt["regions"] for instance in region["instances"])
    return LaunchReceipt(
        cluster=receipt["cluster"],
        wanted=receipt["wanted"],
        running=receipt["running"],
        missing=receipt["missing"],
        launched=tuple(_node(instance) for instance in nodes if instance["id"] in launched),
        joined=receipt["joined"],
        not_joined=tuple(receipt["not_joined"]),
        removed=tuple(receipt["removed"]),
        plan=plan,
        warnings=plan.warnings,
        data=receipt,
    )


def health_from_output(envelope: Mapping[str, Any]) -> ClusterHealth:
    """Of the output of `status`."""
    data = envelope["data"]
    total, orchestrator = data["total"], data["orchestrator"]
    return ClusterHealth(
        cluster=data["cluster"],
        taken_at=_time(data["taken_at"]),
        healthy=data["matches_spec"],
        wanted=total["wanted"],
        present=total["present"],
        good=total["good"],
        missing=data["missing"],
        surplus=data["surplus"],
        nodes=tuple(map(_node_health, data["nodes"])),
        stale_nodes=tuple(data["stale_nodes"]),
        orchestrator=OrchestratorHealth(
            **{key: orchestrator[key] for key in ("mode", "api", "address", "version", "text", "hint")}
        ),
        expires_at=_moment(data["expires_at"]),
        failed_regions=_failed(data["failed_regions"]),
        warnings=tuple(envelope["warnings"]),
        data=data,
    )


def report_from_output(envelope: Mapping[str, Any]) -> CleanupReport:
    """Of the output of `destroy` and `nuke`, with or without `--dry-run`."""
    data = envelope["data"]
    outcomes = data.get("outcomes", ())
    return CleanupReport(
        dry_run="to_delete" in data,
        to_delete=_resources(data.get("to_delete", ())),
        deleted=_resources(outcome for outcome in outcomes if outcome["status"] in _DELETED),
        remaining=_resources(data.get("remaining", ())),
        unsupported=_resources(data["unsupported"]),
        kept_buckets=tuple(bucket["bucket"] for bucket in data["results"] if not bucket["deleted"]),
        failed_regions=_failed(data.get("failed_regions", ())),
        warnings=tuple(envelope["warnings"]),
        data=data,
    )


def event_from_output(row: Mapping[str, Any]) -> ProgressEvent:
    """Of a line of `-o ndjson`."""
    values = {key: value for key, value in row.items() if key not in {"event", "at"}}
    return ProgressEvent(name=row["event"], at=_time(row["at"]), values=values)


def _is_empty(plan: Mapping[str, Any]) -> bool:
    groups = any(group["steps"] for group in plan["groups"])
    orchestrator = plan["orchestrator"] is not None and plan["orchestrator"]["steps"]
    expiry = plan["expiry"] is not None and (plan["expiry"]["changed"] or plan["expiry"]["changed_groups"])
    return not any((*(plan[key] for key in _CHANGES), groups, orchestrator, expiry))


def _planned_region(region: Mapping[str, Any]) -> PlannedRegion:
    return PlannedRegion(
        region=region["region"],
        wanted=region["wanted"],
        present=region["present"],
        launch=region["launch"],
        pools=tuple(
            PlannedPool(
                region=region["region"],
                zone=pool["zone"],
                type=pool["type"],
                usd_per_hour=None if pool["usd_per_hour"] is None else Decimal(pool["usd_per_hour"]),
            )
            for pool in region["pools"]
        ),
    )


def _node(instance: Mapping[str, Any]) -> ClusterNode:
    return ClusterNode(
        id=instance["id"],
        region=instance["region"],
        zone=instance["zone"],
        type=instance["type"],
        state=str(instance["state"]),
        launched_at=_time(instance["launched_at"]),
        public_ip=instance["public_ip"],
        private_ip=instance["private_ip"],
        expires_at=_moment(instance["expires_at"]),
    )


def _node_health(node: Mapping[str, Any]) -> NodeHealth:
    diagnosis, member = node["diagnosis"], node["orchestrator_node"]
    return NodeHealth(
        id=node["id"],
        region=node["region"],
        zone=node["zone"],
        type=node["type"],
        state=None if node["state"] is None else str(node["state"]),
        public_ip=node["public_ip"],
        launched_at=_moment(node["launched_at"]),
        diagnosis=str(diagnosis["kind"]),
        severity=str(diagnosis["severity"]),
        text=diagnosis["text"],
        hint=diagnosis["hint"],
        connected=None if member is None else member["connected"],
    )


def _resources(resources: Iterable[Mapping[str, Any]]) -> tuple[TaggedResource, ...]:
    return tuple(
        TaggedResource(**{key: str(resource[key]) for key in ("region", "kind", "id", "name", "state")})
        for resource in resources
    )


def _failed(problems: Sequence[Mapping[str, Any]]) -> tuple[FailedCall, ...]:
    return tuple(FailedCall(**problem) for problem in problems)


def _cost_range(limits: Mapping[str, str] | None) -> CostRange | None:
    return None if limits is None else CostRange(low=Decimal(limits["low"]), high=Decimal(limits["high"]))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else _time(text)
