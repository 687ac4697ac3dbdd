"""The current state of quotas that stopped a create: AWS's refusal does not include the limit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.error_catalog.classifier import classify
from bacalhau_spot.engine.placement.placement_scores import headrooms

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bacalhau_spot.core.launch.create_result import CreateResult, RegionResult
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

_SPOT, _VPCS = classify("MaxSpotInstanceCountExceeded"), classify("VpcLimitExceeded")


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """One quota of a region: its limit and its use."""

    region: str
    name: str
    unit: str
    limit: int
    used: int


async def quota_usage(calls: AwsCalls, facts: LaunchFacts, result: CreateResult) -> tuple[QuotaUsage, ...]:
    """Of the regions that a quota stopped, as far as AWS returns it. It is only for information, so nothing is raised."""

    async def usage_in(region: RegionResult) -> Sequence[QuotaUsage]:
        try:
            return await _usage_of(calls, facts, region)
        except CloudError:
            return ()

    usages = await asyncio.gather(*(usage_in(region) for region in result.regions if region.code is not None))
    return tuple(quota for quotas in usages for quota in quotas)


async def _usage_of(calls: AwsCalls, facts: LaunchFacts, result: RegionResult) -> Sequence[QuotaUsage]:
    info = classify(result.code or "")
    if info == _SPOT:
        types = {failure.type for failure in result.pool_failures if failure.type}
        return await _spot_quotas(calls, result.region, types or _offered_types(facts, result.region))
    if info == _VPCS:
        return await _vpc_quota(calls, facts.spec.naming, result.region)
    return ()


def _offered_types(facts: LaunchFacts, region: str) -> set[str]:
    market = (facts.markets or {}).get(region)
    return {offer.pool.type for offer in market.offers} if market else set()


async def _spot_quotas(calls: AwsCalls, region: str, types: Collection[str]) -> Sequence[QuotaUsage]:
    infos = await calls.read(region, partial(calls.cloud.types, region, sorted(types)))
    rooms = await headrooms(calls, region, {info.name: info for info in infos})
    return [QuotaUsage(region, room.quota.name, "vCPUs", room.vcpus, room.used) for room in rooms.values()]


async def _vpc_quota(calls: AwsCalls, naming: Naming, region: str) -> Sequence[QuotaUsage]:
    from bacalhau_spot.core.doctor.account_checks import VPC_QUOTA  # noqa: PLC0415 - a launch that succeeds needs no checks

    limit = await calls.read(region, partial(calls.cloud.quota, region, service="vpc", code=VPC_QUOTA))
    count, _ = await calls.read(
        region, partial(calls.cloud.vpcs, region, key=naming.tag_key, value=naming.tag_value)
    )
    return () if limit is None else (QuotaUsage(region, "VPCs per Region", "VPCs", limit, count),)
