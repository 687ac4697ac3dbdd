"""The instance types of a group, within AWS's limits for groups."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from bacalhau_spot.core.launch.group_plan import MAX_OWN_VERSIONS, MAX_TYPES
from bacalhau_spot.core.placement.pool_distribution import burstable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import Arch, Offer

_LAST = Decimal("Infinity")


def group_types(offers: Sequence[Offer]) -> dict[str, tuple[Arch, bool]]:
    """The cheapest instance types that a group can have, each with its architecture and whether it is burstable.

    Types of each such pair share a version of the launch template; AWS limits those besides the group's own.
    """
    prices: dict[str, Decimal] = {}
    kinds: dict[str, tuple[Arch, bool]] = {}
    for offer in offers:
        name = offer.pool.type
        price = _LAST if offer.usd_per_hour is None else offer.usd_per_hour
        prices[name] = min(price, prices.get(name, _LAST))
        kinds[name] = (offer.arch, burstable(name))
    ordered = sorted(prices, key=lambda name: (prices[name], name))[:MAX_TYPES]
    counts = Counter(kinds[name] for name in ordered)
    main = max(counts, key=lambda kind: (counts[kind], kind), default=None)
    others = [name for name in ordered if kinds[name] != main][:MAX_OWN_VERSIONS]
    return {name: kinds[name] for name in ordered if kinds[name] == main or name in others}


def left_out_types(offers: Sequence[Offer]) -> tuple[str, ...]:
    """The acceptable types that the group cannot have."""
    return tuple(sorted({offer.pool.type for offer in offers} - set(group_types(offers))))
