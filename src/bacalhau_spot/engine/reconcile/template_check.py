"""Whether the cluster still exists: a launch template of it in every region where its nodes are.

`create` makes a region's template before anything else there, and `destroy` deletes it with the first resources. So a cluster
without templates was never created or is destroyed, and one that lacks some is being destroyed: neither is repaired.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.reconcile.pass_result import Hindrance
from bacalhau_spot.core.tags import template_name

if TYPE_CHECKING:
    from bacalhau_spot.cloud.port import FoundTemplate
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


async def existence_problem(calls: AwsCalls, facts: LaunchFacts) -> Hindrance | None:
    """None for a cluster that exists. At most one call in each region with nodes or a template. Raises CloudError."""
    regions = _regions(facts)
    found = dict(
        zip(regions, await asyncio.gather(*(_template(calls, facts, name) for name in regions)), strict=True)
    )
    templates = [template for template in found.values() if template is not None]
    if not templates:
        alive = any(instance.alive for instance in facts.instances)
        return Hindrance.DESTROYED_NOW if alive else Hindrance.NO_CLUSTER
    created_at = calls.clock.now() - max(template.age for template in templates)
    # Terminated instances of an earlier cluster of the same name stay listed for an hour.
    own = {instance.region for instance in facts.instances if instance.launched_at >= created_at}
    return Hindrance.DESTROYED_NOW if any(found[region] is None for region in own) else None


def _regions(facts: LaunchFacts) -> tuple[str, ...]:
    inventory = facts.inventory
    tagged = inventory.tagged if inventory is not None else {}
    names = {
        region for region, rows in tagged.items() if any(row.kind == ResourceKind.TEMPLATE for row in rows)
    }
    return tuple(sorted(names | {instance.region for instance in facts.instances}))


async def _template(calls: AwsCalls, facts: LaunchFacts, region: str) -> FoundTemplate | None:
    name = template_name(facts.spec.naming)
    return await calls.read(region, partial(calls.cloud.template, region, name))
