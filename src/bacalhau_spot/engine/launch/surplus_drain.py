"""Carries out a `create` that may also remove nodes: surplus nodes drain, as by `scale`.

Rules:
1. Surplus nodes leave their Auto Scaling groups before anything is launched: a group with a smaller number would terminate
   members itself, and all groups together never ask for more nodes than the plan.
2. They drain when the new nodes have joined. If the budget does not allow both at once, they drain first, and nothing is
   launched before all of them have ended.
3. A surplus node stays for each new node that is missing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.inventory import instances_by_region
from bacalhau_spot.core.launch.create_result import CreateResult, RegionResult
from bacalhau_spot.core.launch.surplus import keeping_regions, nodes_to_keep
from bacalhau_spot.core.lifecycle.drain_result import DrainedNode, DrainEnd, DrainResult
from bacalhau_spot.core.scaling_group.groups import without_group
from bacalhau_spot.engine.aws_calls.caller import Cancelled, api_failure
from bacalhau_spot.engine.launch.create import apply_plan
from bacalhau_spot.engine.lifecycle.drain import drain
from bacalhau_spot.engine.scaling_group.membership import release

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.model import Instance, Naming, Network
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.orchestrator.port import Orchestrator


@dataclass(frozen=True)
class Following:
    """How a `create` follows its nodes. `joined`: waits until the launched nodes have joined, and completes the result.

    `api`: the orchestrator's, if known. `wait`: until instances run, and until drained ones have ended.
    """

    joined: Callable[[CreateResult], Awaitable[CreateResult]]
    api: Orchestrator | None = None
    wait: bool = True


async def create_nodes(
    calls: AwsCalls,
    facts: LaunchFacts,
    plan: Plan,
    following: Following,
    *,
    created_networks: Mapping[str, Network] | None = None,
) -> CreateResult:
    """Launch and remove the nodes of the plan. Never raises for a refusal by AWS: the result contains it, region by region.

    `created_networks`: by region, networks created after the facts were gathered.
    """
    naming = facts.spec.naming
    failures = await _release(calls, naming, plan.remove)
    kept = [instance for instance in plan.remove if instance.region in failures]
    plan = keeping_regions(plan, failures)
    work = _Drain(calls, naming, plan, following, terminate_s=facts.spec.timeouts.terminate_s)
    early = await work.run(plan.remove) if plan.old_first and plan.remove else None
    if early is not None and not early.complete:
        return _with_drain(_not_launched(facts, plan, early), early, kept, tuple(failures.values()))
    result = await apply_plan(
        calls,
        facts,
        plan,
        wait=following.wait,
        created_networks=created_networks,
        ended=[node.instance.id for node in early.nodes] if early else (),
    )
    result = await following.joined(result)
    done = early or await work.after(result)
    return _with_drain(result, done, kept, tuple(failures.values()))


async def _release(calls: AwsCalls, naming: Naming, instances: Sequence[Instance]) -> dict[str, ApiFailure]:
    """By region, AWS's refusals. Without groups this makes no call."""
    regions = instances_by_region(instances)

    async def part(region: str) -> ApiFailure | None:
        try:
            await release(calls, naming, regions[region])
        except CloudError as error:
            return api_failure(error)
        except Cancelled:  # then nothing else is called
            return None
        return None

    answers = zip(regions, await asyncio.gather(*(part(region) for region in regions)), strict=True)
    return {region: failure for region, failure in answers if failure is not None}


@dataclass(frozen=True)
class _Drain:
    """The drain of the surplus nodes, which have left their groups."""

    calls: AwsCalls
    naming: Naming
    plan: Plan
    following: Following
    terminate_s: float

    async def run(self, nodes: Sequence[Instance], *, wait: bool = True) -> DrainResult:
        return await drain(
            self.calls,
            self.naming,
            [without_group(instance) for instance in nodes],
            grace_s=self.plan.grace_s,
            api=self.following.api,
            terminate_s=self.terminate_s,
            wait=wait,
        )

    async def after(self, result: CreateResult) -> DrainResult | None:
        """Of the nodes that rule 3 does not keep; None without any."""
        if not self.plan.remove:
            return None
        count = 0 if result.interrupted else nodes_to_keep(result)
        leaving = self.plan.remove[: max(0, len(self.plan.remove) - count)]
        done = await self.run(leaving, wait=self.following.wait)
        stay = _ended(self.plan.remove[len(leaving) :], DrainEnd.KEPT)
        return replace(done, nodes=(*done.nodes, *stay))


def _ended(instances: Sequence[Instance], end: DrainEnd) -> tuple[DrainedNode, ...]:
    return tuple(DrainedNode(instance, end) for instance in instances)


def _with_drain(
    result: CreateResult,
    done: DrainResult | None,
    refused: Sequence[Instance],
    failures: tuple[ApiFailure, ...],
) -> CreateResult:
    """`refused`: nodes that AWS did not detach from their groups."""
    if done is None and not refused:
        return result
    found = done or DrainResult()
    whole = replace(
        found,
        nodes=(*found.nodes, *_ended(refused, DrainEnd.FAILED)),
        failures=(*failures, *found.failures),
    )
    return replace(result, drain=whole, interrupted=result.interrupted or whole.interrupted)


def _not_launched(facts: LaunchFacts, plan: Plan, early: DrainResult) -> CreateResult:
    return CreateResult(
        cluster=facts.spec.name,
        wanted=plan.wanted,
        existing=plan.existing,
        regions=tuple(RegionResult(region.region, requested=region.launch) for region in plan.regions),
        interrupted=early.interrupted,
    )
