"""The hourly cost of a cluster after a create."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from bacalhau_spot.core.inventory import AccountContext, ClusterInventory
from bacalhau_spot.core.launch.create_result import CreateResult, RegionResult
from bacalhau_spot.core.launch.facts import LaunchFacts
from bacalhau_spot.core.launch.plan import Plan
from bacalhau_spot.core.launch.running_cost import running_cost
from bacalhau_spot.core.model import (
    Arch,
    ClusterSpec,
    Identity,
    Instance,
    InstanceSpec,
    Market,
    Naming,
    Offer,
    Pool,
    RegionSpec,
    State,
)
from bacalhau_spot.core.pricing.cost import Rates

NODE = Instance(
    id="i-1",
    region="us-east-1",
    zone="us-east-1a",
    type="t3.medium",
    state=State.RUNNING,
    launched_at=datetime(2026, 11, 23, tzinfo=UTC),
    lifecycle="spot",
    private_ip="10.0.0.1",
)
OLD = replace(NODE, id="i-0")
SPEC = ClusterSpec(
    name="c",
    naming=Naming(),
    regions=(RegionSpec("us-east-1"),),
    nodes=2,
    instance_types=("t3.medium",),
    instance=InstanceSpec(root_volume_gib=0, public_ip=False),
)
FACTS = LaunchFacts(
    spec=SPEC,
    account=AccountContext(Identity("0", "arn"), ()),
    inventory=ClusterInventory(instances=(OLD,)),
    markets={
        "us-east-1": Market(
            "us-east-1", (Offer(Pool("t3.medium", "us-east-1a"), Decimal("0.01"), Arch.X86_64),)
        )
    },
    rates=Rates(),
)
PLAN = Plan(cluster="c", regions=())
RESULT = CreateResult("c", 2, 1, (RegionResult("us-east-1", 1, launched=("i-1",), instances=(NODE,)),))


def test_nodes_from_before_and_new_ones_cost() -> None:
    assert running_cost(FACTS, PLAN, RESULT) == Decimal("0.02")


def test_without_a_price_the_cost_is_unknown() -> None:
    """A node from before in a region in which nothing was launched."""
    far = replace(OLD, region="eu-west-1", zone="eu-west-1a")
    facts = replace(FACTS, inventory=ClusterInventory(instances=(far,)))
    assert running_cost(facts, PLAN, RESULT) is None
    known = replace(facts, pool_prices={("eu-west-1", "t3.medium", "eu-west-1a"): Decimal("0.5")})
    assert running_cost(known, PLAN, RESULT) == Decimal("0.51")


def test_a_terminated_node_costs_nothing() -> None:
    facts = replace(FACTS, inventory=ClusterInventory(instances=(replace(OLD, state=State.TERMINATED),)))
    assert running_cost(facts, PLAN, RESULT) == Decimal("0.01")


def test_a_node_that_starts_costs_as_one_that_runs() -> None:
    starting = replace(RESULT.regions[0], instances=(replace(NODE, state=State.PENDING),))
    assert running_cost(FACTS, PLAN, replace(RESULT, regions=(starting,))) == Decimal("0.02")


def test_with_a_node_that_nobody_has_seen_the_cost_is_unknown() -> None:
    """AWS has granted it, and it may run."""
    unseen = replace(RESULT.regions[0], instances=())
    assert running_cost(FACTS, PLAN, replace(RESULT, regions=(unseen,))) is None
