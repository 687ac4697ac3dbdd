"""The list of all clusters of an account."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.problem import regions_by_failure
from bacalhau_spot.ui.formatting import (
    age,
    comma_list,
    count_of_kind,
    error_label,
    first_few,
    plural,
    usd,
)
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, failed_regions_text, next_commands

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from bacalhau_spot.core.clusters.cluster_summary import ClusterOverview, ClusterSummary
    from bacalhau_spot.core.problem import ApiFailure

_HEADS = (
    *("cluster", "nodes", "orchestrator", "regions", "per hour", "owner", "age", "expires in"),
    "other resources",
)
# Columns to drop in a narrow window, in this order.
_SPARE = ("age", "owner", "regions", "orchestrator")
_CONFIGURED = " *"
_UNKNOWN = "unknown"
_EXPIRED = "expired"
_NONE = "-"
_NO_NAME = "(empty)"


def clusters_view(overview: ClusterOverview, *, wide: bool) -> Group:
    """A row a cluster, the sum, the clusters of other programs, and the gaps.

    `wide`: all regions and other resources; otherwise other resources only of a cluster without instances.
    """
    parts: list[RenderableType] = []
    if overview.clusters:
        parts += [
            _table(overview.clusters, overview.taken_at, wide=wide),
            Paragraph(_sum(overview), style="bold"),
        ]
        if any(cluster.configured for cluster in overview.clusters):
            parts.append(Paragraph("* the cluster of this configuration", style="dim"))
    else:
        where = plural(len(overview.regions_scanned), "region")
        parts.append(Paragraph(f"no cluster under the tag key {overview.tag_key} in {where}"))
    if overview.unmanaged:
        parts += [
            Paragraph(""),
            Paragraph(f"under the tag key {overview.tag_key}, not created by bacalhau-spot:", style="bold"),
            _table(overview.unmanaged, overview.taken_at, wide=wide),
        ]
    parts += _gaps(overview)
    parts += next_commands(_commands(overview))
    return Group(*parts)


def _table(clusters: Sequence[ClusterSummary], now: datetime, *, wide: bool) -> TextTable:
    return TextTable(
        _HEADS,
        [_row(cluster, now, wide=wide) for cluster in clusters],
        right=("per hour", "age"),
        spare=_SPARE,
        at_least=24,
    )


def _row(cluster: ClusterSummary, now: datetime, *, wide: bool) -> tuple[str, ...]:
    has_instances = cluster.node_count or cluster.orchestrator is not None
    return (
        f"{cluster.name or _NO_NAME}{_CONFIGURED if cluster.configured else ''}",
        ", ".join(f"{count} {state}" for state, count in sorted(cluster.nodes.items())) or _NONE,
        cluster.orchestrator or "",
        ", ".join(cluster.regions) if wide else first_few(cluster.regions, at_most=1),
        *_details(cluster, now, wide=wide),
        _other_resources(cluster) if wide or not has_instances else "",
    )


def _details(cluster: ClusterSummary, now: datetime, *, wide: bool) -> tuple[str, ...]:
    """The cost, the owner, the age, the time left."""
    return (
        _UNKNOWN if cluster.usd_per_hour is None else usd(cluster.usd_per_hour),
        cluster.owner if wide else cluster.owner.rpartition("/")[2],
        "" if cluster.created_at is None else age(now - cluster.created_at),
        _time_left(cluster, now),
    )


def _time_left(cluster: ClusterSummary, now: datetime) -> str:
    if cluster.expires_at is None:
        return ""
    return age(cluster.expires_at - now) if cluster.expires_at > now else _EXPIRED


def _other_resources(cluster: ClusterSummary) -> str:
    return ", ".join(count_of_kind(count, kind) for kind, count in cluster.others.items())


def _sum(overview: ClusterOverview) -> str:
    """`2 clusters, 14 nodes, $0.2103 an hour`."""
    known = [cluster.usd_per_hour for cluster in overview.clusters if cluster.usd_per_hour is not None]
    least = "" if len(known) == len(overview.clusters) else "at least "
    nodes = sum(cluster.node_count for cluster in overview.clusters)
    return ", ".join(
        (
            plural(len(overview.clusters), "cluster"),
            plural(nodes, "node"),
            f"{least}{usd(sum(known[1:], known[0]))} an hour" if known else "at an unknown cost",
        )
    )


def _gaps(overview: ClusterOverview) -> list[RenderableType]:
    lines = [Paragraph(f"not listed: {text}", style="yellow") for text in _refused(overview.partial_failures)]
    lines += [Paragraph(f"without a price: {text}", style="yellow") for text in _refused(overview.unpriced)]
    kinds = Counter(resource.kind for resource in overview.unknown)
    lines += [
        Paragraph(
            f"also with the tag key: {plural(count, 'resource')} of the kind {kind}, of an unknown cluster"
        )
        for kind, count in sorted(kinds.items())
    ]
    return [*lines, *failed_regions_text(overview.failed_regions)]


def _refused(failures: Sequence[ApiFailure]) -> list[str]:
    """`DescribeVolumes in us-east-1 (not allowed)`."""
    groups = regions_by_failure(failures, lambda failure: (failure.operation, error_label(failure.code)))
    return [
        f"{operation}{f' in {where}' if where else ''} ({reason})"
        for (operation, reason), regions in groups.items()
        for where in [comma_list([region for region in regions if region])]
    ]


def _commands(overview: ClusterOverview) -> list[str]:
    """For the first cluster besides the configured one."""
    other = next((cluster.name for cluster in overview.clusters if not cluster.configured), "")
    return [f"bacalhau-spot list --cluster {shlex.quote(other)}"] if other else []
