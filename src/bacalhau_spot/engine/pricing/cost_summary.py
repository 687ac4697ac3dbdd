"""The cost of instances that a command has listed anyway: at most one call for prices a region, and two for all regions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bacalhau_spot.core.model import PricePoint
from bacalhau_spot.core.pricing.cost import Window
from bacalhau_spot.core.pricing.cost_summary import cost_summary
from bacalhau_spot.core.pricing.usage_history import AwsInventory, usage_history
from bacalhau_spot.engine.pricing.cost import (
    ClusterUsage,
    first_starts,
    priced_report,
    spot_pools,
    usage_prices,
)
from bacalhau_spot.engine.pricing.heard_prices import HEARD_FOR, remember_prices, remembered_prices

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bacalhau_spot.core.model import ClusterSpec, Instance
    from bacalhau_spot.core.pricing.cost_summary import CostSummary
    from bacalhau_spot.core.pricing.usage_history import LoggedInstance
    from bacalhau_spot.engine.aws_calls.cache import Cache
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


@dataclass(frozen=True, slots=True)
class PriceMemory:
    """The prices that commands on this machine heard, of one account."""

    cache: Cache
    account_id: str

    def points(self, usage: ClusterUsage) -> dict[str, tuple[PricePoint, ...]]:
        """The regions whose spot instances all began within the last twelve hours, with the prices heard within them.

        A sum over more hours needs the history of prices, which `cost` always asks for.
        """
        priced = [life for life in usage.market_data if life.type]
        starts = first_starts(priced, usage.window)
        found: dict[str, tuple[PricePoint, ...]] = {}
        for region, pools in spot_pools(priced).items():
            if starts[region] < usage.window.now - HEARD_FOR:
                continue
            prices = remembered_prices(self.cache, self.account_id, region, pools)
            if prices is not None:
                found[region] = tuple(
                    PricePoint(name, zone, starts[region], usd) for (_, name, zone), usd in prices.items()
                )
        return found

    def remember(self, points: Mapping[str, Sequence[PricePoint]]) -> None:
        """The latest price of each pool."""
        latest = {
            (region, point.type, point.zone): point.usd_per_hour
            for region, changes in points.items()
            for point in sorted(changes, key=lambda point: point.since)
        }
        remember_prices(self.cache, self.account_id, latest)


async def listed_cost(
    calls: AwsCalls,
    spec: ClusterSpec,
    instances: Sequence[Instance],
    logged: Sequence[LoggedInstance],
    *,
    cluster: str,
    memory: PriceMemory,
    unseen: Collection[str] = (),
) -> CostSummary | None:
    """None without a living instance, because nothing costs then. Volumes have the sizes of the configuration.

    `unseen`: regions that did not answer the list. They are not asked again, and the sum is a minimum without their prices.
    Raises nothing: prices that AWS refuses make the sum a minimum.
    """
    if not any(instance.alive for instance in instances):
        return None
    window = Window(now=calls.clock.now().replace(microsecond=0), since=None)
    history = usage_history(
        AwsInventory(instances=tuple(instances)),
        logged,
        root_volume_gib=spec.instance.root_volume_gib,
        data_volume_gib=spec.orchestrator.volume_gib,
        now=window.now,
    )
    usage = ClusterUsage(cluster, window, history, history.usages, (), (), log_entries=bool(logged))
    heard = memory.points(usage)
    prices = await usage_prices(calls, usage, unasked={*unseen, *heard}, memory=memory.cache)
    memory.remember(prices.points)
    return cost_summary(priced_report(usage, replace(prices, points={**prices.points, **heard})))
