"""Rows for spreadsheets: a header, and one row for each item."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from bacalhau_spot.core.model import State
from bacalhau_spot.ui.json_output.values import exact, hours, optional_time, time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.clusters.cluster_summary import ClusterOverview, ClusterSummary
    from bacalhau_spot.core.pricing.cost import Charge
    from bacalhau_spot.core.pricing.cost_report import CostReport

_COST = (
    *("cluster", "region", "zone", "type", "id", "spot", "started_at", "ended_at", "interrupted"),
    *("item", "hours", "usd", "on_demand_usd"),
)
_CLUSTERS = (
    *("cluster", "managed", "created_by", "owner", "nodes", "running", "orchestrator", "regions"),
    *("usd_per_hour", "created_at", "expires_at", "other_resources"),
)


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A table as text, by RFC 4180; empty cells are unknown values."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def csv_text(table: CsvTable) -> str:
    out = StringIO()
    csv.writer(out, lineterminator="\n").writerows((table.heads, *table.rows))
    return out.getvalue()


def cost_rows(report: CostReport) -> CsvTable:
    """A row for each instance, volume and address that costs or has cost: the long form, to be summed as one likes."""
    return CsvTable(
        _COST, tuple(row for charge in report.charges for row in _charge_rows(report.cluster, charge))
    )


def _charge_rows(cluster: str, charge: Charge) -> Sequence[tuple[str, ...]]:
    usage = charge.usage
    whose = (
        cluster,
        usage.region,
        usage.zone,
        usage.type,
        usage.id,
        "yes" if usage.spot else "no",
        time_text(usage.started_at),
        "" if usage.ended_at is None else time_text(usage.ended_at),
        "yes" if usage.interrupted else "no",
    )
    priced = charge.unpriced_s == 0
    items = (
        ("instance", bool(usage.type), charge.instance_usd if priced else None, charge.on_demand_usd),
        ("volume", bool(usage.volume_gib), charge.volume_usd, charge.volume_usd),
        ("address", usage.address, charge.address_usd, charge.address_usd),
    )
    return [
        (*whose, item, hours(charge.seconds), exact(usd) or "", exact(dear) or "")
        for item, place, usd, dear in items
        if place
    ]


def cluster_rows(overview: ClusterOverview) -> CsvTable:
    """A row for each cluster."""
    return CsvTable(
        _CLUSTERS,
        (
            *(_cluster_row(cluster, managed="yes") for cluster in overview.clusters),
            *(_cluster_row(cluster, managed="no") for cluster in overview.unmanaged),
        ),
    )


def _cluster_row(cluster: ClusterSummary, *, managed: str) -> tuple[str, ...]:
    return (
        cluster.name,
        managed,
        cluster.created_by,
        cluster.owner,
        str(cluster.node_count),
        str(cluster.nodes.get(State.RUNNING, 0)),
        cluster.orchestrator or "",
        " ".join(cluster.regions),
        exact(cluster.usd_per_hour) or "",
        optional_time(cluster.created_at) or "",
        optional_time(cluster.expires_at) or "",
        str(sum(cluster.others.values())),
    )
