"""Whether the cluster still exists: a launch template of it in every region where its nodes are.

`create` makes a region's template before anything else there, and `destroy` deletes it with the first resources. So a cluster
without templates was never created or is destroyed, and one that lacks some is being destroyed: neither is repaired.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.lifecycle.expiry import NEVER, expiry_time
from bacalhau_spot.core.reconcile.pass_result import Hindrance
from bacalhau_spot.core.tags import EXPIRES_KEY, cluster_scope, template_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.cloud.port import FoundTemplate
    from bacalhau_spot.core.health.cluster_status import ClusterStatus
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.model import ClusterSpec, Naming
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

# Lists of AWS lag by seconds; a pass in that time would launch the nodes of the first create once more.
_SETTLING: Final = timedelta(seconds=30)


async def is_gone(
    calls: AwsCalls, spec: ClusterSpec, status: ClusterStatus, *, regions: Sequence[str]
) -> bool:
    """Whether a cluster without living nodes has no template either. At most one call a region. Raises CloudError."""
    if any(instance.alive for instance in status.snapshot.instances):
        return False
    names = [region.name for region in spec.regions] or list(regions)
    found = await asyncio.gather(*(cluster_template(calls, spec.naming, region) for region in names))
    return not any(found)


async def cluster_template(calls: AwsCalls, naming: Naming, region: str) -> FoundTemplate | None:
    """None also for a template of others with that name: it has not the cluster's tag. Raises CloudError."""
    found = await calls.read(region, partial(calls.cloud.template, region, template_name(naming)))
    return found if found is not None and cluster_scope(naming).matches(found.tags) else None


async def find_templates(calls: AwsCalls, facts: LaunchFacts) -> dict[str, FoundTemplate | None]:
    """The template of each region with nodes or templates: one call each. Raises CloudError."""
    regions = _regions(facts)
    found = await asyncio.gather(*(cluster_template(calls, facts.spec.naming, region) for region in regions))
    return dict(zip(regions, found, strict=True))


def existence_problem(
    facts: LaunchFacts, templates: Mapping[str, FoundTemplate | None], *, now: datetime
) -> Hindrance | None:
    """None for a cluster that exists, whose nodes AWS lists, and whose time is not over.

    A list that could not be read shows no absence.
    """
    existing = [template for template in templates.values() if template is not None]
    alive = _has_nodes(facts)
    if not existing:
        if alive:
            return Hindrance.DESTROYED_NOW
        return Hindrance.NOT_SCANNED if _not_scanned(facts) else Hindrance.NO_CLUSTER
    if _is_new(existing):
        return Hindrance.JUST_CREATED
    if _lacks_template(facts, templates, since=now - _oldest(existing)):
        return Hindrance.DESTROYED_NOW
    return Hindrance.EXPIRED if not alive and _has_ended(templates, now=now) else None


def _has_nodes(facts: LaunchFacts) -> bool:
    """Or is about to get them from an Auto Scaling group."""
    launching = any(group.desired for group in facts.groups.values())
    return launching or any(instance.alive for instance in facts.instances)


def _not_scanned(facts: LaunchFacts) -> bool:
    return facts.inventory is not None and bool(facts.inventory.failed_regions)


def _oldest(templates: Sequence[FoundTemplate]) -> timedelta:
    return max(template.age for template in templates)


def _is_new(templates: Sequence[FoundTemplate]) -> bool:
    return any(template.age < _SETTLING for template in templates)


def _has_ended(templates: Mapping[str, FoundTemplate | None], *, now: datetime) -> bool:
    ends_at = recorded_end(templates)
    return ends_at is not None and ends_at <= now


def _lacks_template(
    facts: LaunchFacts, templates: Mapping[str, FoundTemplate | None], *, since: datetime
) -> bool:
    """Terminated instances of an earlier cluster of the same name, which AWS lists for an hour, do not count."""
    own = {instance.region for instance in facts.instances if instance.launched_at >= since}
    return any(templates[region] is None for region in own)


def with_recorded_expiry(
    facts: LaunchFacts, templates: Mapping[str, FoundTemplate | None], *, now: datetime
) -> LaunchFacts:
    """With the end that the templates record, where no living node has it: new nodes do not prolong the cluster's life."""
    ends_at = recorded_end(templates)
    if ends_at is None or any(instance.alive for instance in facts.instances):
        return facts
    left_s = max(1, int((ends_at - now).total_seconds()))
    return replace(facts, spec=replace(facts.spec, ttl_s=left_s))


def recorded_end(templates: Mapping[str, FoundTemplate | None]) -> datetime | None:
    """The end of the cluster by its templates: the latest; None if it never ends."""
    values = {template.tags.get(EXPIRES_KEY, "") for template in templates.values() if template is not None}
    times = [at for value in values if (at := expiry_time(value)) is not None]
    return None if NEVER in values else max(times, default=None)


def _regions(facts: LaunchFacts) -> tuple[str, ...]:
    inventory = facts.inventory
    tagged = inventory.tagged if inventory is not None else {}
    names = {
        region for region, rows in tagged.items() if any(row.kind == ResourceKind.TEMPLATE for row in rows)
    }
    return tuple(sorted(names | {instance.region for instance in facts.instances}))
