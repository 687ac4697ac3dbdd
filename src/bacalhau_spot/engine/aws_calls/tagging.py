"""Writes tags of existing EC2 resources."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

# "up to 1000 resource IDs. We recommend breaking up this request into smaller batches" (EC2 API reference, CreateTags).
_BATCH: Final = 500


async def write_tags(calls: AwsCalls, region: str, ids: Sequence[str], *, tags: Mapping[str, str]) -> None:
    """One call for each batch, and none without ids. Raises CloudError, Cancelled."""
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        await calls.write(region, partial(calls.cloud.tag, region, batch, tags=tags))
