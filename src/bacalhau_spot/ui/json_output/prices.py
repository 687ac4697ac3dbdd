"""The output of `prices` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypedDict

from bacalhau_spot.ui.json_output.values import Amount, Count, Keywords, Time, exact, time_text

if TYPE_CHECKING:
    from pathlib import Path

    from bacalhau_spot.core.pricing.price_chart import PriceChart


class PriceStepOutput(TypedDict):
    since: Time
    usd_per_hour: Amount
    """US dollars"""


class PricePoolOutput(TypedDict):
    region: str
    zone: str
    type: str
    usd_per_hour: Amount
    """US dollars, now"""
    steps: list[PriceStepOutput]
    """each price until the next one; the first was valid at `since`"""


class MarkOutput(TypedDict):
    zone: str
    type: str
    at: Time
    label: Annotated[str, Keywords(enum=["launched", "taken back"])]
    instances: Count


class PricesOutput(TypedDict):
    cluster: str
    since: Time
    now: Time
    pools: list[PricePoolOutput]
    interruptions: list[MarkOutput]
    """launches and interruptions of the cluster's instances"""
    omitted_lines: Count
    """the number of more expensive pools left out"""
    picture: str | None
    """the file"""


def prices_data(chart: PriceChart, *, picture: Path | None = None) -> PricesOutput:
    return {
        "cluster": chart.cluster,
        "since": time_text(chart.since),
        "now": time_text(chart.now),
        "pools": [
            {
                "region": line.region,
                "zone": line.zone,
                "type": line.type,
                "usd_per_hour": exact(line.last),
                "steps": [
                    {"since": time_text(since), "usd_per_hour": exact(usd)} for since, usd in line.steps
                ],
            }
            for line in chart.lines
        ],
        "interruptions": [
            {
                "zone": mark.line.zone,
                "type": mark.line.type,
                "at": time_text(mark.moment),
                "label": mark.label,
                "instances": mark.count,
            }
            for mark in chart.interruptions
        ],
        "omitted_lines": chart.omitted_lines,
        "picture": None if picture is None else str(picture),
    }
