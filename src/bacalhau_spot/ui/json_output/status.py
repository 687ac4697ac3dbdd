"""What `status` prints for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.health.diagnosis import Severity
from bacalhau_spot.ui.diagnosis_text import diagnosis_text
from bacalhau_spot.ui.json_output.values import Data, pools_data, problem_data, time_text

if TYPE_CHECKING:
    from datetime import datetime

    from bacalhau_spot.core.health.cluster_status import ClusterStatus, Load, NodeStatus, RegionStatus
    from bacalhau_spot.core.health.diagnosis import NodeDiagnosis
    from bacalhau_spot.core.health.observation import NodeObservation
    from bacalhau_spot.core.orchestrator.orchestrator_nodes import Capacity


def status_data(status: ClusterStatus) -> Data:
    sight = status.snapshot
    refusal = sight.api_failure
    return {
        "cluster": status.cluster,
        "taken_at": time_text(sight.taken_at),
        "matches_spec": status.matches_spec,
        "missing": status.missing,
        "surplus": status.surplus,
        "total": _part(status.total),
        "regions": [{"region": part.name, **_part(part)} for part in status.regions],
        "nodes": [_node(node) for node in status.nodes],
        "stale_nodes": [node.id for node in status.stale_nodes],
        "pools": pools_data(status.pools),
        "orchestrator": {
            "api": str(sight.api),
            "address": sight.address,
            "problem": None if refusal is None else problem_data(refusal),
        },
        "regions_scanned": list(sight.regions_scanned),
        "failed_regions": [problem_data(problem) for problem in sight.failed_regions],
        "partial_failures": [problem_data(problem) for problem in sight.partial_failures],
    }


def _part(part: RegionStatus) -> Data:
    return {
        "wanted": part.wanted,
        "present": part.present,
        **{str(severity): part.count(severity) for severity in Severity},
        "load": _load(part.load),
    }


def _node(node: NodeStatus) -> Data:
    it = node.observation
    instance = it.instance
    return {
        "id": node.id,
        "region": node.region,
        "zone": node.zone,
        "type": instance.type if instance else None,
        "state": str(instance.state) if instance else None,
        "launched_at": time_text(instance.launched_at) if instance else None,
        "public_ip": instance.public_ip if instance else None,
        "private_ip": instance.private_ip if instance else None,
        "termination_reason": instance.termination_reason if instance else None,
        "terminated_by": it.terminated_by or None,
        "checks": {"system": str(it.checks.system), "instance": str(it.checks.instance)},
        "spot_request": None
        if it.spot is None
        else {"id": it.spot.request_id, "code": it.spot.code, "since": time_text(it.spot.updated_at)},
        "boot": _boot(it),
        "orchestrator_node": _member(it),
        "load": _load(node.load),
        "diagnosis": _verdict(node.diagnosis),
    }


def _boot(it: NodeObservation) -> Data | None:
    if it.boot is None:
        return None
    return {
        "step": it.boot.step,
        "since": _time(it.boot.step_at),
        "failed": it.boot.failed,
        "join_error": it.boot.join_error,
        "commands_failed": it.boot.commands_failed,
    }


def _member(it: NodeObservation) -> Data | None:
    member = it.member
    if member is None:
        return None
    return {
        "id": member.id,
        "connected": member.connected,
        "membership": str(member.membership),
        "engines": list(member.engines),
        "version": member.version,
        "last_heartbeat_at": _time(member.last_heartbeat_at),
        "since": _time(member.since),
        "last_error": member.last_error,
    }


def _verdict(verdict: NodeDiagnosis) -> Data:
    return {
        "kind": str(verdict.diagnosis),
        "severity": str(verdict.severity),
        "text": diagnosis_text(verdict),
        "why": verdict.reason,
        "seconds": None if verdict.time is None else int(verdict.time.total_seconds()),
        "hint": verdict.hint,
    }


def _load(load: Load | None) -> Data | None:
    if load is None:
        return None
    return {"used": _capacity(load.used), "total": _capacity(load.total), "running": load.running}


def _capacity(capacity: Capacity) -> Data:
    return {
        "cpu": float(capacity.cpu),
        "memory_bytes": capacity.memory_bytes,
        "disk_bytes": capacity.disk_bytes,
        "gpus": capacity.gpus,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)
