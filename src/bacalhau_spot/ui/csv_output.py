"""Rows for spreadsheets: a head and a row for each thing, nothing to fold out of a cell."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from bacalhau_spot.ui.json_output.cost import exact, hours
from bacalhau_spot.ui.json_output.values import time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.pricing.cost import Charge
    from bacalhau_spot.core.pricing.cost_report import CostReport

FORM = "csv"

_COST = (
    *("cluster", "region", "zone", "type", "id", "spot", "started_at", "ended_at", "interrupted"),
    *("item", "hours", "usd", "on_demand_usd"),
)


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A table as text, as RFC 4180 wants it; empty cells are what is not known."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def csv_text(table: CsvTable) -> str:
    out = StringIO()
    csv.writer(out, lineterminator="\n").writerows((table.heads, *table.rows))
    return out.getvalue()


def cost_rows(report: CostReport) -> CsvTable:
    """A row for each instance, volume and address that costs or has cost: the long form, to be summed as one likes."""
    return CsvTable(_COST, tuple(row for one in report.charges for row in _charge_rows(report.cluster, one)))


def _charge_rows(cluster: str, one: Charge) -> Sequence[tuple[str, ...]]:
    life = one.usage
    whose = (
        cluster,
        life.region,
        life.zone,
        life.type,
        life.id,
        "yes" if life.spot else "no",
        time_text(life.started_at),
        "" if life.ended_at is None else time_text(life.ended_at),
        "yes" if life.interrupted else "no",
    )
    priced = one.unpriced_s == 0
    items = (
        ("instance", bool(life.type), one.instance_usd if priced else None, one.on_demand_usd),
        ("volume", bool(life.volume_gib), one.volume_usd, one.volume_usd),
        ("address", life.address, one.address_usd, one.address_usd),
    )
    return [
        (*whose, item, hours(one.seconds), exact(usd) or "", exact(dear) or "")
        for item, there, usd, dear in items
        if there
    ]
