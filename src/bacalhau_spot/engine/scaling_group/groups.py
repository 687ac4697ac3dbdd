"""The Auto Scaling groups of a cluster, and why AWS refused their last launches. Read-only."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.scaling_group.groups import GroupState, regions_of_groups
from bacalhau_spot.core.scaling_group.refused_launches import last_refusal
from bacalhau_spot.core.tags import template_name
from bacalhau_spot.engine.aws_calls.caller import api_failure, gather_all
from bacalhau_spot.engine.aws_calls.consistency import once_listed
from bacalhau_spot.engine.iam.ownership import check_owner

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bacalhau_spot.core.clusters.listing import Listing
    from bacalhau_spot.core.model import ClusterSpec, Instance, Naming
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.scaling_group.groups import RefusedLaunch, ScalingActivity, ScalingGroup
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

_LOOK_PAUSE_S = 2.0


def group_regions(spec: ClusterSpec, instances: Sequence[Instance]) -> tuple[str, ...]:
    """The regions that may have a group: by the configuration, or by AWS's tag on an instance."""
    shown = regions_of_groups(instances, spec.naming)
    configured = {region.name for region in spec.regions} if spec.self_heal else set()
    return tuple(sorted(shown | configured))


async def scaling_groups(
    calls: AwsCalls, naming: Naming, *, regions: Collection[str]
) -> dict[str, ScalingGroup]:
    """The cluster's group in each of the regions that has one. Raises CloudError."""
    found = await gather_all(*(scaling_group(calls, naming, region) for region in regions))
    return {group.region: group for group in found if group is not None}


async def scaling_group(calls: AwsCalls, naming: Naming, region: str) -> ScalingGroup | None:
    """The cluster's group in the region, with its scheduled end; None without one. Raises CloudError."""
    group = await listed_group(calls, naming, region)
    return group if group is None or group.deleting else await _with_end(calls, group)


async def _with_end(calls: AwsCalls, group: ScalingGroup) -> ScalingGroup:
    region, name = group.region, group.name
    return replace(
        group, ends_at=await calls.read(region, partial(calls.cloud.scheduled_group_end, region, name))
    )


async def existing_group(calls: AwsCalls, naming: Naming, region: str, *, taken: CloudError) -> ScalingGroup:
    """The cluster's group, after AWS has refused to create it because its name is `taken`: as soon as AWS lists it.

    A group has its tags from its creation on. Raises UserError for one without the cluster's tag, `taken` if AWS does not
    list the group for longer than its lists lag, CloudError, Cancelled.
    """
    name = template_name(naming)
    look = partial(calls.cloud.named_scaling_group, region, name)
    group = await once_listed(calls, region, look, pause_s=_LOOK_PAUSE_S)
    if group is None:
        raise taken
    check_owner(f"the Auto Scaling group {name} in {region}", group.tags, naming)
    return await _with_end(calls, group)


async def listed_group(calls: AwsCalls, naming: Naming, region: str) -> ScalingGroup | None:
    """The cluster's group in the region, without its scheduled end; None without one. Raises CloudError."""
    listed = await calls.read(
        region, partial(calls.cloud.scaling_groups, region, key=naming.tag_key, value=naming.tag_value)
    )
    return next((group for group in listed if group.name == template_name(naming)), None)


async def group_states(
    calls: AwsCalls, naming: Naming, *, regions: Collection[str]
) -> tuple[tuple[GroupState, ...], tuple[ApiFailure, ...]]:
    """The groups in these regions, and the regions in which AWS did not list them. Never raises CloudError."""
    answers = await asyncio.gather(*(_state(calls, naming, region) for region in sorted(regions)))
    states = tuple(state for state, _ in answers if state is not None)
    return states, tuple(failure for _, failure in answers if failure is not None)


async def with_groups(
    calls: AwsCalls, naming: Naming, listing: Listing, *, healed: Collection[str]
) -> Listing:
    """The listing with its groups. `healed`: the regions that the configuration gives a group. Never raises CloudError."""
    grouped = regions_of_groups(listing.instances, naming)
    states, unlisted = await group_states(
        calls, naming, regions=grouped | (set(healed) & set(listing.regions_scanned))
    )
    return replace(listing, groups=states, failed_regions=(*listing.failed_regions, *unlisted))


async def _state(calls: AwsCalls, naming: Naming, region: str) -> tuple[GroupState | None, ApiFailure | None]:
    try:
        group = await scaling_group(calls, naming, region)
        if group is None:
            return None, None
        lacks = group.in_service < group.desired
        refusal = last_refusal(await activities_of(calls, group)) if lacks else None
    except CloudError as error:
        return None, api_failure(error)
    return GroupState(group, refusal), None


async def activities_of(calls: AwsCalls, group: ScalingGroup) -> tuple[ScalingActivity, ...]:
    """The newest first. Raises CloudError."""
    return await calls.read(group.region, partial(calls.cloud.scaling_activities, group.region, group.name))


async def refused_groups(
    calls: AwsCalls, groups: Mapping[str, ScalingGroup], instances: Sequence[Instance]
) -> dict[str, RefusedLaunch]:
    """By region, AWS's reason for the last launch of a group that lacks nodes. Raises CloudError."""
    alive = {instance.id for instance in instances if instance.alive}
    lacking = [group for group in groups.values() if group.desired > len(group.member_ids & alive)]
    activities = await gather_all(*(activities_of(calls, group) for group in lacking))
    refusals = {group.region: last_refusal(found) for group, found in zip(lacking, activities, strict=True)}
    return {region: failure for region, failure in refusals.items() if failure is not None}
