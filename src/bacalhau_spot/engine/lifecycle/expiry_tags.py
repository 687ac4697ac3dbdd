"""Writes the expiry of a cluster into the tags of its instances and launch templates.

A launch template's tag records the expiry of a launch before the launch. A create that repeats a killed one then sends the
same request with the same client token, and AWS returns the same instances (EC2 developer guide, "Ensuring idempotency").
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.lifecycle.expiry import SHORTEST, expiry_time
from bacalhau_spot.core.tags import EXPIRES_KEY, expiry_tags
from bacalhau_spot.engine.aws_calls.caller import api_failure
from bacalhau_spot.engine.aws_calls.tagging import write_tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bacalhau_spot.cloud.port import FoundTemplate
    from bacalhau_spot.core.model import Instance, TaggedId
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


async def write_expiry(calls: AwsCalls, region: str, ids: Sequence[str], value: str) -> None:
    """Tag the region's resources. Raises CloudError, Cancelled."""
    await write_tags(calls, region, ids, tags=expiry_tags(value))


async def write_everywhere(
    calls: AwsCalls, ids_by_region: Mapping[str, Sequence[str]], value: str
) -> dict[str, ApiFailure]:
    """`write_expiry` in all regions at once; the failures by region. Raises Cancelled."""

    async def write(region: str) -> ApiFailure | None:
        try:
            await write_expiry(calls, region, ids_by_region[region], value)
        except CloudError as error:
            return api_failure(error)
        return None

    failures = await asyncio.gather(*map(write, ids_by_region))
    return {region: failure for region, failure in zip(ids_by_region, failures, strict=True) if failure}


def holders_of_expiry(
    instances: Iterable[Instance], tagged: Mapping[str, Sequence[TaggedId]]
) -> dict[str, tuple[str, ...]]:
    """By region, the ids of the instances and of the launch templates with which replacements would be launched."""
    by_region: dict[str, list[str]] = {}
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
