"""The groups of a plan, without AWS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bacalhau_spot.core.launch.group_plan import (
    GroupStep,
    counted,
    group_plans,
    group_tags,
    rebalancing_excess,
    replacing,
)
from bacalhau_spot.core.launch.group_types import group_types, left_out_types
from bacalhau_spot.core.model import Arch, ClusterSpec, Instance, Naming, Offer, Pool, RegionSpec, State
from bacalhau_spot.core.placement.demand import node_demand
from bacalhau_spot.core.scaling_group.groups import (
    GROUP_TAG,
    GroupMember,
    RefusedLaunch,
    ScalingActivity,
    ScalingGroup,
)
from bacalhau_spot.core.scaling_group.refused_launches import last_refusal, refused_launches

NOW = datetime(2026, 11, 28, tzinfo=UTC)
SPEC = ClusterSpec(
    name="c",
    naming=Naming(),
    regions=(RegionSpec("r1"), RegionSpec("r2")),
    nodes=4,
    instance_types=("t3.medium",),
    self_heal=True,
)


def node(number: int, region: str = "r1", *, group: str = "", state: State = State.RUNNING) -> Instance:
    return Instance(
        id=f"i-{number}",
        region=region,
        zone=f"{region}a",
        type="t3.medium",
        state=state,
        launched_at=NOW + timedelta(minutes=number),
        tags={GROUP_TAG: group} if group else {},
    )


def group(desired: int, *ids: int, region: str = "r1") -> ScalingGroup:
    members = tuple(GroupMember(f"i-{number}", "t3.medium", f"{region}a", "InService") for number in ids)
    return ScalingGroup("g", region, desired, desired, members=members, tags=group_tags(SPEC, region=region))


def test_a_replacement_ahead_of_its_time_is_no_surplus() -> None:
    groups = {"r1": group(2, 1, 2, 3)}
    instances = [node(number, group="g") for number in (1, 2, 3)]
    assert [instance.id for instance in counted(groups, instances)] == ["i-1", "i-2"]
    many = {"r1": group(2, 1, 2, 3, 4)}
    assert len(counted(many, [*instances, node(4, group="g")])) == 3, "AWS adds one; the rest is surplus"


def test_a_node_that_aws_is_replacing_counts_as_present_until_aws_refuses() -> None:
    groups = {"r1": group(2, 1, 2)}
    instances = [node(1, group="g"), node(2, group="g", state=State.SHUTTING_DOWN)]
    assert replacing(groups, {}, instances) == {"r1": 1}
    assert replacing(groups, {"r1": RefusedLaunch("r1a", "UnfulfillableCapacity", "")}, instances) == {}


def test_the_groups_never_ask_for_more_than_the_configuration() -> None:
    """Whatever there is: plain nodes, members, missing ones."""
    for members in range(4):
        for plain in range(4 - members):
            instances = [
                *(node(number, group="g") for number in range(members)),
                *(node(10 + number) for number in range(plain)),
            ]
            groups = {"r1": group(members, *range(members))} if members else {}
            demand = node_demand(SPEC, instances)
            plans = group_plans(SPEC, groups, instances, demand, replaced={}, removed=())
            assert sum(plan.desired for plan in plans) == 4
            attached = {name for plan in plans for name in plan.attach}
            assert attached == {f"i-{10 + number}" for number in range(plain)}


def test_a_group_as_it_should_be_has_no_steps() -> None:
    groups = {name: group(2, *ids, region=name) for name, ids in (("r1", (1, 2)), ("r2", (3, 4)))}
    instances = [node(number, "r1" if number < 3 else "r2", group="g") for number in range(1, 5)]
    plans = group_plans(SPEC, groups, instances, node_demand(SPEC, instances), replaced={}, removed=())
    assert [plan.steps for plan in plans] == [(), ()]


def test_removed_nodes_leave_their_group() -> None:
    groups = {"r1": group(5, *range(5))}
    instances = [node(number, group="g") for number in range(5)]
    demand = node_demand(SPEC, instances)
    removed = {instance.id for instance in demand.removable}
    (plan,) = group_plans(SPEC, groups, instances, demand, replaced={}, removed=removed)
    assert (plan.region, plan.steps, plan.desired) == ("r1", (GroupStep.RESIZE,), 4)


def test_the_excess_of_rebalancing() -> None:
    assert [rebalancing_excess(number) for number in (0, 1, 19, 20, 35)] == [0, 1, 1, 2, 3]


def offer(name: str, price: str, arch: Arch = Arch.X86_64) -> Offer:
    return Offer(Pool(name, "r1a"), Decimal(price), arch)


def test_a_group_has_the_cheapest_types_within_the_limits_of_aws() -> None:
    offers = [offer(f"m{number}.large", f"0.{number:03}") for number in range(1, 30)]
    offers += [offer(f"m{number}g.large", f"0.{number:03}", Arch.ARM64) for number in range(1, 26)]
    types = group_types(offers)
    arms = [name for name, (arch, _) in types.items() if arch is Arch.ARM64]
    assert len(types) <= 40
    assert 0 < len(arms) <= 19
    assert "m1.large" in types
    assert set(left_out_types(offers)) == {offer.pool.type for offer in offers} - set(types)


def activity(number: int, *, status: str = "Failed", zone: str = "r1a") -> ScalingActivity:
    return ScalingActivity(
        str(number), "Launching a new EC2 instance", status, NOW, code="UnfulfillableCapacity", zone=zone
    )


def test_refusals_are_those_of_this_launch_once_for_each_zone() -> None:
    activities = (activity(4, zone="r1b"), activity(3), activity(2), activity(1, zone="r1c"))
    found = refused_launches(activities, known=frozenset({"1"}))
    assert [refusal.zone for refusal in found] == ["r1b", "r1a"]


def test_a_launch_after_a_refusal_ends_it() -> None:
    assert last_refusal((activity(2, status="Successful"), activity(1))) is None
    refused = last_refusal((activity(2), activity(1, status="Successful")))
    assert refused is not None
    assert refused.code == "UnfulfillableCapacity"
