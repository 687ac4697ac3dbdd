"""How often AWS takes spot instances back: a public file of AWS's, behind its Spot Instance Advisor. There is no API for it."""

from __future__ import annotations

import json
from typing import Any

from bacalhau_spot.cloud.web import FetchError, fetch

# What the Spot Instance Advisor's page (https://aws.amazon.com/ec2/spot/instance-advisor/) reads. Its format is not documented.
ADVISOR_URL = "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json"
_TIMEOUT_S = 5.0
_MOST_BYTES = 32 << 20
_BANDS = range(5)

Rates = dict[str, dict[str, int]]  # region -> type -> an index of core.placement.offers.INTERRUPTIONS


async def interruption_rates(url: str = ADVISOR_URL) -> Rates | None:
    """The band of each region's Linux types; None when they cannot be found out within seconds. No address: not asked."""
    if not url:
        return None
    try:
        # A proxy of the environment is for the way to AWS, not to an address that was given explicitly.
        raw = await fetch(url, timeout_s=_TIMEOUT_S, max_bytes=_MOST_BYTES, proxies=url == ADVISOR_URL)
        return parse_rates(json.loads(raw))
    except (FetchError, ValueError, RecursionError):
        return None


def parse_rates(data: Any) -> Rates | None:
    """The file's content as rates; None when it has another form than it had. What makes no sense in it is left out."""
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
