"""The output of `status` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypedDict

from bacalhau_spot.core.health.boot_console import STEPS
from bacalhau_spot.core.health.diagnosis import Diagnosis, Severity
from bacalhau_spot.core.health.observation import ApiAvailability, StatusCheck
from bacalhau_spot.core.health.orchestrator_status import OrchestratorVerdict
from bacalhau_spot.core.history.interruptions import pool_counts
from bacalhau_spot.core.model import OrchestratorMode, State
from bacalhau_spot.core.orchestrator.orchestrator_nodes import Membership
from bacalhau_spot.ui.diagnosis_text import diagnosis_text, orchestrator_text
from bacalhau_spot.ui.json_output.history import InterruptedPoolCountOutput, interrupted_pools_data
from bacalhau_spot.ui.json_output.values import (
    ConnectionTime,
    CostSummaryOutput,
    Count,
    DriftedNodes,
    GroupOutput,
    InstanceOutput,
    Keywords,
    PoolsOutput,
    ProblemOutput,
    Time,
    cost_summary_data,
    drift_data,
    group_data,
    instance_data,
    optional_time,
    pools_data,
    problem_data,
    time_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.health.cluster_status import ClusterStatus, Load, NodeStatus, RegionStatus
    from bacalhau_spot.core.health.diagnosis import NodeDiagnosis
    from bacalhau_spot.core.health.observation import NodeObservation
    from bacalhau_spot.core.history.node_records import NodeRecord
    from bacalhau_spot.core.orchestrator.orchestrator_nodes import Capacity


class CapacityOutput(TypedDict):
    cpu: Annotated[float, Keywords(minimum=0)]
    """cores"""
    memory_bytes: Count
    disk_bytes: Count
    gpus: Count


class LoadOutput(TypedDict):
    """The use of the connected nodes by jobs."""

    used: CapacityOutput
    total: CapacityOutput


class NodeCountsOutput(TypedDict):
    wanted: Count | None
    """null if the configuration has no number"""
    present: Count
    """running or starting, without draining nodes"""
    good: Count
    waiting: Count
    """will join without an action"""
    draining: Count
    unknown: Count
    bad: Count
    gone: Count
    load: LoadOutput | None


class _Region(TypedDict):
    region: str


class RegionStatusOutput(_Region, NodeCountsOutput):
    pass


class ChecksOutput(TypedDict):
    """EC2's status checks."""

    system: StatusCheck
    instance: StatusCheck


class SpotRequestOutput(TypedDict):
    id: str
    code: str
    """AWS's status code"""
    since: Time


class BootOutput(TypedDict):
    """From the node's console."""

    step: Annotated[str, Keywords(enum=["", *STEPS])]
    since: Time | None
    failed: str
    """why first boot failed"""
    join_error: str
    """Bacalhau's message about the failed connection"""
    commands_failed: str


class OrchestratorNodeOutput(TypedDict):
    id: str
    connected: bool
    membership: Membership
    engines: list[str]
    version: str
    last_heartbeat_at: Time | None
    since: ConnectionTime | None
    last_error: str


class DiagnosisOutput(TypedDict):
    kind: Diagnosis
    """see [Verdicts](status.md#verdicts)"""
    severity: Severity
    text: str
    why: str
    seconds: Count | None
    """ago, for, or until, as in `text`"""
    hint: str


class NodeStatusOutput(TypedDict):
    id: str
    """of the instance; without one, the node's name in the orchestrator"""
    region: str
    zone: str
    type: str | None
    state: State | None
    launched_at: Time | None
    public_ip: str | None
    private_ip: str | None
    termination_reason: str | None
    """AWS's code"""
    terminated_by: str | None
    """the command on this machine that terminated it, from the audit log; null: another machine, AWS or a user"""
    checks: ChecksOutput
    spot_request: SpotRequestOutput | None
    boot: BootOutput | None
    """null if the console was not read"""
    orchestrator_node: OrchestratorNodeOutput | None
    """null if the orchestrator does not list the node, or without a query"""
    load: LoadOutput | None
    diagnosis: DiagnosisOutput


class OrchestratorOutput(TypedDict):
    mode: OrchestratorMode
    api: ApiAvailability
    address: str
    """empty without an API"""
    version: str
    """empty without an answer"""
    started_at: Time | None
    """the last start of Bacalhau, by the orchestrator's clock"""
    instance: InstanceOutput | None
    """of a managed orchestrator"""
    verdict: OrchestratorVerdict | None
    """see [Orchestrator](status.md#orchestrator); null without an orchestrator"""
    severity: Severity | None
    text: str
    hint: str
    problem: ProblemOutput | None
    """why the API did not answer, or why its credentials could not be read"""


class LastInterruptionOutput(TypedDict):
    id: str
    """of the instance"""
    region: str
    zone: str
    type: str
    at: Time
    """the notice, or the interruption if the notice has no record"""
    reason: str | None
    """AWS's code; null before the end"""


class InterruptionsOutput(TypedDict):
    """In the last 24 hours, from AWS and this machine's audit log. [History](history.md) has each of them."""

    count: Count
    pools: list[InterruptedPoolCountOutput]
    """the most interruptions first"""
    last: LastInterruptionOutput | None


class StatusOutput(TypedDict):
    """With `--watch -o ndjson`: one envelope per refresh, as `{"event": "result", …}`."""

    cluster: str
    taken_at: Time
    matches_spec: bool
    """the configured number of nodes runs, and every node is good"""
    missing: Count | None
    """null with `--cluster`"""
    surplus: Count | None
    """null with `--cluster`"""
    expires_at: Time | None
    """the end of the cluster's lifetime; null without one"""
    cost: CostSummaryOutput | None
    """null if nothing costs"""
    total: NodeCountsOutput
    regions: list[RegionStatusOutput]
    nodes: list[NodeStatusOutput]
    stale_nodes: list[str]
    """ids of nodes that the orchestrator lists and whose instances no longer exist"""
    drifted: DriftedNodes
    groups: list[GroupOutput]
    """the Auto Scaling groups"""
    pools: PoolsOutput
    interruptions: InterruptionsOutput
    orchestrator: OrchestratorOutput
    regions_scanned: list[str]
    failed_regions: list[ProblemOutput]
    """regions that could not be scanned"""
    partial_failures: list[ProblemOutput]
    """failed queries about the nodes of a region"""


def status_data(status: ClusterStatus) -> StatusOutput:
    snapshot = status.snapshot
    return {
        "cluster": status.cluster,
        "taken_at": time_text(snapshot.taken_at),
        "matches_spec": status.matches_spec,
        "missing": status.missing,
        "surplus": status.surplus,
        "expires_at": optional_time(status.expiry.at),
        "cost": cost_summary_data(status.cost),
        "total": _counts(status.total),
        "regions": [
            {"region": region_status.name, **_counts(region_status)} for region_status in status.regions
        ],
        "nodes": [_node(node) for node in status.nodes],
        "stale_nodes": [node.id for node in status.stale_nodes],
        "drifted": drift_data(status.drifted),
        "groups": [group_data(state) for state in snapshot.groups],
        "pools": pools_data(status.pools),
        "interruptions": _interruptions(status.interruptions),
        "orchestrator": _orchestrator(status),
        "regions_scanned": list(snapshot.regions_scanned),
        "failed_regions": [problem_data(problem) for problem in snapshot.failed_regions],
        "partial_failures": [problem_data(problem) for problem in snapshot.partial_failures],
    }


def _interruptions(records: Sequence[NodeRecord]) -> InterruptionsOutput:
    return {
        "count": len(records),
        "pools": interrupted_pools_data(pool_counts(records)),
        "last": _last_interruption(records[-1]) if records else None,
    }


def _last_interruption(record: NodeRecord) -> LastInterruptionOutput:
    usage = record.usage
    return {
        "id": usage.id,
        "region": usage.region,
        "zone": usage.zone,
        "type": usage.type,
        "at": time_text(record.lost_at or usage.started_at),
        "reason": usage.reason or None,
    }


def _orchestrator(status: ClusterStatus) -> OrchestratorOutput:
    snapshot, orchestrator = status.snapshot, status.orchestrator
    failure = snapshot.api_failure
    instance = orchestrator.instance if orchestrator else None
    return {
        "mode": orchestrator.mode if orchestrator else OrchestratorMode.NONE,
        "api": snapshot.api,
        "address": snapshot.address,
        "version": snapshot.listing.version,
        "started_at": optional_time(snapshot.listing.started_at),
        "instance": None if instance is None else instance_data(instance),
        "verdict": orchestrator.verdict if orchestrator else None,
        "severity": orchestrator.severity if orchestrator else None,
        "text": orchestrator_text(orchestrator) if orchestrator else "",
        "hint": orchestrator.hint if orchestrator else "",
        "problem": None if failure is None else problem_data(failure),
    }


def _counts(region_status: RegionStatus) -> NodeCountsOutput:
    return {
        "wanted": region_status.wanted,
        "present": region_status.present,
        "good": region_status.count(Severity.GOOD),
        "waiting": region_status.waiting,
        "draining": region_status.draining,
        "unknown": region_status.count(Severity.UNKNOWN),
        "bad": region_status.count(Severity.BAD),
        "gone": region_status.count(Severity.GONE),
        "load": _load(region_status.load),
    }


def _node(node: NodeStatus) -> NodeStatusOutput:
    observation = node.observation
    instance = observation.instance
    return {
        "id": node.id,
        "region": node.region,
        "zone": node.zone,
        "type": instance.type if instance else None,
        "state": instance.state if instance else None,
        "launched_at": time_text(instance.launched_at) if instance else None,
        "public_ip": instance.public_ip if instance else None,
        "private_ip": instance.private_ip if instance else None,
        "termination_reason": instance.termination_reason if instance else None,
        "terminated_by": observation.terminated_by or None,
        "checks": {"system": observation.checks.system, "instance": observation.checks.instance},
        "spot_request": _spot_request(observation),
        "boot": _boot(observation),
        "orchestrator_node": _orchestrator_node(observation),
        "load": _load(node.load),
        "diagnosis": _diagnosis(node.diagnosis),
    }


def _spot_request(observation: NodeObservation) -> SpotRequestOutput | None:
    spot = observation.spot
    if spot is None:
        return None
    return {"id": spot.request_id, "code": spot.code, "since": time_text(spot.updated_at)}


def _boot(observation: NodeObservation) -> BootOutput | None:
    boot = observation.boot
    if boot is None:
        return None
    return {
        "step": boot.step,
        "since": optional_time(boot.step_at),
        "failed": boot.failed,
        "join_error": boot.join_error,
        "commands_failed": boot.commands_failed,
    }


def _orchestrator_node(observation: NodeObservation) -> OrchestratorNodeOutput | None:
    node = observation.member
    if node is None:
        return None
    return {
        "id": node.id,
        "connected": node.connected,
        "membership": node.membership,
        "engines": list(node.engines),
        "version": node.version,
        "last_heartbeat_at": optional_time(node.last_heartbeat_at),
        "since": optional_time(node.since),
        "last_error": node.last_error,
    }


def _diagnosis(diagnosis: NodeDiagnosis) -> DiagnosisOutput:
    return {
        "kind": diagnosis.diagnosis,
        "severity": diagnosis.severity,
        "text": diagnosis_text(diagnosis),
        "why": diagnosis.reason,
        "seconds": None if diagnosis.time is None else int(diagnosis.time.total_seconds()),
        "hint": diagnosis.hint,
    }


def _load(load: Load | None) -> LoadOutput | None:
    if load is None:
        return None
    return {"used": _capacity(load.used), "total": _capacity(load.total)}


def _capacity(capacity: Capacity) -> CapacityOutput:
    return {
        "cpu": float(capacity.cpu),
        "memory_bytes": capacity.memory_bytes,
        "disk_bytes": capacity.disk_bytes,
        "gpus": capacity.gpus,
    }
