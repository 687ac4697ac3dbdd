"""The pass on the orchestrator's own machine: with the configuration in AWS, and without changes of the orchestrator."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.core.model import OrchestratorMode
from bacalhau_spot.core.orchestrator.published_configuration import changed_keys
from bacalhau_spot.core.reconcile.pass_result import Hindrance, PassActions
from bacalhau_spot.engine.orchestrator.reconcile_configuration import published_configuration
from bacalhau_spot.engine.reconcile.node_removal import remove_instances
from bacalhau_spot.engine.reconcile.template_check import cluster_template

if TYPE_CHECKING:
    from bacalhau_spot.core.health.cluster_status import ClusterStatus
    from bacalhau_spot.core.model import ClusterSpec, Naming
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


async def published_differences(calls: AwsCalls, spec: ClusterSpec, status: ClusterStatus) -> tuple[str, ...]:
    """How the configuration of this pass differs from that of the orchestrator's machine; empty if none keeps the cluster.

    Read while the pass holds the lock: `create` may have written another one since the pass has read its own. Raises CloudError,
    UserError.
    """
    if spec.orchestrator.mode is not OrchestratorMode.MANAGED:
        return ()
    region = next((found.region for found in status.snapshot.orchestrators), spec.planned_home)
    if region is None:
        return ()
    published = await published_configuration(calls, spec.naming, region=region)
    if published is None or not published.is_on:
        return ()
    own = spec.orchestrator.reconcile
    return ("orchestrator.reconcile",) if own is None else changed_keys(own, published)


async def end_nodes(calls: AwsCalls, spec: ClusterSpec, status: ClusterStatus) -> PassActions:
    """Delete the launch templates and terminate the nodes of a cluster whose time is over. Raises CloudError, Cancelled.

    Without launch templates a cluster is destroyed, for this pass and for all others: none launches a node again.
    """
    living = [instance for instance in status.snapshot.instances if instance.alive]
    regions = dict.fromkeys([*(region.name for region in spec.regions), *(one.region for one in living)])
    await asyncio.gather(*(_delete_template(calls, spec.naming, region) for region in regions))
    removed = await remove_instances(calls, spec.naming, living)
    return PassActions(
        deleted=len(removed.removed), failures=removed.failures, hindrance=Hindrance.ORCHESTRATOR_LEFT
    )


async def _delete_template(calls: AwsCalls, naming: Naming, region: str) -> None:
    template = await cluster_template(calls, naming, region)
    if template is not None:
        await calls.write(region, partial(calls.cloud.delete_template, region, template.id))
