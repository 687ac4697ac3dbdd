"""What a nuke leaves alone although it is ours. Each rule gives the reason, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.kinds import GLOBAL

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime, timedelta

    from bacalhau_spot.core.model import Resource

ResourceKey = tuple[str, str, str]  # region, kind, id


def resource_key(resource: Resource) -> ResourceKey:
    return resource.region, resource.kind, resource.id


def creation_times(resources: Iterable[Resource], *, tag_key: str) -> Mapping[ResourceKey, datetime]:
    """When each came to be, for the question whether it is old enough to go.

    Many kinds do not say (a VPC, a subnet): they count as young as the youngest thing of their cluster in their region, which
    may need them. What is the same in all regions serves the youngest of its cluster anywhere. What has no such neighbour is
    absent: its age is not known.
    """
    every = tuple(resources)
    youngest: dict[tuple[str, str], datetime] = {}
    for resource in every:
        if resource.created_at is None:
            continue
        for place in {resource.region, GLOBAL}:
            group = (place, resource.tags.get(tag_key, ""))
            youngest[group] = max(youngest.get(group, resource.created_at), resource.created_at)
    times: dict[ResourceKey, datetime] = {}
    for resource in every:
        neighbour = youngest.get((resource.region, resource.tags.get(tag_key, "")))
        moment = (
            neighbour if resource.created_at is None or resource.region == GLOBAL else resource.created_at
        )
        if moment is not None:
            times[resource_key(resource)] = moment
    return times


def min_age_rule(
    created_at: Mapping[ResourceKey, datetime], *, now: datetime, at_least: timedelta
) -> Callable[[Resource], str]:
    """Spares what is younger, and what appears after the look: it is younger still. What has no known age is not spared."""

    def why(resource: Resource) -> str:
        moment = created_at.get(resource_key(resource)) or resource.created_at
        return (
            ""
            if moment is None or now - moment >= at_least
            else "it, or what needs it, is younger than --min-age"
        )

    return why


def plan_file_rule(plan: Collection[ResourceKey]) -> Callable[[Resource], str]:
    return lambda resource: "" if resource_key(resource) in plan else "it is not in the plan"


def first_match(rules: Iterable[Callable[[Resource], str]]) -> Callable[[Resource], str]:
    """What spares by any of the rules."""
    every = tuple(rules)
    return lambda resource: next(filter(None, (rule(resource) for rule in every)), "")


def split_excluded(
    resources: Iterable[Resource], excluded: Callable[[Resource], str]
) -> tuple[tuple[Resource, ...], tuple[tuple[Resource, str], ...]]:
    """What is to be deleted, and what is not, with the reason."""
    to_delete: list[Resource] = []
    kept: list[tuple[Resource, str]] = []
    for resource in resources:
        reason = resource.retained or excluded(resource)
        if reason:
            kept.append((resource, reason))
        else:
            to_delete.append(resource)
    return tuple(to_delete), tuple(kept)
