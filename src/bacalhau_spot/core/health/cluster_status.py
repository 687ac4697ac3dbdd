"""The health of the cluster, from the diagnoses of its nodes, compared with the configuration.

Rules:
1. Present nodes are running or pending. Missing and surplus nodes are counted as in `create`: with `spread: failover` a
   node that runs in another region is not missing.
2. The cluster matches when no node is missing or surplus and every node is good. Without an orchestrator API, a node of
   unknown state does not count against it.
3. A definite difference decides the exit code before a failed scan.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.classifier import Category, classify, most_severe
from bacalhau_spot.core.health.diagnosis import Diagnosis, NodeDiagnosis, Severity, diagnose
from bacalhau_spot.core.health.observation import ApiAvailability, NodeObservation, StatusChecks
from bacalhau_spot.core.health.orchestrator_status import OrchestratorObservation, orchestrator_status
from bacalhau_spot.core.launch.group_plan import counted
from bacalhau_spot.core.lifecycle.drain_result import is_draining, without_draining
from bacalhau_spot.core.lifecycle.expiry import cluster_expiry
from bacalhau_spot.core.model import OrchestratorMode, OrchestratorSpec
from bacalhau_spot.core.orchestrator.managed_state import newest_usable
from bacalhau_spot.core.orchestrator.orchestrator_nodes import Capacity, NodeListing
from bacalhau_spot.core.orchestrator.prune import is_cluster_node, region_of
from bacalhau_spot.core.placement.demand import node_demand
from bacalhau_spot.core.placement.pool_distribution import PoolDistribution, pool_distribution
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.core.health.boot_console import BootProgress
    from bacalhau_spot.core.health.observation import SpotStatus
    from bacalhau_spot.core.health.orchestrator_status import OrchestratorStatus
    from bacalhau_spot.core.history.node_records import NodeRecord
    from bacalhau_spot.core.launch.node_spec import DriftedNode
    from bacalhau_spot.core.lifecycle.expiry import ClusterExpiry
    from bacalhau_spot.core.model import ClusterSpec, Instance, SpotRequest, Timeouts
    from bacalhau_spot.core.orchestrator.orchestrator_nodes import OrchestratorNode
    from bacalhau_spot.core.placement.demand import Demand
    from bacalhau_spot.core.pricing.cost_summary import CostSummary
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.scaling_group.groups import GroupState

_NOT_CHECKED = StatusChecks()


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """The data of one check. `failed_regions`: regions, and `partial_failures`: parts of regions, that could not be
    scanned.

    `api_failure`: why the orchestrator did not answer; `address`: its address, empty without an API.
    """

    taken_at: datetime
    instances: tuple[Instance, ...] = ()  # of nodes
    orchestrators: tuple[Instance, ...] = ()  # of the managed orchestrator, in any state
    checks: Mapping[str, StatusChecks] | None = None  # by instance
    spots: tuple[SpotStatus, ...] = ()
    requests: tuple[SpotRequest, ...] = ()  # the spot requests behind `spots`
    boots: Mapping[str, BootProgress] | None = None  # by instance, of those whose console was read
    listing: NodeListing = field(default_factory=NodeListing)
    api: ApiAvailability = ApiAvailability.NOT_CONFIGURED
    address: str = ""
    api_failure: ApiFailure | None = None
    regions_scanned: tuple[str, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    partial_failures: tuple[ApiFailure, ...] = ()
    groups: tuple[GroupState, ...] = ()  # Auto Scaling groups


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node: the observation and its diagnosis."""

    observation: NodeObservation
    diagnosis: NodeDiagnosis

    @property
    def id(self) -> str:
        return self.observation.id

    @property
    def region(self) -> str:
        if self.observation.instance is not None:
            return self.observation.instance.region
        return region_of(self.observation.member) if self.observation.member else ""

    @property
    def zone(self) -> str:
        if self.observation.instance is not None:
            return self.observation.instance.zone
        return self.observation.member.labels.get("zone", "") if self.observation.member else ""

    @property
    def healthy(self) -> bool:
        return self.diagnosis.severity is Severity.GOOD

    @property
    def leaving(self) -> bool:
        """Whether the node drains."""
        return self.observation.instance is not None and is_draining(self.observation.instance)

    @property
    def terminated(self) -> bool:
        """Terminated or shutting down, and still listed by AWS."""
        return self.observation.instance is not None and self.diagnosis.severity is Severity.GONE

    @property
    def ended_at(self) -> datetime | None:
        return self.observation.ended_at

    @property
    def settled(self) -> bool:
        """The state cannot improve by waiting."""
        unknowable = (
            self.observation.api is ApiAvailability.NOT_CONFIGURED
            and self.diagnosis.severity is Severity.UNKNOWN
        )
        return self.healthy or unknowable

    @property
    def load(self) -> Load | None:
        """None without data from the orchestrator."""
        node = self.observation.member
        if node is None or not node.connected or not self.observation.alive:
            return None
        return Load(used=_subtract(node.total, node.free), total=node.total)


@dataclass(frozen=True, slots=True)
class Load:
    """Resources in use by jobs, of those that nodes have."""

    used: Capacity
    total: Capacity


@dataclass(frozen=True, slots=True)
class RegionStatus:
    """A region, or all of them. `wanted` None: not configured."""

    name: str
    wanted: int | None
    nodes: tuple[NodeStatus, ...] = ()

    @property
    def present(self) -> int:
        """Without draining nodes, as in the plan of `create`."""
        return sum(node.observation.alive and not node.leaving for node in self.nodes)

    def count(self, *severities: Severity) -> int:
        return sum(node.diagnosis.severity in severities for node in self.nodes)

    @property
    def joined(self) -> int:
        return self.count(Severity.GOOD) - self.alone

    @property
    def draining(self) -> int:
        """Without overdue ones, which are bad."""
        return sum(node.diagnosis.diagnosis is Diagnosis.DRAINING for node in self.nodes)

    @property
    def waiting(self) -> int:
        """Nodes that will join without an action."""
        return self.count(Severity.WAITING) - self.draining

    @property
    def alone(self) -> int:
        """Nodes that were launched without an orchestrator."""
        return sum(node.diagnosis.diagnosis is Diagnosis.ALONE for node in self.nodes)

    @property
    def load(self) -> Load | None:
        loads = [node.load for node in self.nodes if node.load is not None]
        if not loads:
            return None
        return Load(
            used=_sum(load.used for load in loads),
            total=_sum(load.total for load in loads),
        )


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """The result of a check. `missing` and `surplus` are None for a cluster that is not the configuration's."""

    cluster: str
    snapshot: ClusterSnapshot
    nodes: tuple[NodeStatus, ...]
    wanted: Mapping[str, int] | None = None  # per region
    wanted_total: int | None = None
    missing: int | None = None
    surplus: int | None = None
    orchestrator: OrchestratorStatus | None = None  # None: the configuration has none
    configured_version: str = ""  # of Bacalhau; empty for another cluster than the configuration's
    drifted: tuple[DriftedNode, ...] = ()  # of the configuration's cluster
    interruptions: tuple[NodeRecord, ...] = ()  # in the last 24 hours, the newest last
    cost: CostSummary | None = None  # None: nothing costs, or it was not asked

    @property
    def total(self) -> RegionStatus:
        return RegionStatus("total", self.wanted_total, self.nodes)

    @property
    def regions(self) -> tuple[RegionStatus, ...]:
        """Those that have nodes or should have."""
        wanted = self.wanted or {}
        names = {node.region for node in self.nodes if node.region} | {
            name for name in wanted if wanted[name]
        }
        return tuple(
            RegionStatus(
                name,
                wanted.get(name, 0) if self.wanted is not None else None,
                tuple(node for node in self.nodes if node.region == name),
            )
            for name in sorted(names)
        )

    @property
    def pools(self) -> PoolDistribution:
        return pool_distribution(without_draining(self.snapshot.instances))

    @property
    def expiry(self) -> ClusterExpiry:
        """Of all instances, the orchestrator's included, and of the Auto Scaling groups."""
        return cluster_expiry(
            (*self.snapshot.instances, *self.snapshot.orchestrators),
            [state.group for state in self.snapshot.groups],
        )

    @property
    def stale_nodes(self) -> tuple[NodeStatus, ...]:
        """Nodes that the orchestrator lists and whose instances are terminated."""
        return tuple(
            node
            for node in self.nodes
            if node.observation.member is not None
            and not node.observation.member.connected
            and node.diagnosis.severity is Severity.GONE
        )

    @property
    def unlisted(self) -> tuple[NodeStatus, ...]:
        """Terminated instances that explain no missing node: AWS lists them for about an hour.

        Those of a cluster without nodes, of a region without nodes, deleted by this program, or more than are missing:
        the newest are listed.
        """
        dead = [node for node in self.nodes if node.terminated]
        explaining = sorted(
            filter(self._explains, dead), key=lambda node: node.ended_at or self.snapshot.taken_at
        )
        if self.missing is not None:
            explaining = explaining[len(explaining) - min(self.missing, len(explaining)) :]
        return tuple(node for node in dead if node not in explaining)

    def _explains(self, node: NodeStatus) -> bool:
        """Whether a node may be missing because this instance was terminated."""
        launches = [instance.launched_at for instance in self.snapshot.instances if instance.alive]
        over = bool(launches) and node.ended_at is not None and node.ended_at < min(launches)
        elsewhere = self.wanted is not None and not self.wanted.get(node.region)
        unknown = self.missing is None and node.diagnosis.diagnosis in {Diagnosis.ENDED, Diagnosis.ENDING}
        return not (over or elsewhere or unknown or node.observation.terminated_by)

    @property
    def visible(self) -> ClusterStatus:
        """Without the unlisted nodes."""
        gone = self.unlisted
        return replace(self, nodes=tuple(node for node in self.nodes if node not in gone))

    @property
    def matches_spec(self) -> bool:
        bad = any(node.diagnosis.severity is Severity.BAD for node in self.nodes)
        complete = (
            not self.missing and not self.surplus and not self.drifted and not self._broken_orchestrator
        )
        return complete and not bad and self._settled

    @property
    def _settled(self) -> bool:
        """Without draining nodes, which end by themselves."""
        return all(node.settled for node in self.nodes if node.observation.alive and not node.leaving)

    @property
    def _broken_orchestrator(self) -> bool:
        return self.orchestrator is not None and self.orchestrator.broken

    @property
    def failures(self) -> tuple[ApiFailure, ...]:
        """All failed scans, the orchestrator's included."""
        return (
            *self.snapshot.failed_regions,
            *self.snapshot.partial_failures,
            *((self.snapshot.api_failure,) if self.snapshot.api_failure else ()),
        )

    @property
    def exit_code(self) -> ExitCode:
        code = most_severe(failure.code for failure in self.failures)
        if code is None:
            return ExitCode.DONE if self.matches_spec else ExitCode.FAILED
        if self._certainly_differs:
            return ExitCode.FAILED
        return ExitCode.DENIED if classify(code).category is Category.CREDENTIALS else ExitCode.INCOMPLETE

    @property
    def _certainly_differs(self) -> bool:
        """Without failed regions: a region that was not scanned may have the missing nodes."""
        short = bool(self.missing) and not self.snapshot.failed_regions
        wrong_nodes = bool(self.total.count(Severity.BAD) or self.total.waiting)
        return short or bool(self.surplus) or bool(self.drifted) or self._broken_orchestrator or wrong_nodes


def cluster_status(
    snapshot: ClusterSnapshot,
    *,
    cluster: str,
    label: str,
    timeouts: Timeouts,
    spec: ClusterSpec | None,
    only: Sequence[str] = (),
    terminated_by: Mapping[str, str] | None = None,
    drifted: Sequence[DriftedNode] = (),
) -> ClusterStatus:
    """The diagnoses and counts. `label`: the label of the cluster's nodes; `spec` None: the cluster is not the
    configuration's.

    `terminated_by`: by instance, the command of this machine that terminated it. `only`: the requested regions, if not
    all; nodes that belong to other regions do not count as missing. `drifted`: nodes that differ from `spec`.
    """
    configured = spec.orchestrator if spec is not None else OrchestratorSpec(OrchestratorMode.OWN)
    in_account = configured.in_account or newest_usable(snapshot.orchestrators) is not None
    nodes = tuple(
        NodeStatus(known, diagnose(replace(known, in_account=in_account)))
        for known in _observations(
            snapshot, label=label, timeouts=timeouts, terminated_by=terminated_by or {}
        )
    )
    gone = Severity.GONE
    ordered = tuple(
        sorted(nodes, key=lambda node: (node.region, node.diagnosis.severity is gone, node.zone, node.id))
    )
    status = ClusterStatus(
        cluster,
        snapshot,
        ordered,
        orchestrator=_orchestrator(snapshot, ordered, configured, timeouts=timeouts, partial=bool(only)),
    )
    if spec is None:
        return status
    status = replace(status, drifted=tuple(drifted), configured_version=spec.bacalhau.version)
    demand = node_demand(spec, _counted(spec, snapshot))
    if only:
        return _compared_in(status, demand, only)
    if spec.auto_regions is not None and not spec.regions:
        return _compared_in_total(status, spec.nodes)
    return replace(
        status,
        wanted=demand.wanted,
        wanted_total=sum(demand.wanted.values()),
        missing=sum(demand.launch.values()),
        surplus=len(demand.removable),
    )


def _counted(spec: ClusterSpec, snapshot: ClusterSnapshot) -> tuple[Instance, ...]:
    """Without the nodes that a group has launched ahead of a termination."""
    if not spec.self_heal:
        return snapshot.instances
    return counted({state.group.region: state.group for state in snapshot.groups}, snapshot.instances)


def _orchestrator(
    snapshot: ClusterSnapshot,
    nodes: Sequence[NodeStatus],
    configured: OrchestratorSpec,
    *,
    timeouts: Timeouts,
    partial: bool,
) -> OrchestratorStatus | None:
    """A cluster with an orchestrator's instance has a managed one, whatever the configuration says now."""
    instance = newest_usable(snapshot.orchestrators)
    mode = OrchestratorMode.MANAGED if instance is not None else configured.mode
    if mode is OrchestratorMode.NONE:
        return None
    away = [node for node in nodes if node.diagnosis.diagnosis is Diagnosis.RECONNECTING]
    observed = OrchestratorObservation(
        now=snapshot.taken_at,
        mode=mode,
        cluster=configured.cluster or "",
        instance=instance,
        checks=(snapshot.checks or {}).get(instance.id, _NOT_CHECKED) if instance else _NOT_CHECKED,
        partial=partial or bool(snapshot.failed_regions),
        api=snapshot.api,
        failure=snapshot.api_failure,
        nodes=_alive(snapshot),
        reconnecting=len(away),
        restarted_for=away[0].observation.orchestrator_age if away else None,
        timeouts=timeouts,
    )
    return orchestrator_status(observed, address=snapshot.address, listing=snapshot.listing)


def _compared_in(status: ClusterStatus, demand: Demand, regions: Sequence[str]) -> ClusterStatus:
    wanted = {name: count for name, count in demand.wanted.items() if name in regions}
    return replace(
        status,
        wanted=wanted,
        wanted_total=sum(wanted.values()),
        missing=sum(max(0, count - demand.present.get(name, 0)) for name, count in wanted.items()),
        surplus=0,
    )


def _alive(snapshot: ClusterSnapshot) -> int:
    """The present nodes."""
    return sum(instance.alive for instance in without_draining(snapshot.instances))


def _compared_in_total(status: ClusterStatus, nodes: int) -> ClusterStatus:
    """Of a cluster whose regions were selected when it was created."""
    alive = _alive(status.snapshot)
    return replace(status, wanted_total=nodes, missing=max(0, nodes - alive), surplus=max(0, alive - nodes))


def _observations(
    snapshot: ClusterSnapshot, *, label: str, timeouts: Timeouts, terminated_by: Mapping[str, str]
) -> Iterable[NodeObservation]:
    """One observation for each node: every instance with its data, and nodes that only the orchestrator lists."""
    spots = {spot.instance_id: spot for spot in snapshot.spots}
    members = _by_instance(snapshot.listing.nodes)
    for instance in snapshot.instances:
        yield NodeObservation(
            now=snapshot.taken_at,
            instance=instance,
            checks=(snapshot.checks or {}).get(instance.id, _NOT_CHECKED),
            spot=spots.get(instance.id),
            boot=(snapshot.boots or {}).get(instance.id),
            member=members.get(instance.id),
            api=snapshot.api,
            api_at=snapshot.listing.answered_at,
            orchestrator_started_at=snapshot.listing.started_at,
            timeouts=timeouts,
            terminated_by=terminated_by.get(instance.id, ""),
        )
    known = {instance.id for instance in snapshot.instances}
    for node in snapshot.listing.nodes:
        if node.instance_id not in known and _is_ours(node, snapshot, label):
            yield NodeObservation(now=snapshot.taken_at, member=node, api=snapshot.api, timeouts=timeouts)


def _by_instance(nodes: Iterable[OrchestratorNode]) -> dict[str, OrchestratorNode]:
    """Of several that name the same instance the one that is connected."""
    ordered = sorted(nodes, key=lambda node: node.connected)
    return {node.instance_id: node for node in ordered if node.instance_id}


def _is_ours(node: OrchestratorNode, snapshot: ClusterSnapshot, label: str) -> bool:
    """Of this cluster, and its region was scanned: elsewhere its instance may well run."""
    if not is_cluster_node(node, cluster=label):
        return False
    region = region_of(node)
    return region in snapshot.regions_scanned if region else not snapshot.failed_regions


def needs_console(instance: Instance, *, api: ApiAvailability, node: OrchestratorNode | None) -> bool:
    """Only nodes that have not joined, or may not have: console output needs a call for each node."""
    return (
        instance.alive
        and instance.private_ip is not None
        and (api is not ApiAvailability.AVAILABLE or node is None)
    )


def member_of(instance: Instance, nodes: Iterable[OrchestratorNode]) -> OrchestratorNode | None:
    return _by_instance(nodes).get(instance.id)


def _subtract(total: Capacity, free: Capacity) -> Capacity:
    return Capacity(
        cpu=max(Decimal(0), total.cpu - free.cpu),
        memory_bytes=max(0, total.memory_bytes - free.memory_bytes),
        disk_bytes=max(0, total.disk_bytes - free.disk_bytes),
        gpus=max(0, total.gpus - free.gpus),
    )


def _sum(capacities: Iterable[Capacity]) -> Capacity:
    every = list(capacities)
    return Capacity(
        cpu=sum((capacity.cpu for capacity in every), Decimal(0)),
        memory_bytes=sum(capacity.memory_bytes for capacity in every),
        disk_bytes=sum(capacity.disk_bytes for capacity in every),
        gpus=sum(capacity.gpus for capacity in every),
    )
