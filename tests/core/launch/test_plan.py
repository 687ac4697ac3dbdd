"""The plan: what is missing, where it goes, what it costs."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.launch.plan import build_plan, market_problems, offers_from
from bacalhau_spot.core.model import (
    Arch,
    ClusterSpec,
    Image,
    Instance,
    Market,
    Naming,
    Offer,
    Pool,
    RegionSpec,
    Spread,
    State,
)
from bacalhau_spot.core.placement.demand import node_demand, nodes_by_region, spread_over

BORN = datetime(2026, 11, 23, tzinfo=UTC)
NAMES = ("us-east-1", "us-west-2", "eu-west-1", "ap-south-1")


def spec(
    nodes: int = 12, *, fixed: dict[str, int] | None = None, spread: Spread = Spread.FAILOVER
) -> ClusterSpec:
    regions = tuple(RegionSpec(name, nodes=(fixed or {}).get(name)) for name in NAMES)
    return ClusterSpec(
        name="c", naming=Naming(), regions=regions, nodes=nodes, instance_types=("t3.medium",), spread=spread
    )


def instance(number: int, region: str, *, state: State = State.RUNNING, day: int = 1) -> Instance:
    return Instance(
        id=f"i-{number:04}",
        region=region,
        zone=f"{region}a",
        type="t3.medium",
        state=state,
        launched_at=BORN.replace(day=day),
    )


def market(region: str, price: str | None = "0.0125") -> Market:
    offer = Offer(Pool("t3.medium", f"{region}a"), Decimal(price) if price else None, Arch.X86_64)
    return Market(region, (offer,), {Arch.X86_64: Image("ami-1", Arch.X86_64, "/dev/sda1")})


def test_shares_give_each_region_its_number_and_the_rest_evenly() -> None:
    """A fixed number is kept; the others share what is left, the first ones one more."""
    assert nodes_by_region(spec(12)) == dict.fromkeys(NAMES, 3)
    assert nodes_by_region(spec(12, fixed={"us-west-2": 5})) == {
        "us-east-1": 3,
        "us-west-2": 5,
        "eu-west-1": 2,
        "ap-south-1": 2,
    }


def test_fixed_numbers_above_the_total_leave_the_others_without() -> None:
    """No share is ever negative."""
    assert nodes_by_region(spec(3, fixed={"us-west-2": 5}))["us-east-1"] == 0


@given(
    st.integers(0, 200),
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 60), min_size=1),
)
def test_spreading_deals_all_that_there_is_room_for(count: int, rooms: dict[str, int]) -> None:
    """Dealt evenly, never above a room, and nothing is lost while there is room."""
    dealt = spread_over(count, rooms)
    assert sum(dealt.values()) == min(count, sum(rooms.values()))
    assert all(dealt[name] <= rooms[name] for name in dealt)
    full = {name for name in rooms if dealt.get(name, 0) == rooms[name]}
    open_numbers = [dealt.get(name, 0) for name in rooms if name not in full]
    assert not open_numbers or max(open_numbers) - min(open_numbers) <= 1


worlds = st.lists(
    st.builds(
        instance,
        st.integers(0, 9999),
        st.sampled_from((*NAMES, "eu-north-1")),
        state=st.sampled_from(list(State)),
        day=st.integers(1, 28),
    ),
    unique_by=lambda instance: instance.id,
    max_size=30,
)
specs = st.builds(
    spec,
    st.integers(0, 40),
    fixed=st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9)),
    spread=st.sampled_from(list(Spread)),
)


def carried_out(wants_launch: dict[str, int], world: list[Instance], removed: set[str]) -> list[Instance]:
    """The world after the plan's launches and removals have been carried out."""
    survivors = [item for item in world if item.id not in removed]
    launched = [
        instance(20000 + 100 * index + number, region)
        for index, (region, count) in enumerate(wants_launch.items())
        for number in range(count)
    ]
    return survivors + launched


@given(specs, worlds)
def test_the_plan_of_a_reached_state_is_empty(wish: ClusterSpec, world: list[Instance]) -> None:
    """Carrying a plan out reaches what was wanted, and then there is nothing left to do."""
    wants = node_demand(wish, world)
    after = carried_out(dict(wants.launch), world, {item.id for item in wants.removable})
    again = node_demand(wish, after)
    assert build_plan(wish, again, {}, allow_removal=True).empty
    alive = sum(1 for item in after if item.alive)
    assert alive == sum(nodes_by_region(wish).values())


@given(specs, worlds)
def test_nothing_is_removed_unless_allowed(wish: ClusterSpec, world: list[Instance]) -> None:
    """What is too many is shown either way, and ended only on request; it is never one that has ended already."""
    wants = node_demand(wish, world)
    shown = build_plan(wish, wants, {})
    assert shown.remove == ()
    # B6: what is said adds up.
    assert shown.existing + shown.launch - shown.wanted == len(shown.surplus)
    assert shown.surplus == wants.removable
    assert all(item.alive for item in shown.surplus)
    assert build_plan(wish, wants, {}, allow_removal=True).remove == wants.removable


@given(specs, worlds)
def test_a_plan_never_launches_and_counts_too_many_at_once_when_nodes_may_move(
    wish: ClusterSpec, world: list[Instance]
) -> None:
    """With failover a node that lives in another region than planned is not missing."""
    if wish.spread is Spread.FAILOVER:
        wants = node_demand(wish, world)
        assert not (wants.launch and wants.surplus)


def test_nodes_that_moved_are_not_missing_unless_strict() -> None:
    """Twelve nodes in three of four regions are twelve nodes; with `spread: strict` the fourth still lacks its three."""
    world = [instance(number, NAMES[number % 3]) for number in range(12)]
    assert node_demand(spec(), world).launch == {}
    strict = node_demand(spec(spread=Spread.STRICT), world)
    assert strict.launch == {"ap-south-1": 3}
    assert strict.surplus == 3


def test_the_newest_go_first_and_whole_regions_that_are_no_longer_named() -> None:
    """The oldest node of a region has most work to lose."""
    world = [instance(1, "us-east-1", day=1), instance(2, "us-east-1", day=9), instance(3, "eu-north-1")]
    wants = node_demand(spec(fixed={"us-east-1": 1}, nodes=1), world)
    assert [item.id for item in wants.removable] == ["i-0003", "i-0002"]


def test_the_price_is_the_sum_of_the_launches() -> None:
    """From the cheapest to the dearest pool, times the nodes; unknown while any price is."""
    wants = node_demand(spec(4), [])
    priced = build_plan(spec(4), wants, {name: market(name) for name in NAMES})
    assert priced.usd_per_hour == (Decimal("0.05"), Decimal("0.05"))
    unpriced = build_plan(spec(4), wants, {name: market(name, None) for name in NAMES})
    assert unpriced.usd_per_hour is None


def test_a_limit_below_every_price_is_said_beforehand() -> None:
    """AWS would refuse every pool; the user reads it before it happens."""
    limited = ClusterSpec(
        name="c",
        naming=Naming(),
        regions=(RegionSpec("us-east-1"),),
        nodes=1,
        instance_types=("t3.medium",),
        max_price_usd_per_hour=Decimal("0.001"),
    )
    shown = build_plan(limited, node_demand(limited, []), {"us-east-1": market("us-east-1")})
    assert shown.warnings == (
        "every pool in us-east-1 costs more than max_price_usd_per_hour (0.001); AWS will refuse them",
    )


def test_offers_come_cheapest_first_without_the_unpriced() -> None:
    """F5: a pool without a price beside others that have one is not sold as spot (karpenter-provider-aws#2243)."""
    pools = [("a", "z1"), ("b", "z1"), ("c", "z1")]
    prices = {("a", "z1"): Decimal(2), ("b", "z1"): Decimal(1)}
    offers = offers_from(pools, {"a": (Arch.ARM64,)}, prices)
    assert [offer.pool.type for offer in offers] == ["b", "a"]
    assert offers[1].arch is Arch.ARM64
    assert [offer.pool.type for offer in offers_from(pools, {}, {})] == ["a", "b", "c"]


def test_an_image_of_another_architecture_is_refused() -> None:
    """The type's and the image's architectures are named, and the types that do not fit."""
    arm = Market(
        "us-east-1",
        (Offer(Pool("t4g.small", "us-east-1a"), None, Arch.ARM64),),
        {Arch.X86_64: Image("ami-1", Arch.X86_64, "/dev/sda1")},
    )
    assert market_problems(arm, image="ami-1", types=["t4g.small"], root_volume_gib=20) == (
        "image ami-1 in us-east-1 is for x86_64, but t4g.small is arm64",
    )
    assert market_problems(Market("us-east-1"), image="auto", types=["x9.tiny"], root_volume_gib=20) == (
        "us-east-1 offers none of x9.tiny",
    )
