"""The nodes that can be removed from the orchestrator: those of one cluster whose instances are terminated.

Rules:
1. The labels decide whether a node belongs to the cluster: provider, cluster, and an EC2 instance id. Others are not
   checked.
2. A connected node is kept, whatever AWS returns.
3. An instance is terminated when AWS lists it as shutting down or terminated, or lists it in no region; AWS lists it
   for about an hour after its end. A stopped instance is not terminated: it may start again.
4. An instance in a region that could not be scanned is not terminated.
5. If nodes are connected and AWS lists the instance of none of them, the credentials are of another account, and a
   missing instance proves nothing.

The orchestrator never removes a node by itself, and a node that was removed by mistake registers again (Bacalhau 1.9).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
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
    """Why a node can be removed, or is kept."""

    TERMINATED = "instance-ended"
    UNKNOWN = "instance-unknown"
    CONNECTED = "connected"
    ALIVE = "instance-alive"
    REGION_FAILED = "region-unseen"
    ELSEWHERE = "account-doubtful"


@dataclass(frozen=True, slots=True)
class PruneDecision:
    """One node of the cluster and the decision on it."""

    member: OrchestratorNode
    reason: PruneReason

    @property
    def stale(self) -> bool:
        return self.reason in {PruneReason.TERMINATED, PruneReason.UNKNOWN}

    @property
    def region(self) -> str:
        """From its label; empty without one."""
        return region_of(self.member)


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """The decisions. `others`: the orchestrator's nodes outside the cluster. `failed_regions`: regions, with the
    reason.

    `identity`: the identity of the AWS calls; None when none were needed. `other_clusters`: the nodes of other clusters of
    bacalhau-spot among `others`, by label.
    """

    cluster: str
    decisions: tuple[PruneDecision, ...] = ()
    others: int = 0
    regions_scanned: tuple[str, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    identity: Identity | None = None
    other_clusters: Mapping[str, int] = field(default_factory=dict)

    @property
    def stale(self) -> tuple[PruneDecision, ...]:
        return tuple(decision for decision in self.decisions if decision.stale)

    @property
    def elsewhere(self) -> bool:
        """The credentials seem to be of another account than the cluster's."""
        return any(decision.reason is PruneReason.ELSEWHERE for decision in self.decisions)

    @property
    def undecided(self) -> tuple[PruneDecision, ...]:
        """Disconnected nodes that are kept."""
        return tuple(
            decision
            for decision in self.decisions
            if decision.reason in {PruneReason.ALIVE, PruneReason.REGION_FAILED, PruneReason.ELSEWHERE}
        )


@dataclass(frozen=True, slots=True)
class PruneResult:
    """The result of the removals. `not_removed`: not attempted, after a failure or an interruption.

    `problem`: the orchestrator did not return its nodes.
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


def nodes_by_other_cluster(nodes: Iterable[OrchestratorNode], *, cluster: str) -> dict[str, int]:
    """The number of nodes of each other cluster of bacalhau-spot in the orchestrator's list, by label."""
    names = Counter(
        name
        for node in nodes
        if (name := node.labels.get(CLUSTER_LABEL, "")) not in {"", cluster}
        and is_cluster_node(node, cluster=name)
    )
    return dict(sorted(names.items()))


def instances_to_check(nodes: Iterable[OrchestratorNode], *, cluster: str) -> tuple[str, ...]:
    """Instance ids to look up in AWS: those of all the cluster's nodes, when one is disconnected."""
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
    """The decision on every node of the cluster. `instances`: AWS's answer for `instances_to_check`, in all
    `regions_scanned`.
    """
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
        other_clusters=nodes_by_other_cluster(nodes, cluster=cluster),
    )


def region_of(node: OrchestratorNode) -> str:
    return node.labels.get("region", "")


@dataclass(frozen=True, slots=True)
class _ScanContext:
    """The conclusions that AWS's answer allows for a missing instance."""

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
    # A node without a region may be in any region.
    if region not in scan.regions and (region or scan.failed_regions):
        return PruneReason.REGION_FAILED
    return PruneReason.ELSEWHERE if scan.elsewhere else PruneReason.UNKNOWN


def prune_exit_code(plan: PrunePlan, result: PruneResult | None) -> ExitCode:
    """The exit code of a prune. None: nothing to remove, or a dry run."""
    if result is not None:
        if result.interrupted:
            return ExitCode.INTERRUPTED
        code = most_severe(failure.code for failure in result.problems)
        if code is not None:
            return classify(code).exit_code
        if result.remaining:
            return ExitCode.FAILED
    return ExitCode.INCOMPLETE if plan.failed_regions or plan.elsewhere else ExitCode.DONE
