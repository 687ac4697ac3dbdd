"""Which nodes the orchestrator may forget: those of one cluster whose instances are gone.

Rules:
1. A node is the cluster's by its labels: provider, cluster, and the id of an EC2 instance. Any other is not checked.
2. A connected node stays, whatever AWS says.
3. An instance is gone when AWS shows it ending or ended, or in no region at all; AWS forgets it about an hour after its end.
   A stopped one is not gone: it may start again.
4. What could not be scanned is not gone.
5. Where nodes are connected and AWS shows the instance of none of them, this is another account than the cluster's, and what
   AWS does not show proves nothing.

The orchestrator itself never forgets a node, and one that it forgot by mistake registers again (Bacalhau 1.9).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.error_catalog.classifier import classify, most_severe
from bacalhau_spot.core.model import State
from bacalhau_spot.core.orchestrator.orchestrator_nodes import CLUSTER_LABEL
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from bacalhau_spot.core.model import Identity, Instance
    from bacalhau_spot.core.orchestrator.orchestrator_nodes import OrchestratorNode
    from bacalhau_spot.core.problem import ApiFailure

_INSTANCE_ID: Final = re.compile(r"i-[0-9a-f]{8,17}")
_TERMINATING: Final = frozenset({State.SHUTTING_DOWN, State.TERMINATED})


class PruneReason(StrEnum):
    """Why a node may be forgotten, or stays."""

    TERMINATED = "instance-ended"
    UNKNOWN = "instance-unknown"
    CONNECTED = "connected"
    ALIVE = "instance-alive"
    REGION_FAILED = "region-unseen"
    ELSEWHERE = "account-doubtful"


@dataclass(frozen=True, slots=True)
class PruneDecision:
    """One node of the cluster, and what is to become of it."""

    member: OrchestratorNode
    reason: PruneReason

    @property
    def stale(self) -> bool:
        return self.reason in {PruneReason.TERMINATED, PruneReason.UNKNOWN}

    @property
    def region(self) -> str:
        """By its label; empty when it does not say."""
        return region_of(self.member)


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """The decision. `others`: nodes of the orchestrator that are not the cluster's. `failed_regions`: regions, and why.

    `identity`: as whom AWS was asked; None when there was nothing to ask.
    """

    cluster: str
    decisions: tuple[PruneDecision, ...] = ()
    others: int = 0
    regions_scanned: tuple[str, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    identity: Identity | None = None

    @property
    def stale(self) -> tuple[PruneDecision, ...]:
        return tuple(decision for decision in self.decisions if decision.stale)

    @property
    def elsewhere(self) -> bool:
        """AWS was asked in another account than the cluster's, as it seems."""
        return any(decision.reason is PruneReason.ELSEWHERE for decision in self.decisions)

    @property
    def undecided(self) -> tuple[PruneDecision, ...]:
        """Disconnected, and they stay all the same."""
        return tuple(
            decision
            for decision in self.decisions
            if decision.reason in {PruneReason.ALIVE, PruneReason.REGION_FAILED, PruneReason.ELSEWHERE}
        )


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What became of nodes that were to be removed. `not_removed`: not asked for, because it was no use or the user stopped it.

    `problem`: the orchestrator could not be asked which nodes it has.
    """

    address: str
    removed: tuple[str, ...] = ()
    failed: tuple[tuple[str, ApiFailure], ...] = ()
    not_removed: tuple[str, ...] = ()
    problem: ApiFailure | None = None
    interrupted: bool = False

    @property
    def problems(self) -> tuple[ApiFailure, ...]:
        return (*(failure for _, failure in self.failed), *((self.problem,) if self.problem else ()))

    @property
    def remaining(self) -> tuple[str, ...]:
        """Nodes that the orchestrator still lists."""
        return (*(name for name, _ in self.failed), *self.not_removed)


def is_cluster_node(node: OrchestratorNode, *, cluster: str) -> bool:
    """Whether the node is of the cluster with this label."""
    ours = node.labels.get("provider") == "aws" and node.labels.get(CLUSTER_LABEL) == cluster
    return ours and _INSTANCE_ID.fullmatch(node.instance_id) is not None


def instances_to_check(nodes: Iterable[OrchestratorNode], *, cluster: str) -> tuple[str, ...]:
    """Ids of the instances about which AWS must be asked: those of all the cluster's nodes, when one is disconnected."""
    ours = [node for node in nodes if is_cluster_node(node, cluster=cluster)]
    if all(node.connected for node in ours):
        return ()
    return tuple(sorted({node.instance_id for node in ours}))


def plan_prune(
    nodes: Collection[OrchestratorNode],
    *,
    cluster: str,
    instances: Mapping[str, Instance],
    regions_scanned: Collection[str],
    failed_regions: Collection[ApiFailure] = (),
    identity: Identity | None = None,
) -> PrunePlan:
    """Every node of the cluster, judged. `instances`: what AWS shows of `doubtful`, by id, in all of `regions_scanned`."""
    ours = [node for node in nodes if is_cluster_node(node, cluster=cluster)]
    sight = _ScanContext(
        frozenset(regions_scanned),
        failed_regions=bool(failed_regions),
        elsewhere=_in_other_accounts(ours, instances),
    )
    return PrunePlan(
        cluster=cluster,
        decisions=tuple(
            PruneDecision(node, _reason_of(node, instances.get(node.instance_id), sight))
            for node in sorted(ours, key=lambda our: (region_of(our), our.id))
        ),
        others=len(nodes) - len(ours),
        regions_scanned=tuple(regions_scanned),
        failed_regions=tuple(failed_regions),
        identity=identity,
    )


def region_of(node: OrchestratorNode) -> str:
    return node.labels.get("region", "")


@dataclass(frozen=True, slots=True)
class _ScanContext:
    """What AWS's silence about an instance is worth."""

    regions: frozenset[str]
    failed_regions: bool
    elsewhere: bool


def _in_other_accounts(nodes: Iterable[OrchestratorNode], instances: Mapping[str, Instance]) -> bool:
    connected = [node for node in nodes if node.connected]
    return bool(connected) and not any(node.instance_id in instances for node in connected)


def _reason_of(node: OrchestratorNode, instance: Instance | None, scan: _ScanContext) -> PruneReason:
    if node.connected:
        return PruneReason.CONNECTED
    if instance is not None:
        return PruneReason.TERMINATED if instance.state in _TERMINATING else PruneReason.ALIVE
    region = region_of(node)
    # A node that does not say where it is may be anywhere.
    if region not in scan.regions and (region or scan.failed_regions):
        return PruneReason.REGION_FAILED
    return PruneReason.ELSEWHERE if scan.elsewhere else PruneReason.UNKNOWN


def prune_exit_code(plan: PrunePlan, result: PruneResult | None) -> ExitCode:
    """How a prune ends. None: nothing was to be removed, or it was a dry run."""
    if result is not None:
        if result.interrupted:
            return ExitCode.INTERRUPTED
        code = most_severe(failure.code for failure in result.problems)
        if code is not None:
            return classify(code).exit_code
        if result.remaining:
            return ExitCode.FAILED
    return ExitCode.INCOMPLETE if plan.failed_regions or plan.elsewhere else ExitCode.DONE
