"""The hourly cost of a plan before the launch: instances, volumes, addresses; and the on-demand price for comparison.

Rules:
1. AWS chooses the pools, so a price is a range: from every node in the cheapest pool to every node in the dearest one
   that `max_price_usd_per_hour` allows.
2. Where AWS returns no price for some pool, that limit is the upper bound; without a limit the price is unknown.
3. A budget applies to the whole cluster: existing nodes count, and an unknown price counts as over the budget.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from bacalhau_spot.core.pricing.cost import saving
from bacalhau_spot.core.pricing.list_prices import HOURS_A_MONTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bacalhau_spot.core.model import ClusterSpec, Instance, Offer
    from bacalhau_spot.core.pricing.cost import Rates


@dataclass(frozen=True, slots=True)
class PriceRange:
    """From the least to the most, in USD per hour."""

    low: Decimal
    high: Decimal

    def plus(self, usd: Decimal) -> PriceRange:
        return PriceRange(self.low + usd, self.high + usd)

    @property
    def month(self) -> PriceRange:
        return PriceRange(self.low * HOURS_A_MONTH, self.high * HOURS_A_MONTH)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The hourly cost of launches. None: unknown; `on_demand`: the instances alone."""

    instances: PriceRange | None
    volumes_usd: Decimal
    addresses_usd: Decimal
    on_demand: PriceRange | None

    @property
    def total(self) -> PriceRange | None:
        return self._with_extras(self.instances)

    @property
    def on_demand_total(self) -> PriceRange | None:
        return self._with_extras(self.on_demand)

    @property
    def saving(self) -> PriceRange | None:
        """The part of the on-demand price that is saved, at the least and at the most."""
        if self.total is None or self.on_demand_total is None:
            return None
        parts = (
            saving(self.total.low, self.on_demand_total.low),
            saving(self.total.high, self.on_demand_total.high),
        )
        known = [part for part in parts if part is not None]
        return PriceRange(min(known), max(known)) if known else None

    def _with_extras(self, prices: PriceRange | None) -> PriceRange | None:
        return None if prices is None else prices.plus(self.volumes_usd + self.addresses_usd)


@dataclass(frozen=True, slots=True)
class Budget:
    """The maximum hourly cost of the cluster, and its actual cost. None: unknown.

    `existing_usd`: of the existing nodes; `launch_usd`: the maximum of the launches.
    """

    usd_per_hour: Decimal
    existing_usd: Decimal | None
    launch_usd: Decimal | None

    @property
    def total_usd(self) -> Decimal | None:
        if self.existing_usd is None or self.launch_usd is None:
            return None
        return self.existing_usd + self.launch_usd

    @property
    def satisfied(self) -> bool:
        return self.total_usd is not None and self.total_usd <= self.usd_per_hour


def estimate(
    region: str,
    count: int,
    offers: Sequence[Offer],
    rates: Rates,
    *,
    root_volume_gib: int,
    public_ip: bool = True,
    limit: Decimal | None = None,
) -> Estimate:
    """The hourly cost of `count` nodes in this region. `limit`: the maximum price of one instance."""
    dear = [rates.on_demand.get((region, offer.pool.type)) for offer in offers]
    volume_usd = rates.gib_month_of(region) * root_volume_gib / HOURS_A_MONTH
    return Estimate(
        instances=_multiply(_price_range([offer.usd_per_hour for offer in offers], limit=limit), count),
        volumes_usd=volume_usd * count,
        addresses_usd=rates.address_hour * count if public_ip else Decimal(0),
        on_demand=_multiply(_price_range(dear), count),
    )


def estimate_nodes(
    spec: ClusterSpec, region: str, count: int, offers: Sequence[Offer], rates: Rates
) -> Estimate:
    """`estimate` for nodes of this configuration."""
    return estimate(
        region,
        count,
        offers,
        rates,
        root_volume_gib=spec.instance.root_volume_gib,
        public_ip=spec.instance.public_ip,
        limit=spec.max_price_usd_per_hour,
    )


def _price_range(prices: Sequence[Decimal | None], *, limit: Decimal | None = None) -> PriceRange | None:
    known = [price for price in prices if price is not None]
    complete = bool(known) and len(known) == len(prices)
    if limit is None:
        return PriceRange(min(known), max(known)) if complete else None
    low = min(known, default=limit)
    return PriceRange(min(low, limit), min(max(known), limit) if complete else limit)


def _multiply(price_range: PriceRange | None, count: int) -> PriceRange | None:
    return None if price_range is None else PriceRange(price_range.low * count, price_range.high * count)


def affordable(prices: Mapping[str, Decimal], *, left_usd: Decimal, most: int) -> tuple[tuple[str, ...], int]:
    """The regions, and how many nodes over them, up to `most`, cost no more than `left_usd` wherever each one goes.

    `prices`: the highest cost of a node in each region. More nodes are better than more regions.
    """
    cheapest = sorted(prices, key=lambda name: (prices[name], name))
    best: tuple[tuple[str, ...], int] = ((), 0)
    for size in range(1, len(cheapest) + 1):
        dearest_usd = prices[cheapest[size - 1]]
        count = most if dearest_usd <= 0 else min(most, max(0, int(left_usd / dearest_usd)))
        if count and count >= best[1]:
            best = (tuple(cheapest[:size]), count)
    return best


def sum_estimates(estimates: Iterable[Estimate]) -> Estimate:
    """The sum; unknown if a part is unknown."""
    whole = Estimate(
        PriceRange(Decimal(0), Decimal(0)), Decimal(0), Decimal(0), PriceRange(Decimal(0), Decimal(0))
    )
    for part in estimates:
        whole = replace(
            whole,
            instances=_add(whole.instances, part.instances),
            volumes_usd=whole.volumes_usd + part.volumes_usd,
            addresses_usd=whole.addresses_usd + part.addresses_usd,
            on_demand=_add(whole.on_demand, part.on_demand),
        )
    return whole


def _add(left: PriceRange | None, right: PriceRange | None) -> PriceRange | None:
    return None if left is None or right is None else PriceRange(left.low + right.low, left.high + right.high)


def current_cost(
    instances: Iterable[Instance],
    prices: Mapping[tuple[str, str, str], Decimal],
    rates: Rates,
    *,
    root_volume_gib: int,
    public_ip: bool = True,
) -> Decimal | None:
    """The hourly cost of the running instances; `prices` by (region, type, zone). None while one has no price."""
    usd = Decimal(0)
    for instance in instances:
        if instance.lifecycle == "spot":
            price = prices.get((instance.region, instance.type, instance.zone))
        else:
            price = rates.on_demand.get((instance.region, instance.type))
        if price is None:
            return None
        address_usd = rates.address_hour if public_ip or instance.public_ip else Decimal(0)
        usd += price + address_usd + rates.gib_month_of(instance.region) * root_volume_gib / HOURS_A_MONTH
    return usd
