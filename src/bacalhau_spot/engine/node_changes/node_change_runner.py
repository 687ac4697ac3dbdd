"""Carries out `remove`, `replace` and `scale`: launches by the engine of `create`, departures by drains.

Nothing is remembered on this machine: the tags of the instances say which nodes drain, and which were launched in place of
others, so that a second run continues after any interruption.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.launch import events, planner
from bacalhau_spot.core.launch.refusals import Refusal
from bacalhau_spot.core.node_changes.change_result import BatchResult, ChangeResult, Stop
from bacalhau_spot.core.node_changes.node_change import batches, replacements_of, target_of_batch
from bacalhau_spot.core.node_changes.replacement_budget import batch_budget, group_budget, standing_plan
from bacalhau_spot.core.orchestrator.orchestrator_nodes import Membership
from bacalhau_spot.core.orchestrator.smoke_test import Outcome
from bacalhau_spot.core.tags import REPLACES_KEY
from bacalhau_spot.engine.aws_calls.caller import Cancelled, gather_all
from bacalhau_spot.engine.aws_calls.discovery import instances_of
from bacalhau_spot.engine.launch.create import apply_plan
from bacalhau_spot.engine.launch.facts_gathering import refusal_error
from bacalhau_spot.engine.lifecycle.drain import drain
from bacalhau_spot.engine.node_changes.group_replacement import launch_in_place
from bacalhau_spot.engine.node_changes.replacement_tags import tag_new_nodes, tag_old_nodes
from bacalhau_spot.engine.orchestrator.smoke_test import run_smoke_test
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bacalhau_spot.core.launch.create_result import CreateResult
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.model import ClusterSpec, Instance
    from bacalhau_spot.core.node_changes.node_change import NodeChange
    from bacalhau_spot.core.node_changes.replacement_budget import BatchBudget
    from bacalhau_spot.core.orchestrator.orchestrator_nodes import OrchestratorNode
    from bacalhau_spot.core.orchestrator.smoke_test import SmokeTestOptions
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.orchestrator.port import JobClient, Orchestrator

_POLL_S: Final = 5.0


@dataclass(frozen=True)
class ChangeTools:
    """`gather`: the facts of a launch with this configuration. `api`, `jobs`: the orchestrator's, if known. `test`: of new
    nodes, with `jobs`. `regions`: the enabled ones.
    """

    gather: Callable[[ClusterSpec], Awaitable[LaunchFacts]]
    regions: tuple[str, ...]
    api: Orchestrator | None = None
    jobs: JobClient | None = None
    test: SmokeTestOptions | None = None


class NodeChangeRunner:
    """One run. `spec`: the configuration; `change`: its plan."""

    def __init__(self, calls: AwsCalls, spec: ClusterSpec, change: NodeChange, tools: ChangeTools) -> None:
        self._calls = calls
        self._spec = spec
        self._change = change
        self._tools = tools

    async def remove(self) -> ChangeResult:
        """Drain all nodes at once."""
        return ChangeResult((await self._drained(self._change.old, BatchResult(_ids(self._change.old))),))

    async def scale(self, facts: LaunchFacts, plan: Plan) -> ChangeResult:
        """Launch the missing nodes, or drain those that are too many."""
        done: list[BatchResult] = []
        if plan.launch:
            done.append(await self._checked(await self._launched(facts, plan, BatchResult())))
        if self._change.old and not (done and done[0].stop):
            done.append(await self._drained(self._change.old, BatchResult(_ids(self._change.old))))
        return ChangeResult(tuple(done))

    async def replace(self) -> ChangeResult:
        """Batch by batch, until one does not succeed. Raises UserError, CloudError if a launch is refused beforehand."""
        done: list[BatchResult] = []
        todo = batches(self._change.old, self._change.at_once)
        for batch in todo:
            result = BatchResult(_ids(batch), stop=Stop.INTERRUPTED if self._calls.stop.is_set else None)
            if result.stop is None:
                result = await self._replaced(batch, result)
            done.append(result)
            if result.stop is not None:
                break
        left = tuple(name for batch in todo[len(done) :] for name in _ids(batch))
        return ChangeResult(tuple(done), left)

    async def _replaced(self, batch: Sequence[Instance], result: BatchResult) -> BatchResult:
        if self._change.old_first:
            affordable = await self._affordable(batch)
            result = (
                await self._sent_away(batch, result) if affordable else _stopped(result, Stop.OVER_BUDGET, ())
            )
        if result.stop is None:
            result = await self._checked(await self._launch_for(batch, result))
        if result.stop is None and not self._change.old_first:
            result = await self._drained(await self._as_listed(batch), result)
        return result

    async def _as_listed(self, batch: Sequence[Instance]) -> tuple[Instance, ...]:
        """The old nodes of a self-healing cluster without the group that they have left."""
        if not self._spec.self_heal:
            return tuple(batch)
        ids: dict[str, list[str]] = {}
        for instance in batch:
            ids.setdefault(instance.region, []).append(instance.id)
        by_id = self._calls.cloud.instances_by_id
        listed = await gather_all(
            *(self._calls.read(region, partial(by_id, region, here)) for region, here in ids.items())
        )
        now = {instance.id: instance for instances in listed for instance in instances}
        return tuple(now.get(instance.id, instance) for instance in batch)

    async def _affordable(self, batch: Sequence[Instance]) -> bool:
        """Whether the budget will allow the new nodes of a batch once its old ones have left. Nothing has been changed yet."""
        if self._spec.budget_usd_per_hour is None:
            return True
        inventory = await instances_of(self._calls, self._spec.naming, regions=self._tools.regions)
        target = target_of_batch(self._spec, batch, inventory.instances)
        if target is None:
            return True
        facts, plan = await self._planned(target)
        return self._budget(facts, plan, batch).fits_old_first

    def _budget(self, facts: LaunchFacts, plan: Plan, batch: Sequence[Instance]) -> BatchBudget:
        if self._spec.self_heal:
            return group_budget(facts, standing_plan(facts, plan), batch, at_once=len(batch))
        return batch_budget(facts, plan, batch, at_once=len(batch))

    async def _sent_away(self, batch: Sequence[Instance], result: BatchResult) -> BatchResult:
        """Drained before their replacements are launched. The tag lets any selection find them after an interruption."""
        inventory = await instances_of(self._calls, self._spec.naming, regions=self._tools.regions)
        try:
            await tag_old_nodes(self._calls, batch, inventory.instances)
        except Cancelled:
            return _stopped(result, Stop.INTERRUPTED, ())
        return await self._drained(batch, result)

    async def _planned(self, target: ClusterSpec) -> tuple[LaunchFacts, Plan]:
        """Raises UserError if the launch is refused."""
        facts = await self._tools.gather(target)
        plan = planner.plan(facts)
        if isinstance(plan, Refusal):
            raise refusal_error(plan)
        return facts, plan

    async def _launch_for(self, batch: Sequence[Instance], result: BatchResult) -> BatchResult:
        """The missing replacements of a batch; those of an interrupted run are found by their tag."""
        inventory = await instances_of(self._calls, self._spec.naming, regions=self._tools.regions)
        present = inventory.instances
        existing = _ids(replacements_of(batch, present))
        target = target_of_batch(self._spec, batch, present)
        result = BatchResult(result.old, existing, drain=result.drain)
        if target is None:
            return result
        facts, plan = await self._planned(target)
        if self._spec.self_heal and not self._change.old_first:
            return await self._launched_by_groups(facts, plan, batch, result)
        if plan.over_budget:
            return _stopped(result, Stop.OVER_BUDGET, ())
        return await self._launched(facts, plan, result)

    async def _launched_by_groups(
        self, facts: LaunchFacts, plan: Plan, batch: Sequence[Instance], result: BatchResult
    ) -> BatchResult:
        """In place of the old nodes, with the values of the configuration."""
        standing = standing_plan(facts, plan)
        if not group_budget(facts, standing, batch, at_once=len(batch)).fits_new_first:
            return _stopped(result, Stop.OVER_BUDGET, ())
        regions = {instance.region for instance in batch}
        outdated = tuple(group for group in standing.group_changes if group.region in regions)
        if outdated:
            changed = await apply_plan(self._calls, facts, replace(standing, groups=outdated), wait=False)
            if changed.problems or changed.interrupted:
                stop = Stop.INTERRUPTED if changed.interrupted else Stop.NOT_LAUNCHED
                return BatchResult(result.old, result.new, launch=changed, drain=result.drain, stop=stop)
        done = await launch_in_place(self._calls, self._spec, batch, facts.instances)
        stopped = _launch_stop(done.launch)
        return BatchResult(result.old, done.new, launch=done.launch, drain=result.drain, stop=stopped)

    async def _launched(self, facts: LaunchFacts, plan: Plan, result: BatchResult) -> BatchResult:
        tags = {REPLACES_KEY: " ".join(result.old)} if result.old else {}
        launch = await apply_plan(self._calls, facts, plan, more_tags=tags)
        launched = _running(launch)
        if self._spec.self_heal and result.old:
            # No launch of a group takes tags of its own. These matter only to a later run, which would ask before it launches.
            with suppress(CloudError, Cancelled):
                await tag_new_nodes(self._calls, launched, result.old)
        new = (*result.new, *(instance.id for instance in launched))
        return BatchResult(result.old, new, launch=launch, drain=result.drain, stop=_launch_stop(launch))

    async def _checked(self, result: BatchResult) -> BatchResult:
        """Whether the new nodes have joined and run a job, where the orchestrator's API is known."""
        if result.stop is not None or not result.new or self._tools.api is None:
            return result
        try:
            joined = await self._joined(self._tools.api, result.new)
        except Cancelled:
            return _stopped(result, Stop.INTERRUPTED, ())
        missing = tuple(name for name in result.new if name not in {node.instance_id for node in joined})
        if missing:
            return _stopped(result, Stop.NOT_JOINED, missing)
        return await self._tested(joined, result)

    async def _joined(self, api: Orchestrator, ids: Sequence[str]) -> tuple[OrchestratorNode, ...]:
        """The nodes of these instances that get work, once all do or `timeouts.join_s` is over. Raises Cancelled."""
        deadline_s = self._calls.clock.monotonic_s() + self._spec.timeouts.join_s
        joined: tuple[OrchestratorNode, ...] = ()
        while True:
            try:
                nodes = await api.nodes()
            except OrchestratorError:  # the next request may be answered
                nodes = ()
            joined = tuple(
                node
                for node in nodes
                if node.instance_id in ids and node.connected and node.membership is Membership.APPROVED
            )
            self._calls.emit(events.NodesJoined(joined=len(joined), launched=len(ids)))
            if len(joined) == len(ids) or self._calls.clock.monotonic_s() >= deadline_s:
                return joined
            await self._calls.pause(_POLL_S)

    async def _tested(self, nodes: Sequence[OrchestratorNode], result: BatchResult) -> BatchResult:
        if self._tools.jobs is None or self._tools.test is None:
            return result
        tests = await run_smoke_test(
            self._calls, self._tools.jobs, nodes, self._tools.test, cluster=self._spec.name
        )
        if tests.interrupted:
            return _stopped(result, Stop.INTERRUPTED, ())
        if tests.failures:
            refused = _stopped(result, Stop.TEST_REFUSED, ())
            return replace(refused, refusal=tests.failures[0])
        failed = tuple(
            test.node.instance_id for test in tests.tests if test.verdict.outcome is not Outcome.RAN
        )
        return _stopped(result, Stop.TEST_FAILED, failed) if failed else result

    async def _drained(self, old: Sequence[Instance], result: BatchResult) -> BatchResult:
        done = await drain(
            self._calls,
            self._spec.naming,
            old,
            grace_s=self._change.grace_s,
            api=self._tools.api,
            terminate_s=self._spec.timeouts.terminate_s,
        )
        stop = None
        if not done.complete:
            stop = Stop.INTERRUPTED if done.interrupted else Stop.NOT_DRAINED
        return BatchResult(result.old, result.new, launch=result.launch, drain=done, stop=stop)


def _stopped(result: BatchResult, stop: Stop, faulty: tuple[str, ...]) -> BatchResult:
    return BatchResult(result.old, result.new, faulty, result.launch, result.drain, stop)


def _launch_stop(launch: CreateResult) -> Stop | None:
    if launch.interrupted:
        return Stop.INTERRUPTED
    return Stop.NOT_LAUNCHED if launch.missing else None


def _running(launch: CreateResult) -> tuple[Instance, ...]:
    return tuple(instance for region in launch.regions for instance in region.running)


def _ids(instances: Sequence[Instance]) -> tuple[str, ...]:
    return tuple(instance.id for instance in instances)
