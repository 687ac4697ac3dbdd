"""Managed resources that nuke does not delete. Each rule returns the reason, or an empty text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.cleanup.orchestrator_loss import is_of_orchestrator
from bacalhau_spot.core.kinds import GLOBAL, ResourceKind
from bacalhau_spot.core.model import Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime, timedelta

ResourceKey = tuple[str, str, str]  # region, kind, id


def resource_key(resource: Resource) -> ResourceKey:
    return resource.region, resource.kind, resource.id


def creation_times(resources: Iterable[Resource], *, tag_key: str) -> Mapping[ResourceKey, datetime]:
    """The creation time of each resource, for the minimum age.

    Many kinds have none (VPC, subnet): they count as created with the newest resource of their cluster in their region,
    which may need them. Global resources, and a managed orchestrator's, count as created with the newest resource of the
    cluster anywhere. A resource without such a neighbour is absent: its age is unknown.
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
        needed_anywhere = resource.region == GLOBAL or is_of_orchestrator(resource)
        place = GLOBAL if needed_anywhere else resource.region
        neighbour = youngest.get((place, resource.tags.get(tag_key, "")))
        moment = neighbour if resource.created_at is None or needed_anywhere else resource.created_at
        if moment is not None:
            times[resource_key(resource)] = moment
    return times


def min_age_rule(
    created_at: Mapping[ResourceKey, datetime], *, now: datetime, at_least: timedelta
) -> Callable[[Resource], str]:
    """Excludes resources younger than the limit, and those that appear after the scan. A resource of unknown age is not
    excluded.
    """

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
    """The reason of the first rule that excludes the resource."""
    every = tuple(rules)
    return lambda resource: next(filter(None, (rule(resource) for rule in every)), "")


def with_launchers(
    rule: Callable[[Resource], str], resources: Iterable[Resource], *, tag_key: str, now: datetime
) -> Callable[[Resource], str]:
    """The rule, so that what it excludes survives the deletion of the others.

    AWS ends the instances of a fleet or group with it: a launcher of an excluded instance is excluded, too. What such a
    launcher would replace is excluded with it, and the launch templates of its cluster in its region.
    """
    every = tuple(resources)
    instances = {(one.region, one.id): one for one in every if one.kind == ResourceKind.INSTANCE}
    relaunching = tuple(one for one in every if one.relaunches)

    def of_launcher(launcher: Resource) -> str:
        for child in launcher.children:
            # One that is not in the scan is new.
            unknown = Resource(ResourceKind.INSTANCE, child, launcher.region, created_at=now)
            if rule(instances.get((launcher.region, child), unknown)):
                return f"{child}, which stays, belongs to it"
        return ""

    def staying(launcher: Resource) -> bool:
        return bool(rule(launcher) or of_launcher(launcher))

    def uses(launcher: Resource, resource: Resource) -> bool:
        if launcher.region != resource.region:
            return False
        is_template = resource.kind == ResourceKind.TEMPLATE
        same_cluster = launcher.tags.get(tag_key) == resource.tags.get(tag_key)
        return resource.id in launcher.children or (is_template and same_cluster)

    def why(resource: Resource) -> str:
        if reason := rule(resource) or of_launcher(resource):
            return reason
        found = (one for one in relaunching if uses(one, resource) and staying(one))
        return next((f"{one.id}, which stays, launches with it or replaces it" for one in found), "")

    return why


def split_excluded(
    resources: Iterable[Resource], excluded: Callable[[Resource], str]
) -> tuple[tuple[Resource, ...], tuple[tuple[Resource, str], ...]]:
    """The resources to delete, and the excluded ones with the reason."""
    to_delete: list[Resource] = []
    kept: list[tuple[Resource, str]] = []
    for resource in resources:
        reason = resource.retained or excluded(resource)
        if reason:
            kept.append((resource, reason))
        else:
            to_delete.append(resource)
    return tuple(to_delete), tuple(kept)
