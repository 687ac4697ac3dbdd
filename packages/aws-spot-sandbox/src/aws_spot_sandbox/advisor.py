"""Interruption rates in the form of the file behind AWS's Spot Instance Advisor: plausible ones, the same in every sandbox."""

from __future__ import annotations

import hashlib
from typing import Any

from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT, OPT_IN

# Upper ends of the bands in percent, and how many types of a hundred are in each: most are seldom taken back.
_BANDS = ((5, 55), (11, 20), (16, 12), (22, 7), (100, 6))
_LABELS = ("<5%", "5-10%", "10-15%", "15-20%", ">20%")


def file() -> dict[str, Any]:
    """For every region and every type that moto has data for."""
    # Moto's data takes long to read, and most who use the sandbox never ask.
    from moto.ec2.models.instance_types import INSTANCE_TYPES  # noqa: PLC0415 - as said

    types = sorted(name for name, info in INSTANCE_TYPES.items() if not info.get("BareMetal"))
    return {
        "ranges": [
            {"index": index, "label": label, "dots": index, "max": most}
            for index, (label, (most, _)) in enumerate(zip(_LABELS, _BANDS, strict=True))
        ],
        "spot_advisor": {
            region: {"Linux": {name: {"s": 65, "r": _band(region, name)} for name in types}}
            for region in ENABLED_BY_DEFAULT + OPT_IN
        },
    }


def _band(region: str, name: str) -> int:
    left = int(hashlib.blake2b(f"{region}/{name}".encode(), digest_size=4).hexdigest(), 16) % 100
    for index, (_, share) in enumerate(_BANDS):
        left -= share
        if left < 0:
            return index
    return len(_BANDS) - 1
