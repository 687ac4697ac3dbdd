"""Plausible interruption rates in the format of the Spot Instance Advisor's file, identical in every sandbox."""

from __future__ import annotations

import hashlib
from typing import Any

from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT, OPT_IN

# Upper bounds of the bands in percent, and the share of types in each: most are seldom interrupted.
_BANDS = ((5, 55), (11, 20), (16, 12), (22, 7), (100, 6))
_LABELS = ("<5%", "5-10%", "10-15%", "15-20%", ">20%")


def file() -> dict[str, Any]:
    """The file, for all regions and all types in moto's data."""
    # Imported here, because moto's data loads slowly and most users of the sandbox never need it.
    from moto.ec2.models.instance_types import INSTANCE_TYPES  # noqa: PLC0415 - as above

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
