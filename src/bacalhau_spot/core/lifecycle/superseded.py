"""Old nodes whose replacement has begun, and the nodes in their place.

Rules:
1. A new node has the ids of the old ones of its batch in the tag REPLACES_KEY.
2. An Auto Scaling group launches its nodes by itself, so that a new one gets this tag late. An old node has left the group, and
   has the tag REPLACED_KEY: the launch time of the newest node of its region before. Later members without the tag of rule 1
   are in its place.
3. A member of a group has not left it, whatever its tags: it was attached again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.scaling_group.groups import group_of
from bacalhau_spot.core.tags import REPLACED_KEY, REPLACES_KEY, tag_time, time_in_tag

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from bacalhau_spot.core.model import Instance


def superseded(instances: Iterable[Instance]) -> dict[str, tuple[Instance, ...]]:
    """By id of a living old node, the living nodes in its place; none while its group has not launched them yet."""
    living = [instance for instance in instances if instance.alive]
    found: dict[str, tuple[Instance, ...]] = {}
    for old in living:
        new = tuple(one for one in living if old.id in replaced_ids(one))
        since = _left_group(old)
        if since is not None:
            found[old.id] = (*new, *(one for one in living if _later_member(one, old, since)))
        elif new:
            found[old.id] = new
    return found


def replaced_ids(instance: Instance) -> frozenset[str]:
    """The ids of the batch in place of which the node was launched."""
    return frozenset(instance.tags.get(REPLACES_KEY, "").split())


def replaced_tag(region: str, instances: Iterable[Instance]) -> str:
    """The value of REPLACED_KEY for old nodes of the region, before their replacement begins. At least one node lives there."""
    return tag_time(max(one.launched_at for one in instances if one.alive and one.region == region))


def is_begun(instance: Instance) -> bool:
    """Whether `replace` has begun with this old node."""
    return time_in_tag(instance.tags.get(REPLACED_KEY, "")) is not None


def _left_group(old: Instance) -> datetime | None:
    """The time of the tag of a node that has left its group to be replaced; None for any other."""
    return None if group_of(old) else time_in_tag(old.tags.get(REPLACED_KEY, ""))


def _later_member(node: Instance, old: Instance, since: datetime) -> bool:
    return (
        bool(group_of(node))
        and node.region == old.region
        and node.launched_at > since
        and not replaced_ids(node)
    )
