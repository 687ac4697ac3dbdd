"""Writes the expiry of a cluster into the tags of its instances and launch templates, and into its Auto Scaling groups.

A launch template's tag records the expiry of a launch before the launch. A create that repeats a killed one then sends the
same request with the same client token, and AWS returns the same instances (EC2 developer guide, "Ensuring idempotency").
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.lifecycle.expiry import SHORTEST, expiry_time
from bacalhau_spot.core.tags import EXPIRES_KEY, expiry_tags
from bacalhau_spot.engine.aws_calls.caller import api_failure
from bacalhau_spot.engine.aws_calls.tagging import write_tags
from bacalhau_spot.engine.lifecycle.group_expiry import write_group_expiry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bacalhau_spot.cloud.port import FoundTemplate
    from bacalhau_spot.core.lifecycle.expiry import ExpiryPlan
    from bacalhau_spot.core.model import Instance, Naming, TaggedId
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.scaling_group.groups import ScalingGroup
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


async def write_expiry(calls: AwsCalls, region: str, ids: Sequence[str], value: str) -> None:
    """Tag the region's resources. Raises CloudError, Cancelled."""
    await write_tags(calls, region, ids, tags=expiry_tags(value))


async def write_in_region(
    calls: AwsCalls, naming: Naming, planned: ExpiryPlan, region: str, ids: Sequence[str]
) -> None:
    """The planned expiry, for the resources `ids` and the group of a region. Raises CloudError, Cancelled."""
    group = planned.group_in(region)
    if group is None:
        await write_expiry(calls, region, ids, planned.value)
    else:
        await write_group_expiry(calls, naming, group, planned.value, ids=ids)


async def write_everywhere(
    calls: AwsCalls, naming: Naming, planned: ExpiryPlan, holders: Mapping[str, Sequence[str]]
) -> dict[str, ApiFailure]:
    """`write_in_region` in all regions at once; the failures by region. Raises Cancelled."""

    async def write(region: str) -> ApiFailure | None:
        try:
            await write_in_region(calls, naming, planned, region, holders[region])
        except CloudError as error:
            return api_failure(error)
        return None

    failures = await asyncio.gather(*map(write, holders))
    return {region: failure for region, failure in zip(holders, failures, strict=True) if failure}


def holders_of_expiry(
    instances: Iterable[Instance],
    tagged: Mapping[str, Sequence[TaggedId]],
    *,
    groups: Iterable[ScalingGroup] = (),
) -> dict[str, tuple[str, ...]]:
    """By region, the ids of the instances and of the launch templates with which replacements would be launched.

    The regions of `groups` are among them, also without an instance.
    """
    by_region: dict[str, list[str]] = {group.region: [] for group in groups}
    for instance in instances:
        by_region.setdefault(instance.region, []).append(instance.id)
    return {
        region: (*ids, *(row.id for row in tagged.get(region, ()) if row.kind == ResourceKind.TEMPLATE))
        for region, ids in by_region.items()
    }


async def recorded_expiry(calls: AwsCalls, region: str, template: FoundTemplate, value: str) -> str:
    """The expiry to launch with: the recorded one, as long as a node would live; otherwise `value`, which is then recorded.

    Raises CloudError, Cancelled.
    """
    recorded = template.tags.get(EXPIRES_KEY, "")
    at = expiry_time(recorded)
    if not value or recorded == value:
        return value
    if at is not None and at - calls.clock.now() >= SHORTEST:
        return recorded
    await write_expiry(calls, region, [template.id], value)
    return value
