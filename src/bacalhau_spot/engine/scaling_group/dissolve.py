"""Takes the Auto Scaling group of a region away, whose nodes keep running.

A killed run leaves a group that launches nothing; the next `create` continues.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.scaling_groups import MAX_INSTANCES_A_CALL
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.scaling_group.groups import LAUNCH
from bacalhau_spot.engine.scaling_group.groups import listed_group
from bacalhau_spot.engine.scaling_group.membership import detach

if TYPE_CHECKING:
    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.core.scaling_group.groups import ScalingGroup
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

_POLL_S = 2.0
_BUSY = frozenset({"ResourceInUse", "ScalingActivityInProgress"})


async def dissolve(calls: AwsCalls, naming: Naming, region: str, *, deadline_s: float) -> None:
    """Stop the group's launches, detach its members, delete it. Raises CloudError, Cancelled.

    Waits until `deadline_s` (monotonic) for members that are still starting, and for those that are being terminated.
    """
    group = await listed_group(calls, naming, region)
    if group is not None and LAUNCH not in group.suspended and not group.deleting:
        name = group.name
        await calls.write(region, lambda: calls.cloud.suspend_scaling(region, name, process=LAUNCH))
    while group is not None:
        if await _emptied(calls, group) and await _deleted(calls, group):
            return
        if calls.clock.monotonic_s() + _POLL_S > deadline_s:
            raise CloudError(
                "ScalingActivityInProgress",
                f"group {group.name} still has instances that start or are being terminated",
                operation="DeleteAutoScalingGroup",
                region=region,
            )
        calls.emit(events.Waiting(region=region, message="detaching instances", remaining=len(group.members)))
        await calls.pause(_POLL_S)
        group = await listed_group(calls, naming, region)


async def _emptied(calls: AwsCalls, group: ScalingGroup) -> bool:
    """Detach the members in service; whether that were all."""
    ids = [member.id for member in group.members if member.in_service]
    for start in range(0, len(ids), MAX_INSTANCES_A_CALL):
        await detach(calls, group.region, group.name, ids[start : start + MAX_INSTANCES_A_CALL])
    return len(ids) == len(group.members)


async def _deleted(calls: AwsCalls, group: ScalingGroup) -> bool:
    call = partial(calls.cloud.delete_scaling_group, group.region, group.name)
    try:
        await calls.write(group.region, call, retry_dependencies=False)
    except CloudError as error:
        if error.code not in _BUSY:
            raise
        return False
    return True
