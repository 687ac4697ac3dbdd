"""Prices from AWS: list prices, which may be denied, and the history of spot prices."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.pricing.cost import Rates
from bacalhau_spot.engine.aws_calls.caller import api_failure, gather_all
from bacalhau_spot.engine.pricing.heard_prices import remember_rates, remembered_rates

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal
    from typing import TypeVar

    from bacalhau_spot.core.model import Instance, PricePoint
    from bacalhau_spot.core.pricing.list_prices import Prices
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.cache import Cache
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

    K = TypeVar("K")

# AWS's history covers 90 days (EC2 API reference, DescribeSpotPriceHistory).
HISTORY_DAYS = 90


async def rates(
    calls: AwsCalls, *, regions: Sequence[str], types: Sequence[str], memory: Cache | None = None
) -> tuple[Rates, tuple[ApiFailure, ...]]:
    """On-demand and volume prices of all regions in two calls, and AWS's refusals. Raises no CloudError.

    Without retries: everything works without these prices, and Pricing is not in EC2's request buckets.
    `memory`: answers of the last day, which need no call.
    """
    failures: list[ApiFailure] = []

    async def ask(call: Callable[[], Awaitable[dict[K, Decimal]]]) -> dict[K, Decimal]:
        try:
            return await call()
        except CloudError as error:
            failures.append(api_failure(error))
            return {}

    if not regions:
        return Rates(), ()
    if memory is not None and (heard := remembered_rates(memory, regions=regions, types=types)) is not None:
        return heard, ()
    on_demand, gib_month = await asyncio.gather(
        ask(partial(calls.cloud.on_demand_prices, regions, types)),
        ask(partial(calls.cloud.volume_prices, regions)),
    )
    found = Rates(on_demand=on_demand, gib_month=gib_month)
    if memory is not None and not failures:
        remember_rates(memory, found, regions=regions, types=types)
    return found, tuple(failures)


async def pool_prices(calls: AwsCalls, region: str, types: Collection[str]) -> Prices:
    """The current prices of the pools of these types. Raises CloudError."""
    answers = await calls.read(region, partial(calls.cloud.spot_prices, region, sorted(types)))
    return {(region, name, zone): usd for (name, zone), usd in answers.items()}


async def prices_now(calls: AwsCalls, instances: Sequence[Instance]) -> Prices:
    """The current prices of their pools: one call per region. Raises CloudError."""
    types: dict[str, set[str]] = {}
    for instance in instances:
        types.setdefault(instance.region, set()).add(instance.type)
    parts = await gather_all(*(pool_prices(calls, region, names) for region, names in types.items()))
    return {pool: usd for part in parts for pool, usd in part.items()}


async def price_history(
    calls: AwsCalls,
    pools: Mapping[str, Sequence[tuple[str, str]]],
    *,
    since: Mapping[str, datetime],
    now: datetime,
) -> tuple[dict[str, tuple[PricePoint, ...]], tuple[ApiFailure, ...]]:
    """The price history of these pools (region -> (type, zone); an empty zone means all), and AWS's refusals.

    One call per region.
    """
    failures: list[ApiFailure] = []

    async def region_history(region: str) -> tuple[PricePoint, ...]:
        types = sorted({type_name for type_name, _ in pools[region]})
        zones = sorted({zone for _, zone in pools[region]} - {""})
        ask = partial(calls.cloud.spot_history, region, types, since=since[region], until=now, zones=zones)
        try:
            return await calls.read(region, ask)
        except CloudError as error:
            failures.append(api_failure(error))
            return ()

    answers = await gather_all(*(region_history(region) for region in pools))
    return dict(zip(pools, answers, strict=True)), tuple(failures)
