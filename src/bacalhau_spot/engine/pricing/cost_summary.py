"""The cost of instances that a command has listed anyway: one call for prices a region, and two for all regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.pricing.cost import Window
from bacalhau_spot.core.pricing.cost_summary import cost_summary
from bacalhau_spot.core.pricing.usage_history import AwsInventory, usage_history
from bacalhau_spot.engine.pricing.cost import ClusterUsage, cost_report

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bacalhau_spot.core.model import ClusterSpec, Instance
    from bacalhau_spot.core.pricing.cost_summary import CostSummary
    from bacalhau_spot.core.pricing.usage_history import LoggedInstance
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


async def listed_cost(
    calls: AwsCalls,
    spec: ClusterSpec,
    instances: Sequence[Instance],
    logged: Sequence[LoggedInstance],
    *,
    cluster: str,
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
    return cost_summary(await cost_report(calls, usage, unasked=unseen))
