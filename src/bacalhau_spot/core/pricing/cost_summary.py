"""The cost of a cluster in one line: an hour now, and so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from bacalhau_spot.core.pricing.cost_report import CostReport


@dataclass(frozen=True, slots=True)
class CostSummary:
    """`usd`: since `since`; without `complete` at least so much. `usd_per_hour`: now; None: a price is unknown."""

    usd: Decimal
    usd_per_hour: Decimal | None
    since: datetime
    complete: bool = True


def cost_summary(report: CostReport) -> CostSummary | None:
    """None for a cluster without a known usage."""
    if not report.charges:
        return None
    total = report.total
    return CostSummary(
        usd=total.usd,
        usd_per_hour=total.current_usd_per_hour,
        since=min(charge.usage.started_at for charge in report.charges),
        complete=not total.unpriced_s,
    )
