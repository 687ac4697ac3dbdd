"""The cost of a cluster, and the gaps in it."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from rich.console import Group

from bacalhau_spot.core.pricing.list_prices import HOURS_A_MONTH
from bacalhau_spot.ui.formatting import IN_NO_SUM, error_label, percent, plural, usd
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, failed_regions_text, next_commands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from bacalhau_spot.core.pricing.cost import CostTotal
    from bacalhau_spot.core.pricing.cost_report import CostReport

_NAMES = {
    "region": ("region",),
    "zone": ("region", "zone"),
    "type": ("type",),
    "pool": ("region", "zone", "type"),
    "instance": ("region", "zone", "type", "instance"),
}
_NUMBERS = (
    *("nodes", "running", "hours", "instances", "volumes", "addresses"),
    *("total", "on demand", "saved", "now per hour"),
)
# Columns to drop in a narrow window, in this order.
_SPARE = ("running", "hours", "addresses", "volumes", "instances", "saved", "on demand", "nodes")
_UNKNOWN = "unknown"
_AT_LEAST = "+"  # a sum that lacks a price
_HOUR_S = Decimal(3600)


def cost_view(report: CostReport, *, by: str, wide: bool = False) -> Group:
    """A row for each group, the total, the main sentence, and the gaps."""
    parts: list[RenderableType] = []
    if report.charges:
        also = [grouping for grouping in ("type", "zone") if grouping != by] if wide else []
        parts += [_table(report, by), *_total(report)]
        for grouping in also:
            parts += [Paragraph(""), _table(report, grouping)]
    else:
        parts.append(Paragraph(_empty(report)))
        parts.extend(next_commands(("bacalhau-spot create",)) if not report.failed_regions else ())
    if report.charges:
        parts += _listed("Assumptions:", assumptions(report))
    parts += _listed("Not included:", gaps(report))
    parts.extend(failed_regions_text(report.failed_regions))
    return Group(*parts)


def _listed(head: str, lines: Sequence[str]) -> list[RenderableType]:
    shown = [Paragraph(f"- {line}", style="dim") for line in lines]
    return [Paragraph(""), Paragraph(head, style="bold"), *shown] if shown else []


def _empty(report: CostReport) -> str:
    where = plural(len(report.regions_scanned), "region")
    since = f" since {report.window.since:%Y-%m-%d %H:%M} UTC" if report.window.since else ""
    return f"no record of {report.cluster}'s costs{since}; scanned {where}"


def _table(report: CostReport, by: str) -> TextTable:
    names = _NAMES[by]
    groups = report.by(by)
    return TextTable(
        (*names, *_NUMBERS),
        [(*_labels(name), *_cells(each)) for name, each in groups.items()],
        right=_NUMBERS,
        spare=_SPARE,
        prose=("",),
        total=("total", *("" for _ in names[1:]), *_cells(report.total)) if len(groups) > 1 else None,
    )


def _labels(name: tuple[str, ...]) -> tuple[str, ...]:
    """A zone without its region's name; volumes and addresses that count apart have no type, addresses no zone."""
    region = name[0]
    return tuple(
        (label.removeprefix(region) or "-") if number == 1 else label or "(no instance)"
        for number, label in enumerate(name)
    )


def _cells(total: CostTotal) -> tuple[str, ...]:
    more = _AT_LEAST if total.unpriced_s else ""
    return (
        str(total.instances),
        str(total.running),
        str((total.seconds / _HOUR_S).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)),
        usd(total.instance_usd) + more,
        usd(total.volume_usd),
        usd(total.address_usd),
        usd(total.usd) + more,
        _known(total.on_demand_usd),
        "" if total.saving is None else percent(total.saving),
        _known(total.current_usd_per_hour),
    )


def _known(amount: Decimal | None) -> str:
    return _UNKNOWN if amount is None else usd(amount)


def _total(report: CostReport) -> list[RenderableType]:
    whole = report.total
    begun = report.window.since or min(charge.usage.started_at for charge in report.charges)
    least = "at least " if whole.unpriced_s else ""
    words = f"{report.cluster}: {least}{usd(whole.usd)} since {begun:%Y-%m-%d %H:%M} UTC"
    lines: list[RenderableType] = [Paragraph(words, style="bold")]
    if whole.on_demand_usd is not None and whole.saving is not None:
        dear = f"on demand: {usd(whole.on_demand_usd)}"
        lines.append(Paragraph(f"{dear}: {percent(whole.saving)} saved"))
    rate = whole.current_usd_per_hour
    if rate is None:
        now = "the current cost is not known"
    else:
        now = f"now {usd(rate)} an hour, {usd(rate * HOURS_A_MONTH)} a month" if rate else "now $0 an hour"
    lines.append(Paragraph(now))
    if report.orchestrator is not None:
        lines.append(Paragraph(_orchestrator(report.orchestrator), prefix="orchestrator: "))
    return lines


def _orchestrator(part: CostTotal) -> str:
    """`$0.6984 of it (instance $0.4992, volumes $0.0792, address $0.1200), now $0.0291 an hour`"""
    least = "at least " if part.unpriced_s else ""
    shares = (
        f"instance {usd(part.instance_usd)}, volumes {usd(part.volume_usd)}, address {usd(part.address_usd)}"
    )
    return f"{least}{usd(part.usd)} of it ({shares}), now {_known(part.current_usd_per_hour)} an hour"


def assumptions(report: CostReport) -> list[str]:
    """The assumptions behind the numbers."""
    lines: list[str] = []
    history = report.usages
    if history.log_only:
        noun = plural(history.log_only, "instance")
        lines.append(f"{noun} that AWS no longer lists: counted from this machine's audit log")
    if history.unknown_end_ids:
        noun = plural(len(history.unknown_end_ids), "instance")
        lines.append(
            f"{noun} without a recorded termination: counted until last seen, so the cost is a minimum"
        )
    if history.assumed_volumes:
        noun = plural(history.assumed_volumes, "instance")
        lines.append(f"the deleted volumes of {noun}: counted at the size in the configuration")
    if history.assumed_addresses:
        lines.append(
            "the orchestrator's address: counted since its first volume; AWS returns no allocation time"
        )
    return lines


def gaps(report: CostReport) -> list[str]:
    """The gaps in the numbers, the most specific first."""
    lines: list[str] = []
    unpriced_s = report.total.unpriced_s
    if unpriced_s:
        spent = (unpriced_s / _HOUR_S).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)
        lines.append(f"{spent} hours without a known spot price; totals without them carry a {_AT_LEAST}")
    lines += sorted(
        {
            _unpriced(failure.operation, failure.code, failure.region)
            for failure in (*report.unpriced, *report.unlisted_prices)
        }
    )
    log = (
        "this machine's audit log does not contain"
        if report.log_entries
        else "no audit log on this machine contains"
    )
    lines.append(f"instances that ended more than an hour ago, which AWS no longer lists and {log}")
    lines.append(IN_NO_SUM)
    return lines


def _unpriced(operation: str, code: str, region: str) -> str:
    why = error_label(code)
    if operation == "GetProducts":
        return f"a comparison with on demand: AWS's price list could not be read ({why}); volumes are at list price"
    return f"the spot prices of {region}: they could not be read ({why})"
