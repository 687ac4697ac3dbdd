"""Interruption rates from the public file behind AWS's Spot Instance Advisor. AWS has no API for them."""

from __future__ import annotations

import json
from typing import Any

from bacalhau_spot.cloud.web import FetchError, fetch

# The data of the Spot Instance Advisor's page (https://aws.amazon.com/ec2/spot/instance-advisor/). Its format is not
# documented.
ADVISOR_URL = "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json"
_TIMEOUT_S = 5.0
_MOST_BYTES = 32 << 20
_BANDS = range(5)

Rates = dict[str, dict[str, int]]  # region -> type -> an index of core.placement.offers.INTERRUPTIONS


async def interruption_rates(url: str = ADVISOR_URL) -> Rates | None:
    """The band of each region's Linux types; None without an answer within seconds, or with an empty `url`."""
    if not url:
        return None
    try:
        # An explicit address does not use the environment's proxy, which is for access to AWS.
        raw = await fetch(url, timeout_s=_TIMEOUT_S, max_bytes=_MOST_BYTES, proxies=url == ADVISOR_URL)
        return parse_rates(json.loads(raw))
    except (FetchError, ValueError, RecursionError):
        return None


def parse_rates(data: Any) -> Rates | None:
    """The file's content as rates; None if the format has changed. Invalid entries are omitted."""
    regions = data.get("spot_advisor") if isinstance(data, dict) else None
    if not isinstance(regions, dict):
        return None
    rates: Rates = {}
    for region, systems in regions.items():
        types = systems.get("Linux") if isinstance(systems, dict) else None
        rows = types.items() if isinstance(types, dict) else ()
        rates[region] = {name: row["r"] for name, row in rows if _sensible(row)}
    return rates


def _sensible(row: Any) -> bool:
    return isinstance(row, dict) and type(row.get("r")) is int and row["r"] in _BANDS
