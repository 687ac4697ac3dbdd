"""A backtest: what the configuration and the alternatives would have cost."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.ui.formatting import age, first_few, percent, plural, usd, usd_range
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, failed_regions_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from rich.console import RenderableType

    from bacalhau_spot.core.pricing.backtest import Backtest, BacktestCost, BacktestRow
    from bacalhau_spot.core.problem import ApiFailure

_NUMBERS = ("nodes", "average", "lowest", "highest", "above limit", "cost", "range", "on demand", "saved")
_SPARE = ("range", "highest", "lowest", "on demand", "nodes", "types")
_UNKNOWN = "unknown"


def backtest_view(found: Backtest, *, calls: int, failures: Sequence[ApiFailure] = ()) -> Group:
    """A table each for the configuration, the alternatives and the single types; the main sentence; the limits."""
    parts: list[RenderableType] = [
        Paragraph(f"{plural(found.nodes, 'node')} from {_period(found)}", style="bold"),
        *_section("as configured", found.configured, found, total=True),
        *_section("all nodes in one other region", found.alternatives, found),
        *_section("one instance type alone, by region", found.types, found),
        Paragraph(""),
        *_sentences(found),
        *(Paragraph(f"- {line}", style="dim") for line in backtest_limits(found, calls=calls)),
        *failed_regions_text(failures),
    ]
    return Group(*parts)


def _period(found: Backtest) -> str:
    period = found.period
    return f"{period.since:%Y-%m-%d %H:%M} to {period.until:%Y-%m-%d %H:%M} UTC ({age(period.until - period.since)})"


def _section(
    title: str, rows: Sequence[BacktestRow], found: Backtest, *, total: bool = False
) -> list[RenderableType]:
    if not rows:
        return []
    whole = ("total", "", str(found.nodes), *_cells(found.total, found)) if total and len(rows) > 1 else None
    table = TextTable(
        ("region", "types", *_NUMBERS),
        [(row.region, first_few(row.types), str(row.nodes), *_cells(row.cost, found)) for row in rows],
        right=_NUMBERS,
        spare=_SPARE,
        prose=("types",),
        total=whole,
    )
    return [Paragraph(""), Paragraph(title, style="bold"), table]


def _cells(cost: BacktestCost | None, found: Backtest) -> tuple[str, ...]:
    if cost is None:
        return ("no price", *[""] * 7)
    limited = found.period.limit is not None
    partial = cost.known < found.period.until - found.period.since
    return (
        usd(cost.average),
        usd(cost.lowest),
        usd(cost.highest),
        _hours(cost.above) if limited else "",
        usd(cost.typical) + ("+" if partial else ""),
        usd_range(cost.low, cost.high),
        _UNKNOWN if cost.on_demand is None else usd(cost.on_demand),
        "" if cost.saving is None else percent(cost.saving),
    )


def _hours(span: timedelta) -> str:
    hours = Decimal(int(span.total_seconds())) / 3600
    return f"{hours.quantize(Decimal('0.1'), rounding=ROUND_HALF_UP)} h"


def _sentences(found: Backtest) -> list[Paragraph]:
    total = found.total
    if total is None:
        return [Paragraph("AWS returned no prices for a part of the configuration: no total", style="bold")]
    saved = "" if total.saving is None else f", {percent(total.saving)} below on demand"
    lines = [
        Paragraph(f"as configured: {usd(total.typical)} for the instances{saved}", style="bold"),
        Paragraph(f"with volumes and public addresses: {usd(total.typical + found.fixed_usd)}"),
    ]
    best = found.best
    if best is not None and best.cost is not None:
        less = 1 - best.cost.typical / total.typical
        lines.append(
            Paragraph(f"best alternative: {best.region}, {usd(best.cost.typical)}, {percent(less)} less")
        )
    elif found.alternatives:
        lines.append(Paragraph("none of the alternatives would have cost less"))
    return lines


def backtest_limits(found: Backtest, *, calls: int) -> list[str]:
    """What the numbers do not say."""
    lines = [
        "price history is not availability history: AWS does not publish where it would have had capacity, nor interruptions",
        "cost: of a typical node, the mean of each zone's cheapest pool",
        "range: all nodes in the cheapest, or in the most expensive pool at each moment",
    ]
    if found.period.limit is not None:
        lines.append(
            f"above limit: every pool cost more than max_price_usd_per_hour ({usd(found.period.limit)}); no node runs then, "
            "and it costs nothing"
        )
    if any(_partial(row, found) for row in (*found.configured, *found.alternatives, *found.types)):
        lines.append("+: AWS returned no price for a part of the period; the cost is that of the rest")
    if found.others:
        lines.append(
            f"alternatives are the cheapest by today's prices; {plural(found.others, 'other region')} not read: --top reads more"
        )
    lines.append(f"{plural(calls, 'call')} of DescribeSpotPriceHistory")
    return lines


def _partial(row: BacktestRow, found: Backtest) -> bool:
    return row.cost is not None and row.cost.known < found.period.until - found.period.since
