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
    snapshot = status.snapshot
    failure = snapshot.api_failure
    return {
        "cluster": status.cluster,
        "taken_at": time_text(snapshot.taken_at),
        "matches_spec": status.matches_spec,
        "missing": status.missing,
        "surplus": status.surplus,
        "total": _part(status.total),
        "regions": [
            {"region": region_status.name, **_part(region_status)} for region_status in status.regions
        ],
        "nodes": [_node(node) for node in status.nodes],
        "stale_nodes": [node.id for node in status.stale_nodes],
        "pools": pools_data(status.pools),
        "orchestrator": {
            "api": str(snapshot.api),
            "address": snapshot.address,
            "problem": None if failure is None else problem_data(failure),
        },
        "regions_scanned": list(snapshot.regions_scanned),
        "failed_regions": [problem_data(problem) for problem in snapshot.failed_regions],
        "partial_failures": [problem_data(problem) for problem in snapshot.partial_failures],
    }


def _part(region_status: RegionStatus) -> Data:
    return {
        "wanted": region_status.wanted,
        "present": region_status.present,
        **{str(severity): region_status.count(severity) for severity in Severity},
        "load": _load(region_status.load),
    }


def _node(node: NodeStatus) -> Data:
    observation = node.observation
    instance = observation.instance
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
        "terminated_by": observation.terminated_by or None,
        "checks": {"system": str(observation.checks.system), "instance": str(observation.checks.instance)},
        "spot_request": None
        if observation.spot is None
        else {
            "id": observation.spot.request_id,
            "code": observation.spot.code,
            "since": time_text(observation.spot.updated_at),
        },
        "boot": _boot(observation),
        "orchestrator_node": _member(observation),
        "load": _load(node.load),
        "diagnosis": _verdict(node.diagnosis),
    }


def _boot(observation: NodeObservation) -> Data | None:
    if observation.boot is None:
        return None
    return {
        "step": observation.boot.step,
        "since": _time(observation.boot.step_at),
        "failed": observation.boot.failed,
        "join_error": observation.boot.join_error,
        "commands_failed": observation.boot.commands_failed,
    }


def _member(observation: NodeObservation) -> Data | None:
    node = observation.member
    if node is None:
        return None
    return {
        "id": node.id,
        "connected": node.connected,
        "membership": str(node.membership),
        "engines": list(node.engines),
        "version": node.version,
        "last_heartbeat_at": _time(node.last_heartbeat_at),
        "since": _time(node.since),
        "last_error": node.last_error,
    }


def _verdict(diagnosis: NodeDiagnosis) -> Data:
    return {
        "kind": str(diagnosis.diagnosis),
        "severity": str(diagnosis.severity),
        "text": diagnosis_text(diagnosis),
        "why": diagnosis.reason,
        "seconds": None if diagnosis.time is None else int(diagnosis.time.total_seconds()),
        "hint": diagnosis.hint,
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
