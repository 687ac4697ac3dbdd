"""Sends nodes away: surplus ones and unhealthy ones."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.lifecycle.drain_result import GRACE_S, can_drain, drain_time_text
from bacalhau_spot.core.tags import DRAIN_KEY
from bacalhau_spot.engine.aws_calls.caller import Cancelled, api_failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


@dataclass(frozen=True, slots=True)
class NodeRemoval:
    """`removed`: ids of instances that are terminated or drain; `failures`: AWS's refusals, one a region."""

    removed: tuple[str, ...] = ()
    failures: tuple[ApiFailure, ...] = ()


async def remove_instances(calls: AwsCalls, instances: Sequence[Instance]) -> NodeRemoval:
    """Terminate the instances, at most one call a region. A refusal in one region does not stop the others."""
    return await _in_regions(partial(_terminate, calls), instances)


async def begin_drain(calls: AwsCalls, instances: Sequence[Instance]) -> NodeRemoval:
    """Tag the nodes: each lets its jobs finish and ends itself, and a later pass ends one that does not.

    Those that cannot drain are terminated. At most two calls a region; raises nothing.
    """
    able = [instance for instance in instances if can_drain(instance)]
    others = [instance for instance in instances if not can_drain(instance)]
    until = calls.clock.now() + timedelta(seconds=GRACE_S)
    tagged = await _in_regions(partial(_tag, calls, until), able)
    terminated = await remove_instances(calls, others)
    return NodeRemoval(
        (*tagged.removed, *terminated.removed), failures=(*tagged.failures, *terminated.failures)
    )


async def _in_regions(
    part: Callable[[str, list[str]], Awaitable[None]], instances: Sequence[Instance]
) -> NodeRemoval:
    by_region: dict[str, list[str]] = {}
    for instance in instances:
        by_region.setdefault(instance.region, []).append(instance.id)
    parts = await asyncio.gather(*(_contained(part, region, ids) for region, ids in by_region.items()))
    return NodeRemoval(
        removed=tuple(instance_id for part in parts for instance_id in part.removed),
        failures=tuple(failure for part in parts for failure in part.failures),
    )


async def _contained(
    part: Callable[[str, list[str]], Awaitable[None]], region: str, ids: list[str]
) -> NodeRemoval:
    """The boundary of a region."""
    try:
        await part(region, ids)
    except CloudError as error:
        return NodeRemoval(failures=(api_failure(error),))
    except Cancelled:
        return NodeRemoval()
    return NodeRemoval(removed=tuple(ids))


async def _terminate(calls: AwsCalls, region: str, ids: list[str]) -> None:
    await calls.write(region, partial(calls.cloud.terminate, region, ids))
    for instance_id in ids:
        calls.emit(events.Deleting(region=region, kind=ResourceKind.INSTANCE, id=instance_id))


async def _tag(calls: AwsCalls, until: datetime, region: str, ids: list[str]) -> None:
    text = drain_time_text(until)
    await calls.write(region, partial(calls.cloud.tag, region, ids, tags={DRAIN_KEY: text}))
    for instance_id in ids:
        calls.emit(events.NodeDraining(region, instance_id, text))
