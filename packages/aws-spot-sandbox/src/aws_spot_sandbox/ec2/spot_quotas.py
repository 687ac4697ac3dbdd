"""Quotas for spot and on-demand instances: vCPUs per region and group of families.

AWS: EC2 User Guide, "Spot Instance quotas", "On-Demand Instance quotas"; the codes are those of Service Quotas.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_spot_sandbox.state import Settings


@dataclass(frozen=True)
class Family:
    code: str
    name: str
    default: int  # of a new account


# By the name used in the switch `spot_vcpu_quota`
FAMILIES = {
    "standard": Family("L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 5),
    "f": Family("L-88CF9481", "All F Spot Instance Requests", 0),
    "g": Family("L-3819A6DF", "All G and VT Spot Instance Requests", 0),
    "inf": Family("L-B5D1601B", "All Inf Spot Instance Requests", 0),
    "p": Family("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests", 0),
    "p5": Family("L-C4BD4855", "All P5 Spot Instance Requests", 0),
    "x": Family("L-E3A00192", "All X Spot Instance Requests", 0),
    "dl": Family("L-85EED4F7", "All DL Spot Instance Requests", 0),
    "trn": Family("L-6B0D517C", "All Trn Spot Instance Requests", 0),
}
ON_DEMAND_FAMILIES = {
    "standard": Family("L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 5),
    "f": Family("L-74FC7D96", "Running On-Demand F instances", 0),
    "g": Family("L-DB2E81BA", "Running On-Demand G and VT instances", 0),
    "inf": Family("L-1945791B", "Running On-Demand Inf instances", 0),
    "p": Family("L-417A185B", "Running On-Demand P instances", 0),
    "x": Family("L-7295265B", "Running On-Demand X instances", 0),
    "dl": Family("L-6E869C2A", "Running On-Demand DL instances", 0),
    "trn": Family("L-2C3B7624", "Running On-Demand Trn instances", 0),
}
_SAME = {"gr": "g", "vt": "g"}
_LETTERS = re.compile(r"([a-z]+)(\d*)")


def family(type_name: str, *, spot: bool = True) -> str:
    families = FAMILIES if spot else ON_DEMAND_FAMILIES
    match = _LETTERS.match(type_name)
    letters, generation = match.groups() if match else ("", "")
    word = _SAME.get(letters, letters)
    if word + generation in families:
        return word + generation
    return word if word in families else "standard"


def allowed(settings: Settings, region: str, word: str, *, spot: bool = True) -> int | None:
    """The narrowest value in the switch: region/family, region, */family, *. None: no limit."""
    limits = settings.spot_vcpu_quota if spot else settings.on_demand_vcpu_quota
    names = (f"{region}/{word}", region, f"*/{word}", "*")
    return next((int(limits[name]) for name in names if name in limits), None)
