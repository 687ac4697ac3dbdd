"""Sends nodes away: surplus ones and unhealthy ones."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.engine.aws_calls.caller import Cancelled, api_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


@dataclass(frozen=True, slots=True)
class NodeRemoval:
    """`removed`: instance ids; `failures`: AWS's refusals, one a region."""

    removed: tuple[str, ...] = ()
    failures: tuple[ApiFailure, ...] = ()


async def remove_instances(calls: AwsCalls, instances: Sequence[Instance]) -> NodeRemoval:
    """Terminate the instances, at most one call a region. A refusal in one region does not stop the others."""
    by_region: dict[str, list[str]] = {}
    for instance in instances:
        by_region.setdefault(instance.region, []).append(instance.id)
    parts = await asyncio.gather(*(_terminate(calls, region, ids) for region, ids in by_region.items()))
    return NodeRemoval(
        removed=tuple(instance_id for part in parts for instance_id in part.removed),
        failures=tuple(failure for part in parts for failure in part.failures),
    )


async def _terminate(calls: AwsCalls, region: str, ids: list[str]) -> NodeRemoval:
    try:
        await calls.write(region, partial(calls.cloud.terminate, region, ids))
    except CloudError as error:
        return NodeRemoval(failures=(api_failure(error),))
    except Cancelled:
        return NodeRemoval()
    for instance_id in ids:
        calls.emit(events.Deleting(region=region, kind=ResourceKind.INSTANCE, id=instance_id))
    return NodeRemoval(removed=tuple(ids))
