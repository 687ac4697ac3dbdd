"""AWS's list prices besides those of instances. The only place for them; usage is in core/pricing/cost.py.

Sources: "Amazon EC2 pricing", "Amazon EBS pricing", "Amazon VPC pricing", us-east-1, 2026. Other regions differ by up
to 50 %: a region's own price list takes precedence where it can be read (`cloud.port.Prices`). A public IPv4 address
costs the same in every region (AWS News Blog, "AWS Public IPv4 Address Charge", 2023).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import ORCHESTRATOR_ROLE, ROLE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.core.pricing.cost import Rates

HOURS_A_MONTH = Decimal(730)  # AWS's own figure in its price lists

# The type of volume in a region's price list (`cloud.port.Prices.volume_prices`), and of the program's own volumes.
_LISTED_VOLUME = "gp3"
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
# Per hour, on demand: of the orchestrator's default type, because its cost is part of every plan's.
_ON_DEMAND = {"t3.small": Decimal("0.0208")}
_SNAPSHOT = Decimal("0.05")
_EACH = {
    ResourceKind.ADDRESS: Decimal("0.005"),
    ResourceKind.NAT_GATEWAY: Decimal("0.045"),
    ResourceKind.ENDPOINT: Decimal("0.01"),
    ResourceKind.SECRET: Decimal("0.40") / HOURS_A_MONTH,
    ResourceKind.ALARM: Decimal("0.10") / HOURS_A_MONTH,
}

ADDRESS_USD_PER_HOUR = _EACH[ResourceKind.ADDRESS]

# (region, type, zone) -> USD per hour
Prices = dict[tuple[str, str, str], Decimal]


def gib_usd_per_month(volume_type: str = "gp3") -> Decimal:
    """The price of a GiB of a volume; an unknown type counts as gp3."""
    return _VOLUMES.get(volume_type, _VOLUMES["gp3"])


def on_demand_usd_per_hour(instance_type: str) -> Decimal | None:
    """The list price of an on-demand instance; None for other types than the orchestrator's default."""
    return _ON_DEMAND.get(instance_type)


def usd_per_hour(
    resources: Iterable[Resource], *, spot: Mapping[tuple[str, str, str], Decimal], rates: Rates
) -> Decimal | None:
    """The hourly cost of these resources; None while an instance has no price. A kind without a price counts as zero."""
    prices = [_one(resource, spot, rates) for resource in resources]
    known = [price for price in prices if price is not None]
    return sum(known, Decimal(0)) if len(known) == len(prices) else None


def _one(resource: Resource, spot: Mapping[tuple[str, str, str], Decimal], rates: Rates) -> Decimal | None:
    kind = ResourceKind(resource.kind)
    if kind is ResourceKind.INSTANCE:
        return _instance(resource, spot, rates)
    if kind is ResourceKind.VOLUME:
        return _gib_month(resource, rates) * resource.size_gib / HOURS_A_MONTH
    if kind is ResourceKind.SNAPSHOT:
        return _SNAPSHOT * resource.size_gib / HOURS_A_MONTH
    return _EACH.get(kind, Decimal(0))


def _gib_month(volume: Resource, rates: Rates) -> Decimal:
    """The region's own price where its list has the type; the list is of gp3."""
    own = rates.gib_month.get(volume.region) if volume.type == _LISTED_VOLUME else None
    return gib_usd_per_month(volume.type) if own is None else own


def _instance(
    resource: Resource, spot: Mapping[tuple[str, str, str], Decimal], rates: Rates
) -> Decimal | None:
    """At the pool's price, which does not include the public address.

    An orchestrator is on demand, and its Elastic IP address is a resource of its own. Without a list price of its type the
    pool's price is a lower bound.
    """
    price = spot.get((resource.region, resource.type, resource.zone))
    if resource.tags.get(ROLE_KEY) == ORCHESTRATOR_ROLE:
        listed = rates.on_demand.get((resource.region, resource.type))
        return listed or on_demand_usd_per_hour(resource.type) or price
    return None if price is None else price + _EACH[ResourceKind.ADDRESS]
