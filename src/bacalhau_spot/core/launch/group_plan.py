"""The Auto Scaling groups of a plan: which are created, changed or dissolved, and their numbers.

Rules:
1. The groups never ask for more nodes than the configuration: a group has as many as its region has and is to launch.
2. A node that a group is replacing counts as present, unless AWS refused the group's last launch.
3. A draining node has left its group, and does not count.
4. Nothing is terminated by a change between a plain and a self-healing cluster: nodes are attached and detached.
5. A surplus node that is being replaced is not attached again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bacalhau_spot.core.launch.node_spec import node_spec_differs, node_spec_tag
from bacalhau_spot.core.lifecycle.drain_result import without_draining
from bacalhau_spot.core.lifecycle.superseded import superseded
from bacalhau_spot.core.model import RegionSpec
from bacalhau_spot.core.scaling_group.groups import is_member
from bacalhau_spot.core.tags import NODE_SPEC_KEY, tags_for, template_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bacalhau_spot.core.model import ClusterSpec, Instance
    from bacalhau_spot.core.placement.demand import Demand
    from bacalhau_spot.core.scaling_group.groups import RefusedLaunch, ScalingGroup

# Of groups: the values that choose their pools.
GROUP_SPEC_KEY = "BacalhauGroupSpec"
# "You can specify up to 40 instance types per Auto Scaling group", "up to 20 launch templates" (LaunchTemplateOverrides).
MAX_TYPES = 40
MAX_OWN_VERSIONS = 19
_EXCESS_PERCENT = 10


class GroupStep(StrEnum):
    """A change of a group, in the order in which they are made."""

    CREATE = "create"
    ATTACH = "attach"
    UPDATE = "update"
    RESIZE = "resize"
    DETACH = "detach"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """A region's group. `steps`: empty if it stays as it is; `desired`: its number of nodes after the plan.

    `attach`, `detach`: ids of instances that keep running.
    """

    region: str
    steps: tuple[GroupStep, ...] = ()
    desired: int = 0
    attach: tuple[str, ...] = ()
    detach: tuple[str, ...] = ()

    @property
    def heals(self) -> bool:
        """Whether the region has a group after the plan."""
        return GroupStep.DELETE not in self.steps

    @property
    def most(self) -> int:
        """Instances at once, at most: AWS launches replacements before it terminates."""
        return self.desired + rebalancing_excess(self.desired) if self.heals else 0


def rebalancing_excess(desired: int) -> int:
    """By how many instances a group may exceed its maximum while AWS rebalances it (user guide, "Capacity Rebalancing")."""
    return max(1, desired * _EXCESS_PERCENT // 100) if desired else 0


def group_tags(spec: ClusterSpec, *, region: str) -> dict[str, str]:
    """The tags of a region's group."""
    return {
        **tags_for(spec.naming, template_name(spec.naming)),
        NODE_SPEC_KEY: node_spec_tag(spec, region=region),
        GROUP_SPEC_KEY: _pools_digest(spec, region=region),
    }


def _pools_digest(spec: ClusterSpec, *, region: str) -> str:
    here = next((found for found in spec.regions if found.name == region), RegionSpec(region))
    values = (
        sorted(here.instance_types or spec.instance_types),
        spec.requirements,
        spec.max_price_usd_per_hour,
        here.vpc_id,
    )
    return hashlib.sha256(repr(values).encode()).hexdigest()[:12]


def healed_regions(spec: ClusterSpec) -> tuple[str, ...]:
    """The regions that the configuration gives an Auto Scaling group."""
    return tuple(region.name for region in spec.regions) if spec.self_heal else ()


def is_outdated(spec: ClusterSpec, group: ScalingGroup) -> bool:
    """Whether new nodes of the group would differ from the configuration."""
    pools = group.tags.get(GROUP_SPEC_KEY)
    return (
        not group.node_spec
        or pools != _pools_digest(spec, region=group.region)
        or node_spec_differs(spec, group.node_spec, region=group.region)
    )


def replacing(
    groups: Mapping[str, ScalingGroup],
    refused: Mapping[str, RefusedLaunch],
    instances: Sequence[Instance],
) -> dict[str, int]:
    """The nodes of each region that its group is about to launch by itself, as far as AWS has not refused them."""
    found = {}
    for region, group in groups.items():
        missing = group.desired - len(_living(group, instances))
        if missing > 0 and region not in refused and not group.deleting:
            found[region] = missing
    return found


def counted(groups: Mapping[str, ScalingGroup], instances: Sequence[Instance]) -> tuple[Instance, ...]:
    """The instances without those that a group has launched ahead, whose predecessors it is about to terminate."""
    ahead: set[str] = set()
    for group in groups.values():
        living = sorted(_living(group, instances), key=lambda instance: (instance.launched_at, instance.id))
        excess = min(len(living) - group.desired, rebalancing_excess(group.desired))
        ahead |= {instance.id for instance in living[len(living) - max(0, excess) :]}
    return tuple(instance for instance in instances if instance.id not in ahead)


def _living(group: ScalingGroup, instances: Sequence[Instance]) -> list[Instance]:
    return [instance for instance in instances if instance.alive and is_member(group, instance)]


def group_plans(
    spec: ClusterSpec,
    groups: Mapping[str, ScalingGroup],
    instances: Sequence[Instance],
    demand: Demand,
    *,
    replaced: Mapping[str, int],
    removed: Collection[str],
) -> tuple[GroupPlan, ...]:
    """The groups of every region that has or gets one. `replaced`: from `replacing`; `removed`: ids that the plan terminates."""
    leaving = {one.id for one in demand.removable} & superseded(instances).keys()
    kept = [
        instance
        for instance in without_draining(instances)
        if instance.alive and instance.id not in removed and instance.id not in leaving
    ]

    def planned(region: str) -> GroupPlan | None:
        here = [instance for instance in kept if instance.region == region]
        group = groups.get(region)
        if spec.self_heal and region in demand.wanted:
            total = len(here) + replaced.get(region, 0) + demand.launch.get(region, 0)
            return _healing(spec, region, group, here, total=total) if group is not None or total else None
        return None if group is None else _dissolving(spec, group, here, ids=removed)

    regions = dict.fromkeys((*demand.wanted, *groups))
    return tuple(plan for plan in map(planned, regions) if plan is not None)


def _healing(
    spec: ClusterSpec, region: str, group: ScalingGroup | None, here: Sequence[Instance], *, total: int
) -> GroupPlan:
    if group is None:
        attach = tuple(instance.id for instance in here)
        needed = {GroupStep.CREATE: True, GroupStep.ATTACH: bool(attach)}
    else:
        attach = tuple(instance.id for instance in here if not is_member(group, instance))
        needed = {
            GroupStep.ATTACH: bool(attach),
            GroupStep.UPDATE: is_outdated(spec, group),
            GroupStep.RESIZE: total != group.desired + len(attach),
        }
    steps = tuple(step for step, is_needed in needed.items() if is_needed)
    return GroupPlan(region, steps, desired=total, attach=attach)


def _dissolving(
    spec: ClusterSpec, group: ScalingGroup, here: Sequence[Instance], *, ids: Collection[str]
) -> GroupPlan:
    """A region outside the configuration keeps its group as long as its nodes."""
    members = tuple(instance.id for instance in here if is_member(group, instance))
    if spec.self_heal and (members or not ids):
        return GroupPlan(group.region, desired=group.desired)
    steps = (*([GroupStep.DETACH] if members else []), GroupStep.DELETE)
    return GroupPlan(group.region, steps, detach=members)
