"""Calls that AWS refuses to repeat: a refusal because the resource or rule exists is not a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.launch import events

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bacalhau_spot.core.kinds import ResourceKind
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


async def write_unless_exists(calls: AwsCalls, region: str, call: Callable[[], Awaitable[None]]) -> bool:
    """Whether this call made the change; False if it existed already, or another create was faster."""
    try:
        await calls.write(region, call)
    except CloudError as error:
        if classify(error.code).category is not Category.EXISTS:
            raise
        return False
    return True


async def create_unless_exists(
    calls: AwsCalls, region: str, kind: ResourceKind, name: str, call: Callable[[], Awaitable[None]]
) -> bool:
    """As `write_unless_exists`, for a resource of a fixed name."""
    created = await write_unless_exists(calls, region, call)
    if created:
        calls.emit(events.ResourceCreated(region=region, kind=kind, id=name))
    return created
