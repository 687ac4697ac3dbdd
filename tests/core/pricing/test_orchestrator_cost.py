"""The cost of a managed orchestrator in a plan: the whole, the part that the plan adds, and the budget."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bacalhau_spot.core.inventory import AccountContext, ClusterInventory
from bacalhau_spot.core.launch import planner
from bacalhau_spot.core.launch.facts import LaunchFacts
from bacalhau_spot.core.launch.plan import Plan
from bacalhau_spot.core.model import (
    Arch,
    ClusterSpec,
    Identity,
    Image,
    Market,
    Naming,
    Offer,
    OrchestratorMode,
    OrchestratorSpec,
    Pool,
    Region,
    RegionSpec,
)
from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorPlan, OrchestratorStep
from bacalhau_spot.core.orchestrator.managed_state import HomeSite, OrchestratorState
from bacalhau_spot.core.pricing.cost import Rates
from bacalhau_spot.core.pricing.orchestrator_cost import orchestrator_cost
from support.health import orchestrator_instance

EAST = "us-east-1"
RATES = Rates(
    on_demand={(EAST, "t3.small"): Decimal("0.02"), (EAST, "t3.medium"): Decimal("0.04")},
    gib_month={EAST: Decimal("0.073")},  # 0.0001 an hour
)
EVERYTHING = OrchestratorPlan(EAST, tuple(OrchestratorStep), f"{EAST}a", "t3.small", 20)


def test_a_new_one_adds_instance_volumes_and_address() -> None:
    """The root volume has 10 GiB, the data volume 20."""
    cost = orchestrator_cost(EVERYTHING, RATES)
    assert (cost.instance_usd, cost.volumes_usd, cost.address_usd) == (
        Decimal("0.02"),
        Decimal("0.003"),
        Decimal("0.005"),
    )
    assert cost.added.total is not None
    assert cost.total_usd == cost.added.total.low == cost.added.total.high == Decimal("0.028")
    assert cost.existing_usd == 0 and cost.adds
    assert cost.added.on_demand_total == cost.added.total, "it saves nothing"


@pytest.mark.parametrize(
    ("steps", "added"),
    [
        ((), "0"),
        ((OrchestratorStep.RULES,), "0"),
        ((OrchestratorStep.START,), "0.02"),
        ((OrchestratorStep.ADDRESS, OrchestratorStep.RENEWAL, OrchestratorStep.ASSOCIATE), "0.005"),
        ((OrchestratorStep.INSTANCE, OrchestratorStep.ATTACH, OrchestratorStep.ASSOCIATE), "0.021"),
        ((OrchestratorStep.VOLUME, OrchestratorStep.ATTACH), "0.002"),
    ],
)
def test_a_repair_adds_what_is_missing(steps: tuple[OrchestratorStep, ...], added: str) -> None:
    """The whole costs the same, whatever existed before."""
    cost = orchestrator_cost(replace(EVERYTHING, steps=steps), RATES)
    assert cost.added.total is not None and cost.added.total.high == Decimal(added)
    assert cost.total_usd == Decimal("0.028") and cost.existing_usd == Decimal("0.028") - Decimal(added)
    assert cost.adds is (Decimal(added) > 0)


def test_without_a_price_list_the_default_type_has_its_list_price_and_others_none() -> None:
    default, other = (
        orchestrator_cost(replace(EVERYTHING, instance_type=name), Rates())
        for name in ("t3.small", "m7i.large")
    )
    assert default.instance_usd == Decimal("0.0208")
    assert (other.instance_usd, other.total_usd, other.existing_usd, other.added.total) == (None,) * 4
    assert other.adds, "an unknown price may be any"


SPEC = ClusterSpec(
    name="c",
    naming=Naming(),
    regions=(RegionSpec(EAST),),
    nodes=2,
    instance_types=("t3.medium",),
    orchestrator=OrchestratorSpec(OrchestratorMode.MANAGED),
)
MARKET = Market(
    EAST,
    (Offer(Pool("t3.medium", f"{EAST}a"), Decimal("0.01"), Arch.X86_64),),
    {Arch.X86_64: Image("ami-1", Arch.X86_64, "/dev/sda1")},
)
SITE = HomeSite(zones=(f"{EAST}a",), subnets={f"{EAST}a": "subnet-1"}, vcpus=2)
FACTS = LaunchFacts(
    spec=SPEC,
    account=AccountContext(
        Identity("123456789012", "arn:aws:iam::123456789012:user/u"), (Region(EAST, enabled=True),)
    ),
    inventory=ClusterInventory(tagged={EAST: ()}),
    orchestrator=OrchestratorState(EAST, site=SITE),
    markets={EAST: MARKET},
    rates=RATES,
)


def planned(facts: LaunchFacts) -> Plan:
    plan = planner.plan(facts)
    assert isinstance(plan, Plan), plan
    return plan


def test_the_plan_contains_it() -> None:
    """In the sum, not in the nodes' own sum; without one the sums are equal."""
    plan = planned(FACTS)
    assert plan.estimate.total is not None and plan.nodes_estimate.total is not None
    assert plan.estimate.total.high - plan.nodes_estimate.total.high == Decimal("0.028")
    assert plan.estimate.addresses_usd == 3 * Decimal("0.005")
    own = replace(FACTS, spec=replace(SPEC, orchestrator=OrchestratorSpec()), orchestrator=None)
    assert planned(own).estimate == planned(own).nodes_estimate == plan.nodes_estimate


def test_the_budget_contains_it() -> None:
    """Before it exists and afterwards, and also if no node is to launch."""
    nodes = Decimal(2) * (Decimal("0.01") + Decimal("0.002") + Decimal("0.005"))
    for limit, over in ((nodes + Decimal("0.028"), False), (nodes + Decimal("0.0279"), True)):
        limited = replace(FACTS, spec=replace(SPEC, budget_usd_per_hour=limit))
        assert planned(limited).over_budget is over
        working = OrchestratorState(EAST, instance=orchestrator_instance())
        assert planned(replace(limited, orchestrator=working)).budget is not None
    alone = planned(
        replace(FACTS, spec=replace(SPEC, nodes=0, budget_usd_per_hour=Decimal("0.01")), markets={})
    )
    assert alone.launch == 0 and alone.adds_cost and alone.over_budget


def test_its_instance_is_no_node_of_the_plan() -> None:
    boss = orchestrator_instance(launched_at=datetime(2026, 1, 1, tzinfo=UTC) - timedelta(hours=1))
    with_boss = replace(FACTS, inventory=ClusterInventory(tagged={EAST: ()}, orchestrators=(boss,)))
    plan = planned(with_boss)
    assert (plan.launch, plan.present, plan.existing, plan.surplus) == (2, 0, 0, ())
    assert with_boss.orchestrator_instances == {boss.id}
