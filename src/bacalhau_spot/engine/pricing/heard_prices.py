"""Prices that earlier commands heard from AWS, for which the next command needs no call of its own."""

from __future__ import annotations

from datetime import timedelta
from decimal import InvalidOperation
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.ec2_params import parse_usd
from bacalhau_spot.core.pricing.cost import Rates

if TYPE_CHECKING:
    from collections.abc import Collection
    from decimal import Decimal

    from bacalhau_spot.core.pricing.list_prices import Prices
    from bacalhau_spot.engine.aws_calls.cache import Cache

_CACHE = "spot-prices"
_LISTED = "list-prices"
# AWS changes spot prices gradually (EC2 user guide, "Spot Instance pricing history"), and the figures are estimates.
HEARD_FOR = timedelta(hours=12)
# List prices change a few times a year (AWS Price List user guide, "Finding services and products": versions).
_LISTED_FOR = timedelta(days=1)


def remember_prices(cache: Cache, account_id: str, prices: Prices) -> None:
    """By account, because the names of zones are an account's own. The region's earlier prices are replaced."""
    regions: dict[str, dict[str, dict[str, str]]] = {}
    for (region, type_name, zone), usd in prices.items():
        regions.setdefault(region, {}).setdefault(type_name, {})[zone] = str(usd)
    if regions:
        cache.put_all(_CACHE, {f"{account_id}/{region}": types for region, types in regions.items()})


def remembered_prices(
    cache: Cache, account_id: str, region: str, pools: Collection[tuple[str, str]]
) -> Prices | None:
    """The prices of all these (type, zone); None if one of them was not heard within twelve hours."""
    heard = cache.get(_CACHE, f"{account_id}/{region}", max_age=HEARD_FOR)
    if heard is None:
        return None
    try:
        return {(region, name, zone): parse_usd(heard[name][zone]) for name, zone in pools}
    except (TypeError, ValueError, KeyError, InvalidOperation):
        return None  # not all of them were heard, or it is a file that somebody has edited


def remember_rates(cache: Cache, rates: Rates, *, regions: Collection[str], types: Collection[str]) -> None:
    """By region. `regions`, `types`: those that AWS was asked for; one without a price has none tomorrow, too."""
    cache.put_all(
        _LISTED,
        {
            region: {
                "gib_month": _text(rates.gib_month.get(region)),
                "on_demand": {name: _text(rates.on_demand.get((region, name))) for name in types},
            }
            for region in regions
        },
    )


def remembered_rates(cache: Cache, *, regions: Collection[str], types: Collection[str]) -> Rates | None:
    """The list prices of these types there; None if AWS was not asked for one of them within a day."""
    on_demand: dict[tuple[str, str], Decimal] = {}
    gib_month: dict[str, Decimal] = {}
    for region in regions:
        heard = cache.get(_LISTED, region, max_age=_LISTED_FOR)
        if heard is None:
            return None
        try:
            volume, machines = heard["gib_month"], {name: heard["on_demand"][name] for name in types}
            gib_month |= {} if volume is None else {region: parse_usd(volume)}
            on_demand |= {(region, name): parse_usd(usd) for name, usd in machines.items() if usd is not None}
        except (TypeError, ValueError, KeyError, InvalidOperation):
            return None  # not all of them were heard, or it is a file that somebody has edited
    return Rates(on_demand=on_demand, gib_month=gib_month)


def _text(usd: Decimal | None) -> str | None:
    return None if usd is None else str(usd)
