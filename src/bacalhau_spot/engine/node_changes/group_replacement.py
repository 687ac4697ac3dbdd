"""The new nodes of a batch in a self-healing cluster: the Auto Scaling group launches them in place of detached old ones.

Rules:
1. An old node gets the tag REPLACED_KEY, and then leaves its group, whose number stays. So the groups never ask for more nodes
   than before, and at every moment the tags and the members of the group show how far the replacement is.
2. If AWS refuses the new nodes, as many old ones are attached again, and keep running.
3. After Ctrl-C the group goes on launching; the same command continues.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.scaling_groups import MAX_INSTANCES_A_CALL
from bacalhau_spot.core.error_catalog.internal import GROUP_GONE
from bacalhau_spot.core.inventory import instances_by_region
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.launch.create_result import CreateResult, PoolFailure, RegionResult
from bacalhau_spot.core.lifecycle.superseded import is_begun, replaced_ids
from bacalhau_spot.core.node_changes.node_change import replacements_of
from bacalhau_spot.core.scaling_group.groups import group_of
from bacalhau_spot.core.tags import REPLACES_KEY, template_name
from bacalhau_spot.engine.aws_calls.caller import Cancelled, api_failure
from bacalhau_spot.engine.aws_calls.tagging import write_tags
from bacalhau_spot.engine.launch.wait_running import wait_until_running
from bacalhau_spot.engine.node_changes.replacement_tags import tag_old_nodes
from bacalhau_spot.engine.scaling_group.group_watch import GroupWatch, living_nodes
from bacalhau_spot.engine.scaling_group.groups import activities_of, scaling_group
from bacalhau_spot.engine.scaling_group.membership import attach, detach

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import ClusterSpec, Instance
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.scaling_group.groups import ScalingGroup
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

_POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class GroupReplacement:
    """`new`: ids of the running nodes in place of the batch, those of an interrupted run included."""

    launch: CreateResult
    new: tuple[str, ...]


async def launch_in_place(
    calls: AwsCalls, spec: ClusterSpec, old: Sequence[Instance], nodes: Sequence[Instance]
) -> GroupReplacement:
    """Let the groups launch a node in place of each old one, and wait until they run. Never raises for a refusal by AWS.

    `old`: of configured regions with a group. `nodes`: all of the cluster, as AWS lists them.
    """
    listed = {instance.id: instance for instance in nodes}
    regions = instances_by_region(listed.get(instance.id, instance) for instance in old)
    parts = [
        _RegionPart(calls, spec, region, tuple(here), tuple(old), tuple(nodes))
        for region, here in regions.items()
    ]
    await asyncio.gather(*(part.run() for part in parts))
    present = sum(instance.alive for instance in nodes)
    launch = CreateResult(
        cluster=spec.name,
        wanted=present,
        existing=present,
        regions=tuple(part.result() for part in parts),
        interrupted=calls.stop.by_user,
    )
    return GroupReplacement(launch, tuple(name for part in parts for name in part.running()))


@dataclass
class _RegionPart:
    """One region. `batch`: the old nodes of all regions; `nodes`: of the cluster, before.

    `existing`: ids of new nodes of an interrupted run; `launched`: of those of this one; `attached`: the number of old nodes that
    are back in the group.
    """

    calls: AwsCalls
    spec: ClusterSpec
    region: str
    old: tuple[Instance, ...]
    batch: tuple[Instance, ...]
    nodes: tuple[Instance, ...]
    existing: tuple[str, ...] = ()
    launched: tuple[str, ...] = ()
    instances: tuple[Instance, ...] = ()
    attached: int = 0
    problem: ApiFailure | None = None
    watch: GroupWatch | None = None
    _known: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """The boundary of a region: a failure in one does not stop the others."""
        self._known = {instance.id for instance in self.nodes}
        self.existing = tuple(one.id for one in replacements_of(self.old, self.nodes))
        missing = len(self.old) - len(self.existing)
        self.calls.emit(events.RegionStarted(region=self.region, requested=missing))
        try:
            await self._replace()
            await self._follow_new()
        except CloudError as error:
            self._failed(api_failure(error))
        except Cancelled:
            pass
        except Exception as error:  # noqa: BLE001 - the boundary of a region: our own mistake here must not lose the others' results
            self._failed(self.calls.internal_error(error, region=self.region))

    async def _replace(self) -> None:
        deadline_s = self.calls.clock.monotonic_s() + self.spec.timeouts.fulfilment_s
        group = await self._group()
        earlier = frozenset(activity.id for activity in await activities_of(self.calls, group))
        lacking = self._lacking(group)
        await self._mark(group)
        if lacking > 0:
            await self._set_number(group, group.desired + lacking)
        detached = await self._detach(deadline_s=deadline_s)
        self.watch = GroupWatch(self.calls, await self._group(), earlier)
        there = detached and await self._complete(self.watch, deadline_s=deadline_s)
        if not there and not self.calls.stop.is_set:
            await self._put_back(self.watch)

    async def _group(self) -> ScalingGroup:
        group = await scaling_group(self.calls, self.spec.naming, self.region)
        if group is None or group.deleting:
            raise CloudError(
                GROUP_GONE,
                f"Auto Scaling group {template_name(self.spec.naming)} does not exist any more",
                operation="DescribeAutoScalingGroups",
                region=self.region,
            )
        return group

    def _lacking(self, group: ScalingGroup) -> int:
        """By how many nodes the group's number is too small: an old node left with its place, or its new node was removed."""
        outside = [one for one in self.old if one.id not in group.member_ids]
        launching = max(0, group.desired - group.size)
        return len(outside) - len(replacements_of(outside, self.nodes)) - launching

    async def _mark(self, group: ScalingGroup) -> None:
        """The members, before they leave: the tag of one that has left already shows since when."""
        members = [one for one in self.old if one.id in group.member_ids or not is_begun(one)]
        await tag_old_nodes(self.calls, members, self.nodes)

    async def _set_number(self, group: ScalingGroup, number: int) -> None:
        call = partial(
            self.calls.cloud.update_scaling_group, self.region, group.name, desired=number, maximum=number
        )
        await self.calls.write(self.region, call)

    async def _detach(self, *, deadline_s: float) -> bool:
        """Whether the group has no old node any more. One that starts has to be in service first."""
        while left := await self._detach_ready():
            if self.calls.clock.monotonic_s() + _POLL_S > deadline_s:
                self._failed(self._still_starting())
                return False
            self.calls.emit(events.Waiting(self.region, "detaching instances", left))
            await self.calls.pause(_POLL_S)
        return True

    async def _detach_ready(self) -> int:
        """Detach the old nodes in service; the number of those that were members before."""
        group = await self._group()
        ids = {one.id for one in self.old}
        members = [member for member in group.members if member.id in ids and member.counts]
        ready = [member.id for member in members if member.in_service]
        for start in range(0, len(ready), MAX_INSTANCES_A_CALL):
            some = ready[start : start + MAX_INSTANCES_A_CALL]
            await detach(self.calls, self.region, group.name, some, replace=True)
        return len(members)

    def _still_starting(self) -> ApiFailure:
        return api_failure(
            CloudError(
                "ScalingActivityInProgress",
                f"instances of group {template_name(self.spec.naming)} are not in service yet",
                operation="DetachInstances",
                region=self.region,
            )
        )

    async def _complete(self, watch: GroupWatch, *, deadline_s: float) -> bool:
        """Whether the group has all its nodes; False after AWS's refusal, at the deadline, and after a stop."""
        while True:
            group = await self._group()
            have = await self._members(group)
            if await watch.settled(have, total=group.desired):
                return have >= group.desired
            if self.calls.stop.is_set or self.calls.clock.monotonic_s() + _POLL_S > deadline_s:
                return False
            remaining = group.desired - have
            self.calls.emit(events.Waiting(self.region, "AWS launches instances", remaining))
            with suppress(Cancelled):  # the nodes that AWS has launched until then must be in the results
                await self.calls.pause(_POLL_S)

    async def _members(self, group: ScalingGroup) -> int:
        """The number of living nodes of the group; notes its new ones."""
        leaving = {one.id for one in self.batch}
        living = [
            one
            for one in await living_nodes(self.calls, self.spec.naming, self.region)
            if one.id not in leaving and (one.id in group.member_ids or group_of(one) == group.name)
        ]
        self.launched = tuple(one.id for one in living if one.id not in self._known)
        return len(living)

    async def _put_back(self, watch: GroupWatch) -> None:
        """Attach as many old nodes as new ones are missing. Each adds one to the group's number, which is lowered before."""
        group = await self._group()
        missing = group.desired - await self._members(group)
        outside = [
            one.id
            for one in await living_nodes(self.calls, self.spec.naming, self.region)
            if one.id in {old.id for old in self.old} - group.member_ids
        ]
        back = outside[: max(0, missing)]
        if not back:
            return
        call = partial(
            self.calls.cloud.update_scaling_group,
            self.region,
            group.name,
            desired=group.desired - len(back),
            maximum=group.desired,
        )
        await self.calls.write(self.region, call)
        refused = await attach(self.calls, self.region, group.name, back)
        self.attached = len(back)
        for error in refused.values():
            self._failed(api_failure(error))
        self.calls.emit(
            events.FleetResponded(
                region=self.region,
                fleet_id=group.name,
                requested=len(self.launched) + len(back),
                launched=len(self.launched),
                refusals=tuple(("", failure.zone, failure.code) for failure in watch.failures),
            )
        )

    async def _follow_new(self) -> None:
        """Until the new nodes run. Their tag names the old ones, as in a plain cluster."""
        new = (*self.existing, *self.launched)
        tagged = {one.id for one in self.nodes if replaced_ids(one)}
        ids = [name for name in new if name not in tagged]
        tags = {REPLACES_KEY: " ".join(one.id for one in self.batch)}
        await write_tags(self.calls, self.region, ids, tags=tags)
        deadline_s = self.calls.clock.monotonic_s() + self.spec.timeouts.fulfilment_s
        if self.launched:
            self.instances = await wait_until_running(
                self.calls, self.spec.naming, region=self.region, ids=self.launched, deadline_s=deadline_s
            )

    def running(self) -> tuple[str, ...]:
        return (*self.existing, *(one.id for one in self.result().running))

    def result(self) -> RegionResult:
        """`requested`: more than run if old nodes had to stay, or after a failure."""
        failures = self.watch.failures if self.watch else ()
        result = RegionResult(
            region=self.region,
            requested=len(self.old) - len(self.existing),
            launched=self.launched,
            instances=self.instances,
            pool_failures=tuple(PoolFailure("", one.zone, one.code, one.message) for one in failures),
            problem=self.problem,
        )
        stayed = max(self.attached, int(self.problem is not None))
        return replace(result, requested=max(result.requested, len(result.running) + stayed))

    def _failed(self, failure: ApiFailure) -> None:
        self.problem = failure
        self.calls.emit(
            events.RegionFailed(
                region=self.region,
                operation=failure.operation,
                code=failure.code,
                message=failure.message,
            )
        )
