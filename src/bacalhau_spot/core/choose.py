"""Which regions to use when the configuration leaves it open: those where the cluster is already, then the cheapest."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


def typical_usd_per_hour(prices: Mapping[tuple[str, str], Decimal]) -> Decimal | None:
    """What a node in a region typically costs: the mean, over its zones, of each zone's cheapest pool; None without any.

    Not the single cheapest pool: AWS weighs capacity against price and seldom puts all nodes there.
    """
    cheapest: dict[str, Decimal] = {}
    for (_, zone), price in prices.items():
        cheapest[zone] = min(price, cheapest.get(zone, price))
    return sum(cheapest.values(), start=Decimal(0)) / len(cheapest) if cheapest else None


def choose(
    count: int, *, present: Collection[str], prices: Mapping[str, Mapping[tuple[str, str], Decimal]]
) -> Sequence[str]:
    """The names of `count` regions, by name. Where the cluster has nodes it stays: the choice of a reached state is itself."""
    ranked = sorted(
        (typical, name)
        for name, region in prices.items()
        if name not in present and (typical := typical_usd_per_hour(region)) is not None
    )
    kept = sorted(present)[:count]
    return sorted([*kept, *(name for _, name in ranked[: count - len(kept)])])
