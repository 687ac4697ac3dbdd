"""The output of `clusters` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from bacalhau_spot.core.model import State
from bacalhau_spot.ui.json_output.values import (
    Amount,
    Count,
    ProblemOutput,
    Time,
    exact,
    optional_time,
    problem_data,
    time_text,
)

if TYPE_CHECKING:
    from bacalhau_spot.core.clusters.cluster_summary import ClusterOverview, ClusterSummary


class ClusterSummaryOutput(TypedDict):
    name: str
    """the tag's value"""
    configured: bool
    """it is the cluster of the configuration"""
    created_by: str | None
    """the tag `CreatedBy`"""
    owner: str | None
    """the tag `Owner`, otherwise the identity that ran `create` on this machine; null if unknown"""
    nodes: dict[str, Count]
    """the number of nodes by EC2's state, without terminated ones"""
    orchestrator: State | None
    """the state of the managed orchestrator's instance; null without one"""
    regions: list[str]
    usd_per_hour: Amount | None
    """instances at current prices, volumes, addresses and other resources with a list price; null if a price is unknown"""
    created_at: Time | None
    """of its oldest resource"""
    expires_at: Time | None
    """the latest of its nodes and Auto Scaling groups; null without one"""
    seconds_left: int | None
    """until the expiry; negative after it"""
    other_resources: dict[str, Count]
    """the number of other resources by kind"""


class UnknownResourceOutput(TypedDict):
    region: str
    kind: str
    id: str


class ClustersOutput(TypedDict):
    tag_key: str
    account_id: str
    taken_at: Time
    clusters: list[ClusterSummaryOutput]
    """by name"""
    unmanaged: list[ClusterSummaryOutput]
    """resources under the tag key that another program created"""
    unknown: list[UnknownResourceOutput]
    """resources with the tag key, of kinds that bacalhau-spot does not know"""
    regions_scanned: list[str]
    failed_regions: list[ProblemOutput]
    """regions that could not be scanned"""
    partial_failures: list[ProblemOutput]
    """lists that AWS refused, in regions that were scanned otherwise"""
    unpriced: list[ProblemOutput]
    """prices that could not be read"""


def clusters_data(overview: ClusterOverview) -> ClustersOutput:
    return {
        "tag_key": overview.tag_key,
        "account_id": overview.account_id,
        "taken_at": time_text(overview.taken_at),
        "clusters": [_cluster(cluster, overview) for cluster in overview.clusters],
        "unmanaged": [_cluster(cluster, overview) for cluster in overview.unmanaged],
        "unknown": [
            {"region": resource.region, "kind": resource.kind, "id": resource.id}
            for resource in overview.unknown
        ],
        "regions_scanned": list(overview.regions_scanned),
        "failed_regions": [problem_data(failure) for failure in overview.failed_regions],
        "partial_failures": [problem_data(failure) for failure in overview.partial_failures],
        "unpriced": [problem_data(failure) for failure in overview.unpriced],
    }


def _cluster(cluster: ClusterSummary, overview: ClusterOverview) -> ClusterSummaryOutput:
    left = None if cluster.expires_at is None else cluster.expires_at - overview.taken_at
    return {
        "name": cluster.name,
        "configured": cluster.configured,
        "created_by": cluster.created_by or None,
        "owner": cluster.owner or None,
        "nodes": {str(state): count for state, count in sorted(cluster.nodes.items())},
        "orchestrator": cluster.orchestrator,
        "regions": list(cluster.regions),
        "usd_per_hour": exact(cluster.usd_per_hour),
        "created_at": optional_time(cluster.created_at),
        "expires_at": optional_time(cluster.expires_at),
        "seconds_left": None if left is None else int(left.total_seconds()),
        "other_resources": dict(cluster.others),
    }
