"""Compares the orchestrator's nodes with AWS's instances, and removes the nodes whose instances no longer exist."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.orchestrator.prune import PruneResult, instances_to_check, plan_prune
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.engine.aws_calls.discovery import in_all_regions
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bacalhau_spot.core.model import Identity, Instance
    from bacalhau_spot.core.orchestrator.orchestrator_nodes import OrchestratorNode
    from bacalhau_spot.core.orchestrator.prune import PrunePlan
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls, CancelSignal
    from bacalhau_spot.orchestrator.port import Orchestrator

# EC2's limit of values in one filter (EC2 API reference, DescribeInstances).
_A_FILTER: Final = 200
# Concurrent requests to the orchestrator, which serves jobs too.
_AT_ONCE: Final = 8


async def instances_by_id(
    calls: AwsCalls, ids: Sequence[str], *, regions: Sequence[str]
) -> tuple[dict[str, Instance], tuple[str, ...], tuple[ApiFailure, ...]]:
    """These instances in all `regions`, tagged or not; the regions that answered; the failures of the others.

    Raises CloudError when the credentials are refused everywhere.
    """

    async def instances_in(region: str) -> list[Instance]:
        found: list[Instance] = []
        for start in range(0, len(ids), _A_FILTER):
            some = ids[start : start + _A_FILTER]
            found += await calls.read(region, partial(calls.cloud.instances_by_id, region, some))
        return found

    answers, unseen = await in_all_regions(regions, instances_in)
    return (
        {instance.id: instance for answer in answers.values() for instance in answer},
        tuple(answers),
        unseen,
    )


async def remove_nodes(
    orchestrator: Orchestrator, names: Sequence[str], *, stop: CancelSignal
) -> PruneResult:
    """Remove the nodes. Refusals are in the result; after one that applies to every node, no removal is started."""
    removed: list[str] = []
    failed: list[tuple[str, ApiFailure]] = []
    waiting = list(reversed(names))

    async def work() -> None:
        while waiting and not stop.is_set:
            name = waiting.pop()
            try:
                await orchestrator.remove(name)
            except OrchestratorError as error:
                failed.append((name, orchestrator_failure(error)))
                if classify(error.code).category is not Category.UNKNOWN:
                    return
            else:
                removed.append(name)

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    return PruneResult(
        address=orchestrator.address,
        removed=tuple(sorted(removed)),
        failed=tuple(sorted(failed, key=lambda failure: failure[0])),
        not_removed=tuple(sorted(waiting)),
        interrupted=stop.by_user,
    )


async def find_stale(
    calls: AwsCalls,
    nodes: Sequence[OrchestratorNode],
    *,
    cluster: str,
    regions: Sequence[str],
    identity: Identity | None = None,
) -> PrunePlan:
    """Which nodes may be removed. Calls AWS only to check instances. Raises CloudError as `instances_by_id`."""
    ids = instances_to_check(nodes, cluster=cluster)
    if not ids:
        return plan_prune(nodes, cluster=cluster, instances={}, regions_scanned=())
    instances, looked_into, unseen = await instances_by_id(calls, ids, regions=regions)
    return plan_prune(
        nodes,
        cluster=cluster,
        instances=instances,
        regions_scanned=looked_into,
        failed_regions=unseen,
        identity=identity,
    )


async def remove_stale(
    calls: AwsCalls,
    orchestrator: Orchestrator,
    ended: Collection[str],
    *,
    cluster: str,
    regions: Sequence[str],
) -> PruneResult:
    """Remove the nodes of these instances, which AWS has terminated, and the cluster's other stale nodes.

    The latter follow the rules of `prune`. Never raises for a refusal by the orchestrator or AWS.
    """
    try:
        nodes = await orchestrator.nodes()
    except OrchestratorError as error:
        return PruneResult(address=orchestrator.address, problem=orchestrator_failure(error))
    names = {node.id for node in nodes if node.instance_id in ended and node.labels.get("provider") == "aws"}
    if instances_to_check([node for node in nodes if node.id not in names], cluster=cluster):
        # Nodes in regions that cannot be scanned are not removed. The failed scan is reported with AWS's instances.
        with contextlib.suppress(CloudError):
            plan = await find_stale(calls, nodes, cluster=cluster, regions=regions)
            names |= {decision.member.id for decision in plan.stale}
    return await remove_nodes(orchestrator, sorted(names), stop=calls.stop)


def orchestrator_failure(error: OrchestratorError) -> ApiFailure:
    """In the format of an AWS failure, with the address in place of the operation."""
    return ApiFailure(code=error.code, message=error.message, operation=error.address, region="")
