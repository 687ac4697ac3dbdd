"""What the kinds that cost money without running cost, in USD per hour: AWS's list prices.

Sources: "Amazon EC2 pricing", "Amazon EBS pricing", "Amazon VPC pricing", us-east-1, 2026. Other regions differ by up to a
half; an estimate of what stops costing need not be better. Instances are priced by their capacity pool.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from bacalhau_spot.core.teardown import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bacalhau_spot.core.model import Resource

HOURS_A_MONTH = Decimal(730)

# Per GiB and month.
_VOLUMES = {
    "gp3": Decimal("0.08"),
    "gp2": Decimal("0.10"),
    "io1": Decimal("0.125"),
    "io2": Decimal("0.125"),
    "st1": Decimal("0.045"),
    "sc1": Decimal("0.015"),
    "standard": Decimal("0.05"),
}
_SNAPSHOT = Decimal("0.05")
_EACH = {
    Kind.ADDRESS: Decimal("0.005"),
    Kind.NAT_GATEWAY: Decimal("0.045"),
    Kind.ENDPOINT: Decimal("0.01"),
    Kind.SECRET: Decimal("0.40") / HOURS_A_MONTH,
    Kind.ALARM: Decimal("0.10") / HOURS_A_MONTH,
}

# (region, type, zone) -> USD per hour
Prices = dict[tuple[str, str, str], Decimal]


def usd_per_hour(resources: Iterable[Resource], *, spot: Mapping[tuple[str, str, str], Decimal]) -> Decimal:
    """What stops costing when they are gone; what has no price counts as nothing."""
    return sum((_one(resource, spot) for resource in resources), Decimal(0))


def _one(resource: Resource, spot: Mapping[tuple[str, str, str], Decimal]) -> Decimal:
    kind = Kind(resource.kind)
    if kind is Kind.INSTANCE:
        # Beside the instance its public address, which the pool's price does not hold.
        return spot.get((resource.region, resource.type, resource.zone), Decimal(0)) + _EACH[Kind.ADDRESS]
    if kind is Kind.VOLUME:
        return _VOLUMES.get(resource.type, _VOLUMES["gp3"]) * resource.size_gib / HOURS_A_MONTH
    if kind is Kind.SNAPSHOT:
        return _SNAPSHOT * resource.size_gib / HOURS_A_MONTH
    return _EACH.get(kind, Decimal(0))
