"""The report about a cluster, as values: the results of `status`, `cost` and `history` for one period, and two series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.history.timeline import TimelineEventKind
from bacalhau_spot.core.model import Pool
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.core.health.cluster_status import ClusterStatus, RegionStatus
    from bacalhau_spot.core.history.history_report import HistoryReport
    from bacalhau_spot.core.pricing.cost import CostTotal, Window
    from bacalhau_spot.core.pricing.cost_report import CostReport
    from bacalhau_spot.core.pricing.price_statistics import PriceStatistics
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.report.time_series import CostPoint, NodeCount


@dataclass(frozen=True, slots=True)
class RegionSummary:
    """One region in the period. `status` None: no node is there now; `cost` None: none was there in the period."""

    name: str
    status: RegionStatus | None
    cost: CostTotal | None
    interruptions: int = 0


@dataclass(frozen=True, slots=True)
class PoolSummary:
    """One capacity pool that the cluster has used in the period. `prices` None: AWS returned none."""

    pool: Pool
    region: str
    nodes: int  # now
    cost: CostTotal
    interruptions: int = 0
    prices: PriceStatistics | None = None


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """`prices`: of the pools in use, in the period."""

    status: ClusterStatus
    cost: CostReport
    history: HistoryReport
    node_counts: tuple[NodeCount, ...] = ()
    cost_points: tuple[CostPoint, ...] = ()
    prices: Mapping[Pool, PriceStatistics] | None = None

    @property
    def cluster(self) -> str:
        return self.cost.cluster

    @property
    def window(self) -> Window:
        return self.cost.window

    @property
    def regions(self) -> tuple[RegionSummary, ...]:
        """Those with nodes now, with costs in the period, or with nodes in the configuration."""
        now = {region.name: region for region in self.status.regions}
        costs = {key[0]: total for key, total in self.cost.by("region").items()}
        return tuple(
            RegionSummary(name, now.get(name), costs.get(name), self._interruptions(name))
            for name in sorted({*now, *costs})
        )

    def _interruptions(self, region: str) -> int:
        interrupted = TimelineEventKind.INTERRUPTED
        return sum(
            event.kind is interrupted and event.node.region == region
            for event in self.history.timeline.events
        )

    @property
    def pools(self) -> tuple[PoolSummary, ...]:
        """The pools of spot nodes, the most expensive first."""
        now = dict(self.status.pools.counts)
        lost = dict(self.history.timeline.summary.pools)
        pools = [
            PoolSummary(
                pool=Pool(name, zone),
                region=region,
                nodes=now.get(Pool(name, zone), 0),
                cost=total,
                interruptions=lost.get(Pool(name, zone), 0),
                prices=(self.prices or {}).get(Pool(name, zone)),
            )
            for (region, zone, name), total in self.cost.by("pool").items()
            if total.instances
        ]
        return tuple(sorted(pools, key=lambda pool: (-pool.cost.usd, pool.pool.zone, pool.pool.type)))

    @property
    def failures(self) -> tuple[ApiFailure, ...]:
        """Every gap that another run may fill, once."""
        every = (*self.status.failures, *self.cost.incomplete, *self.history.incomplete)
        return tuple({(each.operation, each.region, each.code): each for each in every}.values())

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.INCOMPLETE if self.failures else ExitCode.DONE
