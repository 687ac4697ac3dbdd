"""Spot prices that earlier commands heard from AWS: an estimate of what a deletion saves needs no call of its own."""

from __future__ import annotations

from datetime import timedelta
from decimal import InvalidOperation
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.ec2_params import parse_usd

if TYPE_CHECKING:
    from collections.abc import Collection

    from bacalhau_spot.core.pricing.list_prices import Prices
    from bacalhau_spot.engine.aws_calls.cache import Cache

_CACHE = "spot-prices"
# AWS changes spot prices gradually (EC2 user guide, "Spot Instance pricing history"), and the figure is an estimate.
_MAX_AGE = timedelta(hours=12)


def remember_prices(cache: Cache, account_id: str, prices: Prices) -> None:
    """By account, because the names of zones are an account's own. The region's earlier prices are replaced."""
    regions: dict[str, dict[str, dict[str, str]]] = {}
    for (region, type_name, zone), usd in prices.items():
        regions.setdefault(region, {}).setdefault(type_name, {})[zone] = str(usd)
    for region, types in regions.items():
        cache.put(_CACHE, f"{account_id}/{region}", types)


def remembered_prices(
    cache: Cache, account_id: str, region: str, pools: Collection[tuple[str, str]]
) -> Prices | None:
    """The prices of all these (type, zone); None if one of them was not heard within twelve hours."""
    heard = cache.get(_CACHE, f"{account_id}/{region}", max_age=_MAX_AGE)
    if heard is None:
        return None
    try:
        return {(region, name, zone): parse_usd(heard[name][zone]) for name, zone in pools}
    except (TypeError, ValueError, KeyError, InvalidOperation):
        return None  # not all of them were heard, or it is a file that somebody has edited
