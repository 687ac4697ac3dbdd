"""The history of a cluster's nodes: AWS's records, the orchestrator's list, the audit log, and the spot prices."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.history.history_report import HistoryReport
from bacalhau_spot.core.history.node_records import node_records
from bacalhau_spot.core.history.timeline import cluster_timeline
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.orchestrator.orchestrator_nodes import NodeListing
from bacalhau_spot.core.pricing.cost import PriceSteps, Window
from bacalhau_spot.core.pricing.usage_history import AwsInventory
from bacalhau_spot.core.tags import cluster_scope
from bacalhau_spot.engine.aws_calls.discovery import check_permitted, in_all_regions
from bacalhau_spot.engine.orchestrator.orchestrator_sync import orchestrator_failure
from bacalhau_spot.engine.pricing.cost import first_starts, instance_records, merged_inventory, spot_pools
from bacalhau_spot.engine.pricing.prices import price_history
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.core.pricing.usage_history import LoggedInstance
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.orchestrator.port import Orchestrator

_RECORDS = frozenset({ResourceKind.INSTANCE, ResourceKind.SPOT_REQUEST})


@dataclass(frozen=True, slots=True)
class LogRecords:
    """The audit log of this machine: its records of instances, and the command that terminated each instance."""

    logged: Sequence[LoggedInstance] = ()
    terminated_by: Mapping[str, str] | None = None


async def cluster_history(
    calls: AwsCalls,
    naming: Naming,
    *,
    regions: Sequence[str],
    only: Collection[str] = (),
    since: datetime,
    log: LogRecords,
    orchestrator: Orchestrator | None = None,
    unreadable: ApiFailure | None = None,
) -> HistoryReport:
    """Scan all `regions`, because another region may replace a node; `only`: the regions of the timeline, if not all.

    `unreadable`: why the credentials of a managed orchestrator could not be read, which is then not asked.

    One call in a region without records, three in the others, and one for its prices. Failed reads are in the result.
    Raises CloudError when the credentials are refused, or no region permits the call.
    """

    async def scan(region: str) -> AwsInventory:
        return await _records(calls, naming, region)

    (answers, unseen), (listing, api_failure) = await asyncio.gather(
        in_all_regions(regions, scan), _listing(orchestrator)
    )
    check_permitted(answers, unseen)
    window = Window(now=calls.clock.now().replace(microsecond=0), since=since)
    records = node_records(
        merged_inventory(answers.values()),
        log.logged,
        now=window.now,
        listing=listing,
        terminated_by=log.terminated_by,
    )
    usages = [record.usage for record in records if record.usage.end(window.now) >= since]
    points, silent = await price_history(
        calls, spot_pools(usages), since=first_starts(usages, window), now=window.now
    )
    return HistoryReport(
        cluster=naming.tag_value,
        timeline=cluster_timeline(
            records,
            PriceSteps(points),
            window,
            regions=only,
            failed_regions=[failure.region for failure in unseen],
        ),
        records=records,
        regions_scanned=tuple(answers),
        failed_regions=unseen,
        unpriced=silent,
        api=orchestrator is not None or unreadable is not None,
        api_failure=unreadable or api_failure,
        log_entries=bool(log.logged),
    )


async def _records(calls: AwsCalls, naming: Naming, region: str) -> AwsInventory:
    tagged = await calls.read(region, lambda: calls.cloud.tagged(region, cluster_scope(naming)))
    if not any(resource.kind in _RECORDS for resource in tagged):
        return AwsInventory()
    return await instance_records(calls, naming, region)


async def _listing(orchestrator: Orchestrator | None) -> tuple[NodeListing, ApiFailure | None]:
    if orchestrator is None:
        return NodeListing(), None
    try:
        return await orchestrator.listing(), None
    except OrchestratorError as error:
        return NodeListing(), orchestrator_failure(error)
