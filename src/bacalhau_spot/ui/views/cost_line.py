"""The line about the cost in `list` and `status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.ui.formatting import usd_sum
from bacalhau_spot.ui.views.blocks import Paragraph

if TYPE_CHECKING:
    from bacalhau_spot.core.pricing.cost_summary import CostSummary


def cost_line(cost: CostSummary | None) -> list[Paragraph]:
    """`cost: $0.27 an hour, $4.12 since 2026-11-24 08:00 UTC`; nothing where nothing costs."""
    if cost is None:
        return []
    now = "unknown" if cost.usd_per_hour is None else f"{usd_sum(cost.usd_per_hour)} an hour"
    least = "" if cost.complete else "at least "
    text = f"{now}, {least}{usd_sum(cost.usd)} since {cost.since:%Y-%m-%d %H:%M} UTC"
    return [Paragraph(text, prefix="cost: ")]
