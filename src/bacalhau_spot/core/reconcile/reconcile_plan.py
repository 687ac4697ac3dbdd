"""The changes of one pass of `reconcile`: a pure function of the cluster's status and the configuration.

Rules:
1. A cluster that is as configured has an empty plan.
2. The configuration has the number of nodes; what `scale` did without `--write` is undone.
3. Missing nodes are launched only if every configured region was scanned: a region that was not may have them.
4. A region that refused capacity lately is left out until its time has come.
5. Surplus nodes drain: first those that drain already, then unhealthy ones, then old ones with a new node in their place that
   has joined, then the newest of the fullest regions. While the new node of an interrupted `replace` boots, its old one stays.
6. Unhealthy nodes are replaced by the rules of `unhealthy.py`. Nodes with other faults are reported.
   An Auto Scaling group launches its missing nodes by itself.
7. Auto Scaling groups and their nodes get the expiry of the cluster.
8. Of a cluster whose time is over, nothing is repaired. Its nodes end themselves; after the rest of their time, and once it
   has been idle for too long, it is deleted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bacalhau_spot.core.health.diagnosis import Diagnosis, Severity
from bacalhau_spot.core.health.orchestrator_status import OrchestratorVerdict
from bacalhau_spot.core.launch.group_plan import counted, replacing
from bacalhau_spot.core.lifecycle.drain_result import MARGIN_S, drain_until, is_draining
from bacalhau_spot.core.lifecycle.expiry import cluster_expiry, expiry_reason, keep_expiry
from bacalhau_spot.core.lifecycle.superseded import superseded
from bacalhau_spot.core.placement.demand import node_demand
from bacalhau_spot.core.reconcile.unhealthy import (
    Protection,
    UnhealthyNode,
    most_at_once,
    protection,
    unhealthy_nodes,
)
from bacalhau_spot.core.scaling_group.groups import group_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.core.health.cluster_status import ClusterStatus
    from bacalhau_spot.core.lifecycle.expiry import ExpiryPlan, ExpiryReason
    from bacalhau_spot.core.model import ClusterSpec, Instance

_REPAIRED = frozenset(
    {OrchestratorVerdict.MISSING, OrchestratorVerdict.STOPPED, OrchestratorVerdict.NO_VOLUME}
)


@dataclass(frozen=True, slots=True)
class ReconcilePlan:
    """One pass. `missing`: nodes below the configured number; `launch`: those of them to launch now.

    `drain`: surplus nodes to send away; `draining`: nodes that leave already. `unhealthy`: all of them; `replace`: those to
    terminate now; `protected`: why the others are kept. `stale`: names of nodes to remove from the orchestrator. `closed`:
    regions left out, each with the time of its next attempt. `not_scanned`: configured regions that could not be scanned.
    `faulty`: ids of living nodes with a fault that a pass does not mend. `repair_orchestrator`: the managed one has to be mended.
    `overdue`: draining nodes that should have ended by themselves. `expired`: the cluster's time is over;
    `ended`: why it is deleted now, None if it is not. `expiry`: for Auto Scaling groups and their nodes that have another one
    than the cluster.
    """

    missing: int = 0
    launch: int = 0
    drain: tuple[Instance, ...] = ()
    draining: tuple[Instance, ...] = ()
    unhealthy: tuple[UnhealthyNode, ...] = ()
    replace: tuple[UnhealthyNode, ...] = ()
    protected: Protection | None = None
    stale: tuple[str, ...] = ()
    closed: Mapping[str, datetime] = field(default_factory=dict)
    not_scanned: tuple[str, ...] = ()
    faulty: tuple[str, ...] = ()
    repair_orchestrator: bool = False
    overdue: tuple[Instance, ...] = ()
    expired: bool = False
    ended: ExpiryReason | None = None
    expiry: ExpiryPlan | None = None

    @property
    def launches(self) -> bool:
        """Whether AWS has to be asked for more nodes, or for parts of the orchestrator."""
        replaced = any(not group_of(node.instance) for node in self.replace)
        return bool(self.launch) or replaced or self.repair_orchestrator

    @property
    def removes(self) -> bool:
        """Whether nodes are sent away."""
        return bool(self.drain or self.overdue or self.replace)

    @property
    def empty(self) -> bool:
        """Whether the pass changes nothing."""
        return not (self.launches or self.removes or self.stale or self.ended or self.expiry)


def reconcile_plan(
    status: ClusterStatus,
    spec: ClusterSpec,
    *,
    closed: Mapping[str, datetime] | None = None,
    idle_from: datetime | None = None,
) -> ReconcilePlan:
    """The plan for the configuration's own cluster. `closed`: from `RegionBackoff.closed`. `idle_from`: as in `expiry_reason`."""
    living = tuple(instance for instance in status.snapshot.instances if instance.alive)
    now, existing = status.snapshot.taken_at, (*living, *status.snapshot.orchestrators)
    groups = [state.group for state in status.snapshot.groups]
    expiry = cluster_expiry(existing, groups)
    ended = expiry_reason(spec, expiry, now=now, idle_from=idle_from)
    if ended is not None or expiry.has_passed(now):
        return ReconcilePlan(expired=True, ended=ended)
    plan = _with_launch(_removals(status, spec, living), status, spec, closed or {})
    return replace(plan, expiry=keep_expiry(existing, groups, now=now))


def _removals(status: ClusterStatus, spec: ClusterSpec, living: Sequence[Instance]) -> ReconcilePlan:
    """The nodes that leave, and those that stay although something is wrong with them."""
    draining = tuple(filter(is_draining, living))
    leaving = {instance.id for instance in draining}
    unhealthy = tuple(node for node in unhealthy_nodes(status) if node.instance.id not in leaving)
    drain = _surplus(spec, status, living, leaving=leaving, unhealthy=unhealthy)
    gone = leaving | {instance.id for instance in drain}
    kept_by = protection(status, unhealthy) if unhealthy else None
    room = 0 if kept_by is not None else max(0, most_at_once(status.wanted_total or 0) - len(draining))
    candidates = tuple(node for node in unhealthy if node.instance.id not in gone)
    return ReconcilePlan(
        drain=drain,
        draining=draining,
        unhealthy=unhealthy,
        replace=candidates[:room],
        protected=kept_by,
        faulty=_faulty(status, unhealthy, gone),
        overdue=_overdue(draining, now=status.snapshot.taken_at),
    )


def _with_launch(
    plan: ReconcilePlan, status: ClusterStatus, spec: ClusterSpec, closed: Mapping[str, datetime]
) -> ReconcilePlan:
    missing = max(0, (status.missing or 0) - _replaced_by_groups(status, spec))
    not_scanned = _not_scanned(spec, status)
    waits = bool(spec.regions) and all(region.name in closed for region in spec.regions)
    return replace(
        plan,
        missing=missing,
        launch=0 if not_scanned or waits else missing,
        stale=_stale(status),
        closed=closed if missing else {},
        not_scanned=not_scanned,
        repair_orchestrator=_needs_repair(status),
    )


def _replaced_by_groups(status: ClusterStatus, spec: ClusterSpec) -> int:
    """The missing nodes that Auto Scaling groups launch by themselves, and try again after a refusal."""
    if not spec.self_heal:
        return 0
    groups = {state.group.region: state.group for state in status.snapshot.groups}
    return sum(replacing(groups, {}, status.snapshot.instances).values())


def _stale(status: ClusterStatus) -> tuple[str, ...]:
    """Without nodes of regions that could not be scanned: their instances may be running."""
    unseen = {failure.region for failure in status.snapshot.failed_regions}
    nodes = (node for node in status.stale_nodes if node.region not in unseen)
    return tuple(node.observation.member.id for node in nodes if node.observation.member)


def _needs_repair(status: ClusterStatus) -> bool:
    """Whether `create` would repair the orchestrator. It cannot mend one that runs and does not answer."""
    found = status.orchestrator
    return found is not None and found.observation.managed and found.verdict in _REPAIRED


def _surplus(
    spec: ClusterSpec,
    status: ClusterStatus,
    living: Sequence[Instance],
    *,
    leaving: set[str],
    unhealthy: Sequence[UnhealthyNode],
) -> tuple[Instance, ...]:
    """As many in each region as `create --allow-removal` would drain, without those that leave already."""
    if not status.surplus:
        return ()
    living = [one for one in _without_replacements(status, spec, living) if one.id not in leaving]
    auto = spec.auto_regions is not None and not spec.regions
    removable = _newest(living)[: status.surplus] if auto else node_demand(spec, living).removable
    ill = {node.instance.id for node in unhealthy}
    old, kept = _replaced(status, living, ill=ill)
    chosen = _first(living, (ill, kept, old), Counter(instance.region for instance in removable))
    return tuple(instance for instance in chosen if instance.id not in kept)


def _first(
    living: Sequence[Instance], ranks: Sequence[set[str]], counts: Mapping[str, int]
) -> list[Instance]:
    """As many of each region: those of the first set of ids, of the next ones, then the newest."""
    chosen: list[Instance] = []
    for region, count in counts.items():
        here = [one for one in _newest(living) if one.region == region]
        here.sort(key=lambda one: [one.id not in rank for rank in ranks])
        chosen += here[:count]
    return chosen


def _replaced(
    status: ClusterStatus, living: Sequence[Instance], *, ill: set[str]
) -> tuple[set[str], set[str]]:
    """The old nodes of an interrupted `replace`: those whose new node has joined, and those whose new node boots."""
    settled = {node.id for node in status.nodes if node.settled}
    joined: set[str] = set()
    waiting: set[str] = set()
    for name, launched in superseded(living).items():
        new = [one.id for one in launched if one.id not in ill]
        if new:
            (joined if settled.issuperset(new) else waiting).add(name)
    return joined, waiting


def _without_replacements(
    status: ClusterStatus, spec: ClusterSpec, living: Sequence[Instance]
) -> Sequence[Instance]:
    """Without the nodes that a group has launched ahead of a termination."""
    if not spec.self_heal:
        return living
    groups = {state.group.region: state.group for state in status.snapshot.groups}
    return counted(groups, living)


def _overdue(draining: Sequence[Instance], *, now: datetime) -> tuple[Instance, ...]:
    """Nodes whose watcher does not work any more."""
    latest = now - timedelta(seconds=MARGIN_S)
    ends = [(instance, drain_until(instance)) for instance in draining]
    return tuple(instance for instance, until in ends if until is not None and until < latest)


def _newest(instances: Iterable[Instance]) -> list[Instance]:
    return sorted(instances, key=lambda instance: (instance.launched_at, instance.id), reverse=True)


def _not_scanned(spec: ClusterSpec, status: ClusterStatus) -> tuple[str, ...]:
    """With `regions: auto`, nodes may be in any region."""
    failed = {failure.region for failure in status.snapshot.failed_regions}
    if not spec.regions:
        return tuple(sorted(failed))
    return tuple(region.name for region in spec.regions if region.name in failed)


def _faulty(status: ClusterStatus, unhealthy: Sequence[UnhealthyNode], gone: set[str]) -> tuple[str, ...]:
    """AWS ends a node with an interruption notice by itself; then it is missing."""
    known = gone | {node.instance.id for node in unhealthy}
    return tuple(
        node.id
        for node in status.nodes
        if node.observation.instance is not None
        and node.diagnosis.severity is Severity.BAD
        and node.diagnosis.diagnosis is not Diagnosis.NOTICED
        and node.id not in known
    )
