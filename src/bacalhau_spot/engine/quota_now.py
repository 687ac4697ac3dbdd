"""What the quotas that stopped a create are now: AWS's refusal says that one is used up, and not how large it is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.checkup import VPC_QUOTA
from bacalhau_spot.core.verdict import judge
from bacalhau_spot.engine.ranking import headrooms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.receipt import CreateReceipt, RegionReceipt
    from bacalhau_spot.engine.calls import Calls
    from bacalhau_spot.engine.prepare import Prepared

_SPOT, _VPCS = judge("MaxSpotInstanceCountExceeded"), judge("VpcLimitExceeded")


@dataclass(frozen=True, slots=True)
class QuotaNow:
    """One quota of a region: what it allows, and how much of that is taken."""

    region: str
    name: str
    unit: str
    limit: int
    used: int


async def quotas_now(calls: Calls, prepared: Prepared, receipt: CreateReceipt) -> tuple[QuotaNow, ...]:
    """Of the regions that a quota stopped, as far as AWS says; nothing else depends on it, so nothing is raised."""

    async def one(region: RegionReceipt) -> Sequence[QuotaNow]:
        try:
            return await _of(calls, prepared, region)
        except CloudError:
            return ()

    found = await asyncio.gather(*(one(region) for region in receipt.regions if region.code is not None))
    return tuple(quota for quotas in found for quota in quotas)


async def _of(calls: Calls, prepared: Prepared, receipt: RegionReceipt) -> Sequence[QuotaNow]:
    verdict, region = judge(receipt.code or ""), receipt.region
    if verdict == _SPOT:
        offers = prepared.markets[region].offers
        types = sorted(
            {one.type for one in receipt.refusals if one.type} or {one.pool.type for one in offers}
        )
        infos = await calls.read(region, partial(calls.cloud.types, region, types))
        rooms = await headrooms(calls, region, {info.name: info for info in infos})
        return [QuotaNow(region, room.quota.name, "vCPUs", room.vcpus, room.used) for room in rooms.values()]
    if verdict == _VPCS:
        naming = prepared.spec.naming
        limit = await calls.read(region, partial(calls.cloud.quota, region, service="vpc", code=VPC_QUOTA))
        count, _ = await calls.read(
            region, partial(calls.cloud.vpcs, region, key=naming.tag_key, value=naming.tag_value)
        )
        return [QuotaNow(region, "VPCs per Region", "VPCs", limit, count)] if limit is not None else []
    return []
