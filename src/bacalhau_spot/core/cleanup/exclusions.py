"""Managed resources that nuke does not delete. Each rule returns the reason, or an empty text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.cleanup.deletion_order import RUNNING
from bacalhau_spot.core.cleanup.orchestrator_loss import is_of_orchestrator
from bacalhau_spot.core.kinds import GLOBAL, ResourceKind
from bacalhau_spot.core.model import Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime, timedelta

_OF_ONE_INSTANCE = frozenset({ResourceKind.VOLUME, ResourceKind.INTERFACE})

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


def with_needed(
    rule: Callable[[Resource], str], resources: Iterable[Resource], *, tag_key: str, now: datetime
) -> Callable[[Resource], str]:
    """The rule, so that what it excludes goes on working: with its launchers, its network, its role and its orchestrator's parts.

    AWS ends the instances of a fleet or group with it: a launcher of an excluded instance is excluded, too. A group that
    stays would replace its instances, so that these stay with it. `resources`: the scan; `now`: its time.
    """
    every = tuple(resources)
    instances = {(one.region, one.id): one for one in every if one.kind == ResourceKind.INSTANCE}
    relaunching = tuple(one for one in every if one.relaunches)

    def of_launcher(launcher: Resource) -> str:
        for child in launcher.children:
            # One that is not in the scan is new.
            instance = instances.get((launcher.region, child)) or Resource(
                ResourceKind.INSTANCE, child, launcher.region, created_at=now
            )
            if rule(instance):
                return f"{child}, which stays, belongs to it"
        return ""

    def runs_on(resource: Resource) -> str:
        if reason := rule(resource) or of_launcher(resource):
            return reason
        for one in relaunching:
            is_child = one.region == resource.region and resource.id in one.children
            if is_child and (rule(one) or of_launcher(one)):
                return f"{one.id}, which stays, would replace it"
        return ""

    running = (one for one in every if one.kind in RUNNING and not one.is_gone and runs_on(one))
    staying = sorted(running, key=lambda one: one.kind != ResourceKind.INSTANCE)

    def why(resource: Resource) -> str:
        if resource.kind in RUNNING:
            return runs_on(resource)
        users = (one for one in staying if _may_need(one, resource, tag_key=tag_key))
        return rule(resource) or next((f"{one.id}, which stays, may need it" for one in users), "")

    return why


def _may_need(running: Resource, resource: Resource, *, tag_key: str) -> bool:
    """Of the same cluster and in the same region, or global. Volumes and interfaces belong to one instance."""
    is_near = resource.region in {GLOBAL, running.region}
    if not is_near or running.tags.get(tag_key) != resource.tags.get(tag_key):
        return False
    if resource.kind in _OF_ONE_INSTANCE:
        return running.id in resource.used_by
    return is_of_orchestrator(running) or not is_of_orchestrator(resource)


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
