"""Members of Auto Scaling groups: attached, released before they are terminated on purpose, reported when they are lost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.scaling_groups import MAX_INSTANCES_A_CALL
from bacalhau_spot.core.inventory import instances_by_region
from bacalhau_spot.core.scaling_group.groups import group_of
from bacalhau_spot.core.tags import cluster_scope, template_name
from bacalhau_spot.engine.aws_calls.caller import gather_all

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from bacalhau_spot.core.model import Instance, Naming
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

# Of a group or instance that does not exist, is not a member, or not in the right state: Auto Scaling has one code for all.
INVALID = "ValidationError"
# After the retries: the group is terminating the instance.
_LEAVING = "ScalingActivityInProgress"


async def release(calls: AwsCalls, naming: Naming, instances: Sequence[Instance]) -> None:
    """Take instances out of the cluster's groups, which then launch none in their place. Raises CloudError, Cancelled.

    Call it before instances are terminated on purpose. They keep running, except for those that are still starting: AWS
    detaches none of these, so they are terminated. A group of others keeps its number, and replaces what is terminated.
    Without the cluster's groups this makes no call.
    """
    await gather_all(
        *(
            _release(calls, naming, region, [instance.id for instance in members])
            for region, members in instances_by_region(own_members(naming, instances)).items()
        )
    )


def own_members(naming: Naming, instances: Iterable[Instance]) -> list[Instance]:
    """Those of a group with the name of the cluster's. Anybody can give the cluster's tag to a member of another group."""
    return [instance for instance in instances if group_of(instance) == template_name(naming)]


async def terminate_nodes(
    calls: AwsCalls, naming: Naming, region: str, instances: Sequence[Instance]
) -> None:
    """Terminate the region's instances, after their groups have released them. Raises CloudError, Cancelled."""
    await release(calls, naming, instances)
    ids = [instance.id for instance in instances]
    await calls.write(region, partial(calls.cloud.terminate, region, ids))


async def _release(calls: AwsCalls, naming: Naming, region: str, ids: Sequence[str]) -> None:
    name = template_name(naming)
    group = await calls.read(region, partial(calls.cloud.named_scaling_group, region, name))
    # One that AWS does not list yet is the cluster's: of others', the list has long known the members.
    if group is not None and not cluster_scope(naming).matches(group.tags):
        return
    await gather_all(*(_release_batch(calls, region, name, batch) for batch in _batches(ids)))


async def _release_batch(calls: AwsCalls, region: str, name: str, ids: Sequence[str]) -> None:
    for instance_id in await detach(calls, region, name, ids):
        await _accepted(calls, region, partial(calls.cloud.terminate_member, region, instance_id))


async def detach(
    calls: AwsCalls, region: str, name: str, ids: Sequence[str], *, replace: bool = False
) -> tuple[str, ...]:
    """Detach at most 20 members; the ids of those that AWS does not detach. Raises CloudError, Cancelled.

    With `replace`, the group launches others in their place.
    """
    call = partial(calls.cloud.detach_instances, region, name, replace=replace)
    if await _accepted(calls, region, partial(call, ids)):
        return ()
    # All or none: one that starts or is being terminated fails the others.
    return tuple(
        [
            instance_id
            for instance_id in ids
            if not await _accepted(calls, region, partial(call, [instance_id]))
        ]
    )


async def attach(calls: AwsCalls, region: str, name: str, ids: Sequence[str]) -> dict[str, CloudError]:
    """Attach running instances; AWS's refusals by id. Each adds one to the group's number. Raises CloudError, Cancelled."""
    refused: dict[str, CloudError] = {}
    for batch in _batches(ids):
        # All or none: after a refusal, each on its own.
        if await _attached(calls, region, name, batch) is None:
            continue
        answers = {instance_id: await _attached(calls, region, name, [instance_id]) for instance_id in batch}
        refused |= {instance_id: error for instance_id, error in answers.items() if error is not None}
    return refused


async def _attached(calls: AwsCalls, region: str, name: str, ids: Sequence[str]) -> CloudError | None:
    """AWS's refusal; None if it attached them."""
    try:
        await calls.write(region, partial(calls.cloud.attach_instances, region, name, ids))
    except CloudError as error:
        if error.code != INVALID:
            raise
        return error
    return None


async def report_unhealthy(calls: AwsCalls, members: Sequence[Instance]) -> tuple[str, ...]:
    """Report members to their groups, which terminate and replace them. The ids of the reported ones.

    Those that have left, and those that their group is already replacing, are left out. Raises CloudError, Cancelled.
    """

    async def report(instance: Instance) -> tuple[str, ...]:
        call = partial(calls.cloud.report_unhealthy, instance.region, instance.id)
        return (instance.id,) if await _accepted(calls, instance.region, call) else ()

    reported = await gather_all(*(report(instance) for instance in members))
    return tuple(instance_id for ids in reported for instance_id in ids)


async def _accepted(calls: AwsCalls, region: str, call: Callable[[], Awaitable[None]]) -> bool:
    """Whether AWS carried out the call; not for an instance that is no member, or not in the right state."""
    try:
        await calls.write(region, call)
    except CloudError as error:
        if error.code not in {INVALID, _LEAVING}:
            raise
        return False
    return True


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), MAX_INSTANCES_A_CALL):
        yield ids[start : start + MAX_INSTANCES_A_CALL]
