"""AWS's reasons for refused launches of a group, from its activities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.scaling_group.groups import RefusedLaunch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bacalhau_spot.core.scaling_group.groups import ScalingActivity


def refused_launches(
    activities: Iterable[ScalingActivity], *, known: frozenset[str] = frozenset()
) -> tuple[RefusedLaunch, ...]:
    """The failed launches, the newest first, once for each zone and code. `known`: ids of activities of earlier launches."""
    found: dict[tuple[str, str], RefusedLaunch] = {}
    for activity in activities:
        if activity.failed and activity.launches and activity.id not in known:
            found.setdefault((activity.zone, activity.code), _refusal(activity))
    return tuple(found.values())


def last_refusal(activities: Sequence[ScalingActivity]) -> RefusedLaunch | None:
    """The reason of the group's newest launch, if that has failed. `activities`: the newest first."""
    newest = next((activity for activity in activities if activity.launches), None)
    return _refusal(newest) if newest is not None and newest.failed else None


def _refusal(activity: ScalingActivity) -> RefusedLaunch:
    return RefusedLaunch(activity.zone, activity.code, activity.message or activity.description)
