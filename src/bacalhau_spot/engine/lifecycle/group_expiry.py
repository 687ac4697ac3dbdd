"""Writes the expiry of a region with an Auto Scaling group: of the group, of its new nodes, and of its existing ones.

Rules:
1. The group's scheduled action is never later than the tags of the nodes: a node that ended itself before would be replaced.
   So an earlier end begins with the scheduled action, and a later end ends with it.
2. A kill between any two calls leaves the old or the new end, because the scheduled action alone decides.
3. Whatever is written already is not written again: a repetition completes the change.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.lifecycle.expiry import expiry_time
from bacalhau_spot.core.scaling_group.groups import is_member
from bacalhau_spot.core.tags import EXPIRES_KEY, expiry_tags
from bacalhau_spot.engine.aws_calls.tagging import write_tags
from bacalhau_spot.engine.scaling_group.membership import INVALID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.core.scaling_group.groups import ScalingGroup
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


async def write_group_expiry(
    calls: AwsCalls, naming: Naming, group: ScalingGroup, value: str, *, ids: Sequence[str] = ()
) -> None:
    """Write the value to the group and its nodes, and to the resources `ids` of its region. Raises CloudError, Cancelled."""
    at = expiry_time(value)
    is_earlier = at is not None and (group.ends_at is None or at < group.ends_at)
    if is_earlier:
        await schedule_end(calls, group, value)
    if group.expiry != value:
        tag = partial(
            calls.cloud.tag_scaling_group, group.region, group.name, tags=expiry_tags(value), propagate=True
        )
        await calls.write(group.region, tag)
        ids = (*ids, *await _others(calls, naming, group, value, known=ids))
    await write_tags(calls, group.region, ids, tags=expiry_tags(value))
    if not is_earlier:
        await schedule_end(calls, group, value)


async def schedule_end(calls: AwsCalls, group: ScalingGroup, value: str) -> None:
    """Set or delete the scheduled action. AWS refuses a time in the past. Raises CloudError, Cancelled."""
    region, name, at = group.region, group.name, expiry_time(value)
    if at == group.ends_at:
        return
    if at is not None:
        await calls.write(region, partial(calls.cloud.schedule_group_end, region, name, at=at))
        return
    try:
        await calls.write(region, partial(calls.cloud.unschedule_group_end, region, name))
    except CloudError as error:
        if error.code != INVALID:  # the action has run, or another process has deleted it
            raise


async def _others(
    calls: AwsCalls, naming: Naming, group: ScalingGroup, value: str, *, known: Sequence[str]
) -> tuple[str, ...]:
    """Nodes that the group has launched with its old tag since its instances were listed."""
    key, tag = naming.tag_key, naming.tag_value
    listed = await calls.read(group.region, partial(calls.cloud.instances, group.region, key=key, value=tag))
    return tuple(
        node.id
        for node in listed
        if node.alive
        and is_member(group, node)
        and node.id not in known
        and node.tags.get(EXPIRES_KEY, "") != value
    )
