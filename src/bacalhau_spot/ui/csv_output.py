"""Rows for spreadsheets: a header, and one row for each item."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from bacalhau_spot.core.model import State
from bacalhau_spot.ui import json_output
from bacalhau_spot.ui.json_output.values import exact, hours, optional_time, time_text
from bacalhau_spot.ui.table_columns import COLUMNS, OFFERED_REGIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from bacalhau_spot.core.clusters.cluster_summary import ClusterOverview, ClusterSummary
    from bacalhau_spot.core.clusters.listing import Listing
    from bacalhau_spot.core.health.cluster_status import ClusterStatus
    from bacalhau_spot.core.placement.offers import Offers
    from bacalhau_spot.core.pricing.cost import Charge
    from bacalhau_spot.core.pricing.cost_report import CostReport


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A table as text, by RFC 4180; empty cells are unknown values."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def chosen(table: CsvTable, names: Sequence[str]) -> CsvTable:
    """With these columns in this order; without names, with all. Raises KeyError for one that the table does not have."""
    if not names:
        return table
    places = {head: place for place, head in enumerate(table.heads)}
    order = [places[name] for name in names]
    return CsvTable(tuple(names), tuple(tuple(row[place] for place in order) for row in table.rows))


def aligned_text(table: CsvTable) -> str:
    """For people: columns below each other, `-` for an unknown value."""
    rows = [table.heads, *([cell or "-" for cell in row] for row in table.rows)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


# A spreadsheet takes a cell that begins so for a formula, which may send the others somewhere; texts come from tags and nodes.
_FORMULA: Final = re.compile(r"[=+\-@\t\r](?![0-9.]+(?:[eE][0-9+-]+)?$)")


def csv_text(table: CsvTable) -> str:
    """A text that a spreadsheet would take for a formula has an apostrophe before it."""
    out = StringIO()
    rows = (table.heads, *table.rows)
    csv.writer(out, lineterminator="\n").writerows([_as_text(cell) for cell in row] for row in rows)
    return out.getvalue()


def _as_text(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def cost_rows(report: CostReport) -> CsvTable:
    """A row for each instance, volume and address that costs or has cost: the long form, to be summed as one likes."""
    return CsvTable(
        COLUMNS["cost"],
        tuple(row for charge in report.charges for row in _charge_rows(report.cluster, charge)),
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
        COLUMNS["clusters"],
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


def listing_rows(listing: Listing) -> CsvTable:
    """A row for each instance, the managed orchestrator last."""
    data = json_output.listing_data(listing)
    places = [("node", dict(instance)) for instance in data["instances"]]
    if data["orchestrator"] is not None:
        places.append(("orchestrator", dict(data["orchestrator"])))
    rows = [{"cluster": listing.cluster, "role": role, **instance} for role, instance in places]
    return _table("list", rows)


def status_rows(status: ClusterStatus) -> CsvTable:
    """A row for each node, in the order of the table."""
    data = json_output.status_data(status)
    return _table(
        "status", [{"cluster": data["cluster"], **_node_cells(dict(node))} for node in data["nodes"]]
    )


def _node_cells(node: dict[str, Any]) -> dict[str, Any]:
    found, load = node["diagnosis"], node["load"] or {"used": {}, "total": {}}
    return {
        **node,
        "node": node["id"],
        "severity": found["severity"],
        "verdict": found["kind"],
        "text": found["text"],
        "hint": found["hint"],
        **{f"{name}_used": load["used"].get(name) for name in ("cpu", "gpus")},
        **{f"{name}_total": load["total"].get(name) for name in ("cpu", "gpus")},
        "memory_used_bytes": load["used"].get("memory_bytes"),
        "memory_total_bytes": load["total"].get("memory_bytes"),
    }


def offer_rows(offers: Offers, *, by_region: bool) -> CsvTable:
    """A row for each capacity pool, or for each region."""
    data = json_output.offers_data(offers)
    items: Sequence[Mapping[str, Any]] = data["regions"] if by_region else data["pools"]
    rows = [
        {**item, **{f"week_{end}_usd_per_hour": (item["week"] or {}).get(end) for end in ("low", "high")}}
        for item in items
    ]
    return _table(OFFERED_REGIONS if by_region else "offers", rows)


def _table(name: str, rows: Sequence[Mapping[str, Any]]) -> CsvTable:
    """Of the values of the JSON output: one name means the same in both."""
    heads = COLUMNS[name]
    return CsvTable(heads, tuple(tuple(_cell(row[head]) for head in heads) for row in rows))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
