"""Charts as files: PNG, SVG and HTML.

altair draws them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import chart_library

if TYPE_CHECKING:
    from pathlib import Path

    from bacalhau_spot.core.pricing.price_chart import PriceChart, PriceLine

FORMATS = (".png", ".svg", ".html")

# Colours by Okabe and Ito, distinguishable with any colour vision ("Color Universal Design", 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B8A800")
_SHAPES = {"launched": "triangle-up", "taken back": "cross"}
_WIDTH, _HEIGHT = 760, 210
# Sharp on any screen; and a page that needs no network.
_OPTIONS: dict[str, dict[str, Any]] = {"png": {"scale_factor": 2}, "html": {"inline": True}}


def check_format(path: Path) -> None:
    """Raises UserError for an unsupported file extension."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(
            f"--plot: {path.name} has none of the extensions {', '.join(FORMATS)}",
            hint="the file extension selects the format: prices.png, prices.svg, prices.html",
            exit_code=ExitCode.USAGE,
        )


def draw(chart: PriceChart, path: Path) -> None:
    """Writes the chart. Raises UserError when the library is missing or the file cannot be written."""
    altair = chart_library.load_charts(
        "an image file", instead="`prices` draws the chart in the terminal without `--plot`"
    )
    made = _chart(altair, chart)
    form = path.suffix.lower().removeprefix(".")
    try:
        made.save(str(path), format=form, **_OPTIONS.get(form, {}))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error


def _chart(alt: Any, chart: PriceChart) -> Any:
    rows = [_region(alt, chart, region) for region in chart.regions]
    titled = alt.vconcat(*rows, spacing=24).resolve_scale(color="independent", shape="shared")
    period = f"{chart.since:%Y-%m-%d %H:%M} to {chart.now:%Y-%m-%d %H:%M} UTC"
    title = alt.TitleParams(
        f"EC2 spot prices for {chart.cluster}",
        subtitle=f"Linux, {period}; the price axes do not begin at zero",
        anchor="start",
        fontSize=16,
        offset=12,
    )
    return titled.properties(title=title, background="white").configure_view(stroke="#cccccc")


def _region(alt: Any, chart: PriceChart, region: str) -> Any:
    lines = [line for line in chart.lines if line.region == region]
    names = [line.name for line in lines]
    time = alt.X(
        "time:T",
        title="time (UTC)",
        scale=alt.Scale(type="utc", domain=[_text(chart.since), _text(chart.now)]),
        axis=alt.Axis(format="%d %b %H:%M", labelAngle=0, tickCount=7, labelOverlap=True),
    )
    price = alt.Y("usd:Q", title="USD per hour", scale=alt.Scale(zero=False, nice=True))
    pool = alt.Color(
        "pool:N",
        title="pool",
        sort=names,
        scale=alt.Scale(domain=names, range=list(COLOURS[: len(names)])),
        legend=alt.Legend(symbolType="stroke", symbolStrokeWidth=3),
    )
    tips = [
        alt.Tooltip("pool:N"),
        alt.Tooltip("usd:Q", title="USD per hour", format=".4f"),
        alt.Tooltip("utc:N", title="UTC"),
    ]
    steps = (
        alt.Chart(alt.Data(values=[row for line in lines for row in _rows(line, chart)]))
        .mark_line(interpolate="step-after", strokeWidth=2.2)
        .encode(x=time, y=price, color=pool, tooltip=tips)
    )
    marks = [_mark(mark) for mark in chart.interruptions if mark.line.region == region]
    layers = [steps]
    if marks:
        shape = alt.Shape(
            "what:N",
            title="instances",
            scale=alt.Scale(domain=list(_SHAPES), range=list(_SHAPES.values())),
        )
        layers.append(
            alt.Chart(alt.Data(values=marks))
            .mark_point(size=110, filled=True, color="#000000", opacity=0.85)
            .encode(
                x=time, y=price, shape=shape, tooltip=[alt.Tooltip("what:N"), alt.Tooltip("count:Q"), *tips]
            )
        )
    return alt.layer(*layers).properties(
        width=_WIDTH, height=_HEIGHT, title=alt.TitleParams(region, anchor="start", fontSize=13)
    )


def _rows(line: PriceLine, chart: PriceChart) -> list[dict[str, Any]]:
    return [_row(line, since, usd) for since, usd in (*line.steps, (chart.now, line.last))]


def _mark(mark: Any) -> dict[str, Any]:
    row = _row(mark.line, mark.moment, mark.line.at(mark.moment))
    return {**row, "what": mark.label, "count": mark.count}


def _row(line: PriceLine, moment: Any, usd: Any) -> dict[str, Any]:
    return {
        "pool": line.name,
        "time": _text(moment),
        "usd": float(usd),
        "utc": f"{moment:%Y-%m-%d %H:%M}",
    }


def _text(moment: Any) -> str:
    return str(moment.isoformat(timespec="seconds"))
