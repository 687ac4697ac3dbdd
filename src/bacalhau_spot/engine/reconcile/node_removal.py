"""Sends nodes away: surplus ones and unhealthy ones."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.inventory import instances_by_region
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.lifecycle.drain_result import GRACE_S, can_drain
from bacalhau_spot.core.tags import DRAIN_KEY, tag_time
from bacalhau_spot.engine.aws_calls.caller import Cancelled, api_failure
from bacalhau_spot.engine.aws_calls.tagging import write_tags
from bacalhau_spot.engine.scaling_group.membership import (
    own_members,
    release,
    report_unhealthy,
    terminate_nodes,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import Instance, Naming
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


@dataclass(frozen=True, slots=True)
class NodeRemoval:
    """`removed`: ids of instances that are terminated or drain; `failures`: AWS's refusals, one a region."""

    removed: tuple[str, ...] = ()
    failures: tuple[ApiFailure, ...] = ()


async def remove_instances(calls: AwsCalls, naming: Naming, instances: Sequence[Instance]) -> NodeRemoval:
    """Terminate the instances, with plain nodes at most one call a region. A refusal in one region does not stop the others."""
    return await _in_regions(partial(_terminate, calls, naming), instances)


async def replace_instances(calls: AwsCalls, naming: Naming, instances: Sequence[Instance]) -> NodeRemoval:
    """Terminate unhealthy nodes; the cluster's Auto Scaling groups terminate and replace those that are reported to them."""
    members = own_members(naming, instances)
    member_ids = {instance.id for instance in members}
    others = [instance for instance in instances if instance.id not in member_ids]
    terminated = await remove_instances(calls, naming, others)
    reported = await _in_regions(partial(_report, calls), members)
    return NodeRemoval(
        (*terminated.removed, *reported.removed), failures=(*terminated.failures, *reported.failures)
    )


async def begin_drain(calls: AwsCalls, naming: Naming, instances: Sequence[Instance]) -> NodeRemoval:
    """Tag the nodes: each lets its jobs finish and ends itself, and a later pass ends one that does not.

    Those that cannot drain are terminated. With plain nodes at most two calls a region; raises nothing.
    """
    able = [instance for instance in instances if can_drain(instance)]
    others = [instance for instance in instances if not can_drain(instance)]
    until = calls.clock.now() + timedelta(seconds=GRACE_S)
    tagged = await _in_regions(partial(_tag, calls, naming, until), able)
    terminated = await remove_instances(calls, naming, others)
    return NodeRemoval(
        (*tagged.removed, *terminated.removed), failures=(*tagged.failures, *terminated.failures)
    )


async def _in_regions(
    part: Callable[[str, list[Instance]], Awaitable[None]], instances: Sequence[Instance]
) -> NodeRemoval:
    by_region = instances_by_region(instances)
    parts = await asyncio.gather(*(_contained(part, region, here) for region, here in by_region.items()))
    return NodeRemoval(
        removed=tuple(instance_id for part in parts for instance_id in part.removed),
        failures=tuple(failure for part in parts for failure in part.failures),
    )


async def _contained(
    part: Callable[[str, list[Instance]], Awaitable[None]], region: str, instances: list[Instance]
) -> NodeRemoval:
    """The boundary of a region."""
    try:
        await part(region, instances)
    except CloudError as error:
        return NodeRemoval(failures=(api_failure(error),))
    except Cancelled:
        return NodeRemoval()
    return NodeRemoval(removed=tuple(instance.id for instance in instances))


async def _terminate(calls: AwsCalls, naming: Naming, region: str, instances: list[Instance]) -> None:
    await terminate_nodes(calls, naming, region, instances)
    for instance in instances:
        calls.emit(events.Deleting(region=region, kind=ResourceKind.INSTANCE, id=instance.id))


async def _report(calls: AwsCalls, region: str, instances: list[Instance]) -> None:
    for instance_id in await report_unhealthy(calls, instances):
        calls.emit(events.Deleting(region=region, kind=ResourceKind.INSTANCE, id=instance_id))


async def _tag(
    calls: AwsCalls, naming: Naming, until: datetime, region: str, instances: list[Instance]
) -> None:
    # Otherwise their groups would replace them when they have shut down.
    await release(calls, naming, instances)
    text = tag_time(until)
    ids = [instance.id for instance in instances]
    await write_tags(calls, region, ids, tags={DRAIN_KEY: text})
    for instance_id in ids:
        calls.emit(events.NodeDraining(region, instance_id, text))
