"""Spot price history in the terminal: a table with a small curve for each pool; of a single region, a chart, too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from bacalhau_spot.ui.formatting import percent, plural, usd
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, failed_regions_text, next_commands

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from bacalhau_spot.core.pricing.price_chart import PriceChart, PriceLine
    from bacalhau_spot.core.problem import ApiFailure

# As in chart files (ui/chart_files.py), without black, which a dark terminal would hide.
_COLOURS = (
    "bright_blue",
    "bright_yellow",
    "bright_green",
    "bright_magenta",
    "cyan",
    "red",
    "white",
    "bright_cyan",
)
_HEIGHT = 12
# So that no two rows have the same label.
_LEAST_SPAN_USD = (_HEIGHT + 1) * 0.0001
# Part of the price that the height of a chart stands for at least: a change of 1 % must not look like a cliff.
_LEAST_SPAN = 0.2
_BARS = "▁▂▃▄▅▆▇█"
_CURVE = 14  # two characters a day, of a week
_LEAST_WIDTH = 40
_MOST_WIDTH = 140  # in a pipe, which has none
_BESIDE = 26  # width of the axis
_LETTERS = "abcdefgh"
_X = "UTC"
# From this time on, the axis has dates without hours.
_DAYS = timedelta(days=3)


def prices_view(
    chart: PriceChart, *, picture: Path | None = None, unseen: Sequence[ApiFailure] = ()
) -> Group:
    """The chart of a single region, unless it is in a file, the table, and the regions without prices."""
    if not chart.lines and unseen:
        return Group(Text("no spot prices could be read"), *failed_regions_text(unseen))
    if not chart.lines:
        return Group(Text("AWS lists no spot prices for these pools"))
    charted = picture is None and len(chart.regions) == 1
    parts: list[RenderableType] = [_Chart(chart, chart.regions[0])] if charted else []
    parts.append(_table(chart, letters=charted))
    if picture is None and not charted:
        parts += next_commands((f"bacalhau-spot prices --region {chart.regions[0]}",), label="for a chart: ")
    if chart.omitted_lines:
        parts.append(
            Paragraph(
                f"{plural(chart.omitted_lines, 'dearer pool')} not shown; `--type` and `--region` choose",
                style="dim",
            )
        )
    if picture is not None:
        parts.append(Paragraph(f"drawn into {picture}"))
    return Group(*parts, *failed_regions_text(unseen))


def _table(chart: PriceChart, *, letters: bool) -> TextTable:
    money = ("now", "lowest", "highest", "change")
    return TextTable(
        ("", "region", "zone", "type", "trend", *money, "changes", "launched", "taken back"),
        [
            (letter if letters else "", *_row(chart, line))
            for region in chart.regions
            for letter, line in zip(_LETTERS, _of(chart, region), strict=False)
        ],
        right=(*money, "changes", "launched", "taken back"),
        spare=("changes", "taken back", "launched", "lowest", "highest", "change"),
        prose=("",),
    )


def _of(chart: PriceChart, region: str) -> list[PriceLine]:
    return [line for line in chart.lines if line.region == region]


def _row(chart: PriceChart, line: PriceLine) -> tuple[str, ...]:
    prices = [price for _, price in line.steps]
    change = line.last / prices[0] - 1
    happened = {
        what: sum(mark.count for mark in chart.interruptions if mark.line == line and mark.label == what)
        for what in ("launched", "taken back")
    }
    return (
        line.region,
        line.zone.removeprefix(line.region),
        line.type,
        _curve(line, chart),
        usd(line.last),
        usd(min(prices)),
        usd(max(prices)),
        _signed(change),
        str(len(prices) - 1),
        *(str(count) if count else "" for count in happened.values()),
    )


def _signed(change: Decimal) -> str:
    """`+3 %`, `-2 %`, `0 %`"""
    text = percent(abs(change))
    if text == percent(Decimal(0)):
        return text
    return f"{'+' if change > 0 else '-'}{text}"


def _curve(line: PriceLine, chart: PriceChart) -> str:
    """The price at the end of each part of the time, as bars between the lowest and the highest of the line."""
    part = (chart.now - chart.since) / _CURVE
    prices = [float(line.at(chart.since + part * number)) for number in range(1, _CURVE + 1)]
    low, high = _widened(min(prices), max(prices))
    step = (high - low) / len(_BARS) or 1.0
    return "".join(_BARS[min(int((price - low) / step), len(_BARS) - 1)] for price in prices)


def _widened(low: float, high: float) -> tuple[float, float]:
    """At least a part of the price, with the prices in the middle."""
    room = max(0.0, (high * _LEAST_SPAN - (high - low)) / 2)
    return max(0.0, low - room), high + room


@dataclass(frozen=True)
class _Chart:
    """One region's lines, as wide as the terminal; a letter at each change distinguishes them, and colour where available."""

    chart: PriceChart
    region: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        import plotille  # noqa: PLC0415 - only for who wants a chart

        figure = plotille.Figure()
        figure.width = max(_LEAST_WIDTH, min(options.max_width, _MOST_WIDTH) - _BESIDE)
        figure.height = _HEIGHT
        figure.with_colors = not console.no_color and console.is_terminal
        figure.color_mode = "names"
        figure.set_x_limits(min_=_seconds(self.chart.since), max_=_seconds(self.chart.now))
        figure.x_label, figure.y_label = _X, "USD"
        days = self.chart.now - self.chart.since > _DAYS
        figure.x_ticks_fkt = lambda value, _next: _tick(value, "%-d %b" if days else "%d. %H:%M")
        figure.y_ticks_fkt = lambda value, _next: f"{value:.4f}"
        lines = _of(self.chart, self.region)
        low, high = _span(lines)
        figure.set_y_limits(min_=low, max_=high)
        for number, line in enumerate(lines):
            times, prices = _stairs(line, self.chart.now)
            colour = _COLOURS[number % len(_COLOURS)] if figure.with_colors else None
            figure.plot(times, prices, lc=colour, marker=_LETTERS[number])
        yield Text(f"{self.region}: USD per hour, UTC", style="bold")
        # The label at the end of the axis has no room; the title has the unit.
        shown = Text.from_ansi(figure.show().replace(f"> ({_X})", ">"))
        shown.no_wrap = True
        yield shown


def _span(lines: Sequence[PriceLine]) -> tuple[float, float]:
    """The price range of the chart: 10 % more than that of the lines, at least a hundredth of a cent for each row."""
    prices = [float(price) for line in lines for _, price in line.steps]
    low, high = _widened(min(prices), max(prices))
    room = max((high - low) * 0.1, (_LEAST_SPAN_USD - (high - low)) / 2)
    low = max(0.0, low - room)
    return low, max(high + room, low + _LEAST_SPAN_USD)


def _stairs(line: PriceLine, now: datetime) -> tuple[list[float], list[float]]:
    """The corners of a step line."""
    times: list[float] = []
    prices: list[float] = []
    for since, price in (*line.steps, (now, line.last)):
        if prices:
            times.append(_seconds(since))
            prices.append(prices[-1])
        times.append(_seconds(since))
        prices.append(float(price))
    return times, prices


def _seconds(moment: datetime) -> float:
    return moment.timestamp()


def _tick(value: float, form: str) -> str:
    """Day and month, or day and hour, in nine characters at most."""
    return f"{datetime.fromtimestamp(value, UTC):{form}}"
