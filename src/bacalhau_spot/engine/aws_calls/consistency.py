"""Waits for instances that were launched moments ago. AWS's lists show them at different times, in no guaranteed order.

Sources: EC2 API reference, "Eventual consistency"; aws-parallelcluster repeats DescribeInstances for 90 s after a
fleet's answer; DescribeFleets names every instance that an instant fleet launched (EC2 API reference, FleetData).
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.tags import cluster_scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from bacalhau_spot.cloud.port import FoundFleet
    from bacalhau_spot.core.model import Instance, Naming, TaggedId
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

T = TypeVar("T")

# AWS documents no limit. A resource counts as absent after two scans at least this far apart. We assume a lag of up to
# ten seconds, and a scan takes a moment.
LAG_S = 12.0
# The longest observed delay before DescribeInstances lists a fleet's instances.
FLEET_LAG = timedelta(seconds=90)
FLEET_TAG = "aws:ec2:fleet-id"
_PAUSE_S = 3.0


async def once_listed(
    calls: AwsCalls, region: str, look: Callable[[], Awaitable[T | None]], *, pause_s: float
) -> T | None:
    """What exists, as soon as AWS lists it; None if it does not for longer than its lists lag. Raises CloudError, Cancelled."""
    until_s = calls.clock.monotonic_s() + LAG_S
    while (found := await calls.read(region, look)) is None and calls.clock.monotonic_s() < until_s:
        await calls.pause(pause_s)
    return found


async def tagged_and_instances(
    calls: AwsCalls, naming: Naming, region: str
) -> tuple[tuple[TaggedId, ...], tuple[Instance, ...]]:
    """The resources with the cluster's tag in the region, and its instances once no list names more. Raises CloudError."""
    key, value = naming.tag_key, naming.tag_value
    scope = cluster_scope(naming)
    tagged, instances = await asyncio.gather(
        calls.read(region, lambda: calls.cloud.tagged(region, scope)),
        calls.read(region, lambda: calls.cloud.instances(region, key=key, value=value)),
    )
    begun_s = calls.clock.monotonic_s()
    attempt = 0
    while await _is_incomplete(
        calls, region, tagged, instances, waited_s=calls.clock.monotonic_s() - begun_s
    ):
        attempt += 1
        calls.report_retry(
            region, "DescribeInstances", "InvalidInstanceID.NotFound", attempt=attempt, wait_s=_PAUSE_S
        )
        await calls.pause(_PAUSE_S)
        instances = await calls.read(region, lambda: calls.cloud.instances(region, key=key, value=value))
    return tagged, instances


async def _is_incomplete(
    calls: AwsCalls,
    region: str,
    tagged: Sequence[TaggedId],
    instances: Sequence[Instance],
    *,
    waited_s: float,
) -> bool:
    """Whether another list names instances that DescribeInstances may not list yet."""
    shown = {instance.id for instance in instances}
    if waited_s < LAG_S and any(row.kind == ResourceKind.INSTANCE and row.id not in shown for row in tagged):
        return True
    fleets = await asyncio.gather(
        *(
            calls.read(region, partial(calls.cloud.fleet, region, fleet_id))
            for fleet_id in _doubtful(tagged, instances, now=calls.clock.now())
        )
    )
    return any(_hides_instances(fleet, shown, waited_s=waited_s) for fleet in fleets)


def _doubtful(tagged: Sequence[TaggedId], instances: Sequence[Instance], *, now: datetime) -> list[str]:
    """Fleets without a listed instance, and fleets so recent that some instances may be missing."""
    members: dict[str, list[Instance]] = {row.id: [] for row in tagged if row.kind == ResourceKind.FLEET}
    for instance in instances:
        fleet_id = instance.tags.get(FLEET_TAG)
        if fleet_id:
            members.setdefault(fleet_id, []).append(instance)
    return sorted(
        fleet_id
        for fleet_id, shown in members.items()
        if not shown or any(now - instance.launched_at < FLEET_LAG for instance in shown)
    )


def _hides_instances(fleet: FoundFleet | None, shown: set[str], *, waited_s: float) -> bool:
    if fleet is None:  # too new to be listed, or deleted and still in the tag index
        return waited_s < LAG_S
    return fleet.age < FLEET_LAG and not fleet.instance_ids <= shown
