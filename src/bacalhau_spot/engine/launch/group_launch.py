"""The launch in one region by its Auto Scaling group: created, resized and followed until AWS has launched or refused.

Rules:
1. Every number is set, none is added to: a call that is repeated, also by another `create`, changes nothing.
2. A group starts with no node, and gets its number last: after a kill at any call, the next `create` continues.
3. A group has its end before it gets its number: AWS refuses one in the past, and the group stays as it is.
4. A group gives up nodes before another region launches them: all groups together never ask for more than the plan.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.port import FleetResult, PoolError
from bacalhau_spot.cloud.scaling_groups import GroupLaunch
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.launch.group_plan import GroupPlan, GroupStep, group_tags
from bacalhau_spot.core.launch.group_types import group_types
from bacalhau_spot.core.launch.node_spec import node_spec_tag
from bacalhau_spot.core.lifecycle.expiry import expiry_time
from bacalhau_spot.core.scaling_group.groups import LAUNCH, REBALANCE_ZONES, ScalingGroup, group_of
from bacalhau_spot.core.tags import expiry_tags, node_tags, tags_for, template_name
from bacalhau_spot.engine.aws_calls.caller import Cancelled
from bacalhau_spot.engine.aws_calls.consistency import LAG_S
from bacalhau_spot.engine.launch.fleet import launched_of
from bacalhau_spot.engine.launch.region_launch import prepare_region, template_content, template_version
from bacalhau_spot.engine.lifecycle.expiry_tags import write_expiry
from bacalhau_spot.engine.lifecycle.group_expiry import write_group_expiry
from bacalhau_spot.engine.scaling_group.group_watch import GroupWatch, living_nodes
from bacalhau_spot.engine.scaling_group.groups import (
    activities_of,
    existing_group,
    listed_group,
    scaling_group,
)
from bacalhau_spot.engine.scaling_group.membership import INVALID, attach

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bacalhau_spot.cloud.port import LaunchedInstance
    from bacalhau_spot.core.model import ClusterSpec, Instance
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.launch.node_secrets import NodeSecrets
    from bacalhau_spot.engine.launch.region_launch import RegionLaunch

_POLL_S = 2.0
_EXISTS = "AlreadyExists"
# The text of a ValidationError for a group that Auto Scaling does not know.
_UNKNOWN = "name not found"


@dataclass(frozen=True, slots=True)
class GroupTarget:
    """What a region's group is to have. `total`: the region's nodes; `launch`: how many of them AWS is to launch now.

    `expiry`: the value of the tag with the end of the cluster's lifetime; empty for none.
    """

    plan: GroupPlan
    total: int
    launch: int
    expiry: str = ""


async def launch_in_group(
    calls: AwsCalls,
    spec: ClusterSpec,
    region_launch: RegionLaunch,
    target: GroupTarget,
    *,
    cidrs: Sequence[str],
    deadline_s: float,
    secrets: NodeSecrets | None = None,
) -> None:
    """Create or change the group, and follow it. Raises CloudError, Cancelled, UserError.

    Returns when the nodes are there, when AWS has refused them in every zone, or at `deadline_s` (monotonic). AWS goes on
    trying in any case. The new instances and the refusals are appended to the results.
    """
    region = region_launch.region
    group = await scaling_group(calls, spec.naming, region)
    launch = None
    if group is None or target.launch or GroupStep.UPDATE in target.plan.steps:
        template_id = await prepare_region(
            calls, spec, region_launch, count=target.launch, cidrs=cidrs, secrets=secrets
        )
        await _record_expiry(calls, region_launch, template_id, target.expiry)
        launch = await _group_launch(calls, spec, region_launch, template_id)
    earlier: frozenset[str] = frozenset()
    is_others = False
    if group is None:
        group = await _create(calls, spec, region, _required(launch), expiry=target.expiry)
        # Another create, at the same time, has set its number.
        is_others = bool(group.desired)
    if not is_others:
        earlier = frozenset(activity.id for activity in await activities_of(calls, group))
        await _set(calls, spec, region_launch, group, target, launch=launch)
    watch = GroupWatch(calls, group, earlier)
    following = _Following(calls, spec, region_launch, watch, target.total)
    await following.run(deadline_s=deadline_s)


async def _record_expiry(calls: AwsCalls, region_launch: RegionLaunch, template_id: str, value: str) -> None:
    """A group needs no repetition of the same request, for which the template keeps the expiry of an earlier launch."""
    if value and region_launch.expiry != value:
        await write_expiry(calls, region_launch.region, [template_id], value)
        region_launch.expiry = value


def _required(launch: GroupLaunch | None) -> GroupLaunch:
    if launch is None:
        raise AssertionError("a new group needs its launch template")
    return launch


async def _set(
    calls: AwsCalls,
    spec: ClusterSpec,
    region_launch: RegionLaunch,
    group: ScalingGroup,
    target: GroupTarget,
    *,
    launch: GroupLaunch | None,
) -> None:
    """The group's end, its processes, its members, and last its number."""
    region, name = group.region, group.name
    await _set_processes(calls, group)
    if target.expiry:
        await write_group_expiry(calls, spec.naming, group, target.expiry)
    outside = await _attach(calls, spec, region_launch, group, target)
    number = max(0, target.total - outside)
    at = expiry_time(target.expiry)
    if at is not None and at <= calls.clock.now():
        number = 0  # the scheduled action has run meanwhile, and would not end the new nodes
    await calls.write(
        region,
        partial(
            calls.cloud.update_scaling_group, region, name, desired=number, maximum=number, launch=launch
        ),
    )
    if launch is not None:
        tags = group_tags(spec, region=region)
        await calls.write(region, partial(calls.cloud.tag_scaling_group, region, name, tags=tags))


async def _group_launch(
    calls: AwsCalls, spec: ClusterSpec, region_launch: RegionLaunch, template_id: str
) -> GroupLaunch:
    """A version of the template for each kind of types: a group's template has the image and all tags."""
    types = group_types(region_launch.market.offers)
    versions = {}
    for arch, for_burstable in sorted(set(types.values())):
        content = template_content(
            spec,
            region_launch,
            with_credits=for_burstable,
            image_id=region_launch.market.images[arch].id,
            tags=node_tags(
                spec.naming,
                region=region_launch.region,
                node_spec=node_spec_tag(spec, region=region_launch.region),
            ),
        )
        versions[arch, for_burstable] = await template_version(
            calls, region_launch.region, template_id, content=content
        )
    zones = {offer.pool.zone for offer in region_launch.market.offers}
    subnets = region_launch.network.subnets
    return GroupLaunch(
        template_id=template_id,
        versions={name: versions[kind] for name, kind in types.items()},
        subnets=tuple(subnets[zone] for zone in sorted(zones) if zone in subnets),
        max_usd_per_hour=spec.max_price_usd_per_hour,
    )


async def _create(
    calls: AwsCalls, spec: ClusterSpec, region: str, launch: GroupLaunch, *, expiry: str
) -> ScalingGroup:
    name = template_name(spec.naming)
    # Without the launch values: the group gets them after its number, so that an interrupted create is recognized.
    tags = tags_for(spec.naming, name)
    try:
        await calls.write(
            region,
            partial(
                calls.cloud.create_scaling_group,
                region,
                name,
                launch=launch,
                tags=tags,
                instance_tags=expiry_tags(expiry),
            ),
        )
    except CloudError as error:
        if error.code != _EXISTS:
            raise
        # An interrupted create's, or another create's at the same time; a name alone proves nothing.
        return await existing_group(calls, spec.naming, region, taken=error)
    calls.emit(events.ResourceCreated(region=region, kind=ResourceKind.SCALING_GROUP, id=name))
    listed = await scaling_group(calls, spec.naming, region)
    return listed or ScalingGroup(name, region, desired=0, maximum=0)


async def _set_processes(calls: AwsCalls, group: ScalingGroup) -> None:
    """No rebalancing of zones: it terminates working nodes only to have equal numbers in each zone."""
    if REBALANCE_ZONES not in group.suspended:
        await _write_when_known(
            calls,
            group.region,
            partial(calls.cloud.suspend_scaling, group.region, group.name, process=REBALANCE_ZONES),
        )
    if LAUNCH in group.suspended:  # by an interrupted change to a plain cluster
        await calls.write(
            group.region, partial(calls.cloud.resume_scaling, group.region, group.name, process=LAUNCH)
        )


async def _write_when_known(calls: AwsCalls, region: str, call: Callable[[], Awaitable[None]]) -> None:
    """The first call about a group, which Auto Scaling may not know for some seconds. Raises CloudError, Cancelled."""
    until_s = calls.clock.monotonic_s() + LAG_S
    while True:
        try:
            await calls.write(region, call)
        except CloudError as error:
            is_unknown = error.code == INVALID and _UNKNOWN in error.message
            if not is_unknown or calls.clock.monotonic_s() >= until_s:
                raise
            await calls.pause(_POLL_S)
        else:
            return


async def _attach(
    calls: AwsCalls,
    spec: ClusterSpec,
    region_launch: RegionLaunch,
    group: ScalingGroup,
    target: GroupTarget,
) -> int:
    """Attach the plan's nodes; the number of living ones that stay outside the group, with AWS's reason in the results."""
    region = region_launch.region
    ids = [instance_id for instance_id in target.plan.attach if instance_id not in group.member_ids]
    if not ids:
        return 0
    # Each attached node adds one to the group's number: it must not ask for more than the total meanwhile.
    number = min(group.desired, max(0, target.total - len(ids)))
    await calls.write(
        region,
        partial(
            calls.cloud.update_scaling_group,
            region,
            group.name,
            desired=number,
            maximum=number + len(ids),
        ),
    )
    refused = await attach(calls, region, group.name, ids)
    return await _outside(calls, spec, region_launch, refused) if refused else 0


async def _outside(
    calls: AwsCalls, spec: ClusterSpec, region_launch: RegionLaunch, refused: dict[str, CloudError]
) -> int:
    """Of those that AWS did not attach, the living ones without a group: a lost answer may have attached some."""
    left = [
        instance
        for instance in await living_nodes(calls, spec.naming, region_launch.region)
        if instance.id in refused and not group_of(instance)
    ]
    if left:
        errors = tuple(
            PoolError(instance.type, instance.zone, INVALID, refused[instance.id].message)
            for instance in left
        )
        region_launch.results.append(FleetResult("", pool_errors=errors))
    return len(left)


@dataclass(slots=True)
class _Following:
    """Until the region has `total` living nodes, or AWS has refused the rest."""

    calls: AwsCalls
    spec: ClusterSpec
    region_launch: RegionLaunch
    watch: GroupWatch
    total: int
    living: tuple[Instance, ...] = ()

    async def run(self, *, deadline_s: float) -> None:
        """Appends the new instances and the refusals to the region's results. Raises CloudError, Cancelled."""
        known = {
            *self.region_launch.known,
            *(instance.id for result in self.region_launch.results for instance in result.launched),
        }
        while not await self._settled():
            if self.calls.stop.is_set or self.calls.clock.monotonic_s() + _POLL_S > deadline_s:
                break
            self.calls.emit(
                events.Waiting(
                    region=self.region_launch.region,
                    message="AWS launches instances",
                    remaining=self.total - len(self.living),
                )
            )
            with suppress(Cancelled):  # what AWS has launched until then must be in the results
                await self.calls.pause(_POLL_S)
        self._report(launched_of(instance for instance in self.living if instance.id not in known))

    async def _settled(self) -> bool:
        self.living = await living_nodes(self.calls, self.spec.naming, self.region_launch.region)
        return await self.watch.settled(len(self.living), total=self.total)

    def _report(self, launched: tuple[LaunchedInstance, ...]) -> None:
        errors = tuple(
            PoolError("", failure.zone, failure.code, failure.message) for failure in self.watch.failures
        )
        self.region_launch.results.append(FleetResult("", launched=launched, pool_errors=errors))
        self.calls.emit(
            events.FleetResponded(
                region=self.region_launch.region,
                fleet_id=self.watch.group.name,
                requested=len(launched) + max(0, self.total - len(self.living)),
                launched=len(launched),
                refusals=tuple((error.type, error.zone, error.code) for error in errors),
            )
        )


async def give_up(calls: AwsCalls, spec: ClusterSpec, region: str, *, total: int) -> int:
    """Lower the group to the nodes that it has; the number of the `total` that other regions may launch.

    Raises CloudError, Cancelled.
    """
    group = await listed_group(calls, spec.naming, region)
    living = await living_nodes(calls, spec.naming, region)
    if group is not None:
        members = sum(
            group_of(instance) == group.name or instance.id in group.member_ids for instance in living
        )
        number = min(group.desired, members)
        await calls.write(
            region,
            partial(calls.cloud.update_scaling_group, region, group.name, desired=number, maximum=number),
        )
    return max(0, total - len(living))
