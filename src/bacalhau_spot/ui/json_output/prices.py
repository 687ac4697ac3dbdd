"""What `prices` prints for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.ui.json_output.cost import exact
from bacalhau_spot.ui.json_output.values import Data, time_text

if TYPE_CHECKING:
    from pathlib import Path

    from bacalhau_spot.core.pricing.price_chart import PriceChart


def prices_data(chart: PriceChart, *, picture: Path | None = None) -> Data:
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
