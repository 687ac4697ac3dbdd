"""Writes the tags by which a repeated `replace` continues (core.lifecycle.superseded)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.lifecycle.superseded import replaced_tag
from bacalhau_spot.core.tags import REPLACED_KEY, REPLACES_KEY
from bacalhau_spot.engine.aws_calls.caller import gather_all
from bacalhau_spot.engine.aws_calls.tagging import write_tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


async def tag_old_nodes(calls: AwsCalls, old: Sequence[Instance], nodes: Sequence[Instance]) -> None:
    """Before they leave. `nodes`: all of the cluster. Raises CloudError, Cancelled."""
    await gather_all(
        *(
            write_tags(calls, region, ids, tags={REPLACED_KEY: replaced_tag(region, (*old, *nodes))})
            for region, ids in _by_region(one for one in old if one.alive).items()
        )
    )


async def tag_new_nodes(calls: AwsCalls, new: Iterable[Instance], old_ids: Sequence[str]) -> None:
    """`old_ids`: of their batch. Raises CloudError, Cancelled."""
    tags = {REPLACES_KEY: " ".join(old_ids)}
    await gather_all(*(write_tags(calls, region, ids, tags=tags) for region, ids in _by_region(new).items()))


def _by_region(instances: Iterable[Instance]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for instance in instances:
        found.setdefault(instance.region, []).append(instance.id)
    return found
