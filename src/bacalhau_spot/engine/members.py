"""The orchestrator's nodes beside AWS's instances: which of them still exist, and forgetting those that do not."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.prune import Forgotten, decide, doubtful
from bacalhau_spot.core.receipt import Problem
from bacalhau_spot.core.verdict import Fault, judge
from bacalhau_spot.engine.observe import everywhere
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bacalhau_spot.core.members import Member
    from bacalhau_spot.core.model import Identity, Instance
    from bacalhau_spot.core.prune import Pruning
    from bacalhau_spot.engine.calls import Calls, Stop
    from bacalhau_spot.orchestrator.port import Orchestrator

# EC2 takes so many values in one filter (EC2 API reference, DescribeInstances).
_A_FILTER: Final = 200
# Requests to the orchestrator at once; it serves jobs too.
_AT_ONCE: Final = 8


async def instances_by_id(
    calls: Calls, ids: Sequence[str], *, regions: Sequence[str]
) -> tuple[dict[str, Instance], tuple[str, ...], tuple[Problem, ...]]:
    """What AWS shows of these instances in all `regions`, tagged or not; which regions answered; which did not, and why.

    Raises CloudError when the credentials are refused everywhere.
    """

    async def one(region: str) -> list[Instance]:
        found: list[Instance] = []
        for start in range(0, len(ids), _A_FILTER):
            some = ids[start : start + _A_FILTER]
            found += await calls.read(region, partial(calls.cloud.instances_by_id, region, some))
        return found

    answers, unseen = await everywhere(regions, one)
    return {one.id: one for found in answers.values() for one in found}, tuple(answers), unseen


async def forget(orchestrator: Orchestrator, names: Sequence[str], *, stop: Stop) -> Forgotten:
    """Remove the nodes. Never raises for what the orchestrator refuses. What would be refused alike is not asked again."""
    removed: list[str] = []
    failed: list[tuple[str, Problem]] = []
    waiting = list(reversed(names))

    async def work() -> None:
        while waiting and not stop.is_set:
            name = waiting.pop()
            try:
                await orchestrator.remove(name)
            except OrchestratorError as error:
                failed.append((name, problem_of(error)))
                if judge(error.code).fault is not Fault.UNKNOWN:
                    return
            else:
                removed.append(name)

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    return Forgotten(
        address=orchestrator.address,
        removed=tuple(sorted(removed)),
        failed=tuple(sorted(failed, key=lambda one: one[0])),
        left=tuple(sorted(waiting)),
        interrupted=stop.by_user,
    )


async def judged(
    calls: Calls,
    nodes: Sequence[Member],
    *,
    cluster: str,
    regions: Sequence[str],
    identity: Identity | None = None,
) -> Pruning:
    """Which of the nodes may be forgotten. Asks AWS only where one is in doubt. Raises CloudError as `instances_by_id`."""
    ids = doubtful(nodes, cluster=cluster)
    if not ids:
        return decide(nodes, cluster=cluster, instances={}, looked_into=())
    instances, looked_into, unseen = await instances_by_id(calls, ids, regions=regions)
    return decide(
        nodes,
        cluster=cluster,
        instances=instances,
        looked_into=looked_into,
        unseen=unseen,
        identity=identity,
    )


async def forget_gone(
    calls: Calls,
    orchestrator: Orchestrator,
    ended: Collection[str],
    *,
    cluster: str,
    regions: Sequence[str],
) -> Forgotten:
    """Remove the nodes that ran on these instances, which AWS has ended, and the cluster's whose instances went before.

    The latter by prune's rules. Never raises for what the orchestrator or AWS refuses.
    """
    try:
        nodes = await orchestrator.members()
    except OrchestratorError as error:
        return Forgotten(address=orchestrator.address, problem=problem_of(error))
    names = {one.id for one in nodes if one.instance_id in ended and one.labels.get("provider") == "aws"}
    if doubtful([one for one in nodes if one.id not in names], cluster=cluster):
        # Nodes of regions that cannot be looked into stay; that they could not is told beside what AWS has.
        with contextlib.suppress(CloudError):
            pruning = await judged(calls, nodes, cluster=cluster, regions=regions)
            names |= {one.member.id for one in pruning.gone}
    return await forget(orchestrator, sorted(names), stop=calls.stop)


def problem_of(error: OrchestratorError) -> Problem:
    """As a problem of AWS's is told, with the address in the place of the operation."""
    return Problem(code=error.code, message=error.message, operation=error.address, region="")
