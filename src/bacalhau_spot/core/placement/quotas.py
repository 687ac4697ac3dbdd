"""How many spot instances an account may have: AWS counts their vCPUs per region, by groups of families.

Sources: EC2 user guide, "Spot Instance quotas" and "Amazon EC2 instance type naming conventions"; Service Quotas, service
`ec2`. AWS also counts requests that are still open; we leave none open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SERVICE = "ec2"


@dataclass(frozen=True, slots=True)
class SpotQuota:
    """One quota, in vCPUs, for the spot instances of some families. `families`: prefixes of their names."""

    code: str
    name: str
    families: tuple[str, ...]


STANDARD = SpotQuota(
    "L-34B43A08",
    "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
    ("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"),
)
SPOT_QUOTAS = (
    STANDARD,
    SpotQuota("L-88CF9481", "All F Spot Instance Requests", ("f",)),
    SpotQuota("L-3819A6DF", "All G and VT Spot Instance Requests", ("g", "gr", "vt")),
    SpotQuota("L-B5D1601B", "All Inf Spot Instance Requests", ("inf",)),
    SpotQuota("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests", ("p2", "p3", "p4")),
    SpotQuota("L-C4BD4855", "All P5 Spot Instance Requests", ("p5",)),
    SpotQuota("L-E3A00192", "All X Spot Instance Requests", ("x",)),
    SpotQuota("L-85EED4F7", "All DL Spot Instance Requests", ("dl",)),
    SpotQuota("L-6B0D517C", "All Trn Spot Instance Requests", ("trn",)),
)
# The quota of on-demand instances of the same families (Service Quotas, service `ec2`).
ON_DEMAND_STANDARD = "L-1216C47A"
ELASTIC_ADDRESSES = "L-0263D0A3"
_BY_FAMILY = {family: quota for quota in SPOT_QUOTAS for family in quota.families}
_NAME = re.compile(r"([a-z]+)([0-9]*)")


@dataclass(frozen=True, slots=True)
class Headroom:
    """A quota in one region: how many vCPUs it allows, and how many the account's spot instances take now."""

    quota: SpotQuota
    vcpus: int
    used: int

    @property
    def vcpus_free(self) -> int:
        return max(0, self.vcpus - self.used)

    def nodes(self, vcpus_each: int) -> int:
        """How many more instances with so many vCPUs it allows."""
        return self.vcpus_free // max(1, vcpus_each)


def family_of(type_name: str) -> str:
    """`m6a` of `m6a.large`."""
    return type_name.partition(".")[0]


def quota_of(type_name: str) -> SpotQuota | None:
    """The quota that counts spot instances of this type; None: unknown, as for metal Macs."""
    match = _NAME.match(type_name)
    if match is None:
        return None
    letters, generation = match.groups()
    return _BY_FAMILY.get(letters + generation) or _BY_FAMILY.get(letters)


def quotas_of(type_names: Iterable[str]) -> tuple[SpotQuota, ...]:
    """The quotas that count any of these types, each once, in the table's order."""
    codes = {quota.code for name in type_names if (quota := quota_of(name)) is not None}
    return tuple(quota for quota in SPOT_QUOTAS if quota.code in codes)


def used_vcpus(counts: Mapping[str, int], vcpus: Mapping[str, int]) -> dict[str, int]:
    """The usage of each quota, in vCPUs by its code.

    `counts`: spot instances by type; `vcpus`: of each type; an unknown type counts as one.
    """
    used: dict[str, int] = {}
    for name, count in counts.items():
        quota = quota_of(name)
        if quota is not None:
            used[quota.code] = used.get(quota.code, 0) + count * vcpus.get(name, 1)
    return used
