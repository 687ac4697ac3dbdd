"""The plan as a function of the facts: every reason to refuse, and when each of them is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bacalhau_spot.core.inventory import AccountContext, ClusterInventory
from bacalhau_spot.core.launch import planner
from bacalhau_spot.core.launch.facts import LaunchFacts
from bacalhau_spot.core.launch.network_egress import NetworkCheck, NetworkProblem
from bacalhau_spot.core.launch.plan import Plan
from bacalhau_spot.core.launch.plan_warnings import plan_warnings
from bacalhau_spot.core.launch.refusals import Refusal, refusal
from bacalhau_spot.core.model import (
    CALLER,
    Arch,
    ClusterSpec,
    Identity,
    Image,
    Instance,
    Market,
    Naming,
    Offer,
    Pool,
    Region,
    RegionSpec,
    State,
    TaggedId,
)
from bacalhau_spot.core.orchestrator.managed_state import (
    ElasticAddress,
    OrchestratorState,
    SharedOrchestratorState,
)
from bacalhau_spot.core.pricing.cost import Rates
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.errors import ExitCode

REGIONS = ("eu-west-1", "us-east-1")
SPEC = ClusterSpec(
    name="c",
    naming=Naming(),
    regions=tuple(RegionSpec(name) for name in REGIONS),
    nodes=4,
    instance_types=("t3.medium",),
)
AUTO = replace(SPEC, regions=(), auto_regions=2)
ACCOUNT = AccountContext(
    Identity("123456789012", "arn:aws:iam::123456789012:user/u"),
    (*(Region(name, enabled=True) for name in REGIONS), Region("ap-east-1", enabled=False)),
)


def market(region: str, *, arch: Arch = Arch.X86_64) -> Market:
    offer = Offer(Pool("t3.medium", f"{region}a"), Decimal("0.01"), Arch.X86_64)
    return Market(region, (offer,), {arch: Image("ami-1", arch, "/dev/sda1")})


def node(number: int, region: str) -> Instance:
    return Instance(
        id=f"i-{number}",
        region=region,
        zone=f"{region}a",
        type="t3.medium",
        state=State.RUNNING,
        launched_at=datetime(2026, 11, 1, tzinfo=UTC),
    )


def failure(region: str, code: str) -> ApiFailure:
    return ApiFailure(code=code, message="no", operation="DescribeInstances", region=region)


SCANNED = ClusterInventory(tagged=dict.fromkeys(REGIONS, ()))
FACTS = LaunchFacts(
    spec=SPEC,
    account=ACCOUNT,
    inventory=SCANNED,
    markets={name: market(name) for name in REGIONS},
    networks={name: NetworkCheck() for name in REGIONS},
)
DENIED = ClusterInventory(
    tagged={"us-east-1": (TaggedId("instance", "i-1"),)},
    failed_regions=(failure("eu-west-1", "UnauthorizedOperation"),),
)
THROTTLED = replace(DENIED, failed_regions=(failure("eu-west-1", "RequestLimitExceeded"),))
REFUSALS = {
    "a region that is not enabled": (
        replace(FACTS, spec=replace(SPEC, regions=(RegionSpec("ap-east-1"), RegionSpec("us-esat-1")))),
        "2 of the configured regions cannot be used",
        ExitCode.USAGE,
    ),
    "a hidden region with nodes of ours": (
        replace(FACTS, spec=AUTO, inventory=DENIED, launched_in={"eu-west-1"}),
        "nodes of this cluster may run in eu-west-1",
        ExitCode.DENIED,
    ),
    "no region with an offer": (
        replace(FACTS, spec=AUTO, decisions=()),
        "no enabled region offers the configured instance types",
        ExitCode.USAGE,
    ),
    "an image of another architecture": (
        replace(FACTS, markets={"us-east-1": market("us-east-1", arch=Arch.ARM64)}),
        "the configured instance types and images do not fit",
        ExitCode.USAGE,
    ),
    "a network without a way out": (
        replace(FACTS, networks={"us-east-1": NetworkCheck(NetworkProblem("no route", "add one"))}),
        "nodes could not join from the network that they would be launched into",
        ExitCode.USAGE,
    ),
    "too few pools": (
        replace(FACTS, spec=replace(SPEC, max_share_per_pool=Decimal("0.25"))),
        "too few capacity pools for `max_share_per_pool`",
        ExitCode.USAGE,
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_each_reason_to_refuse(name: str) -> None:
    facts, what, exit_code = REFUSALS[name]
    refused = planner.plan(facts)
    assert isinstance(refused, Refusal)
    assert refused.what.startswith(what)
    assert refused.exit_code is exit_code


@pytest.mark.parametrize("spec", [SPEC, AUTO], ids=["named", "auto"])
def test_a_region_that_may_have_nodes_stops_every_launch(spec: ClusterSpec) -> None:
    """AWS's error is the refusal, so that the catalogue has its words."""
    refused = planner.plan(replace(FACTS, spec=spec, inventory=THROTTLED))
    assert isinstance(refused, Refusal)
    assert refused.failure is not None
    assert refused.failure.code == "RequestLimitExceeded"


def test_a_region_that_may_not_be_read_stops_auto_only_without_any_other() -> None:
    facts = replace(FACTS, spec=AUTO, decisions=None)
    assert refusal(replace(facts, inventory=DENIED)) is None
    assert refusal(replace(facts, inventory=replace(DENIED, tagged={}))) is not None
    assert refusal(replace(FACTS, inventory=DENIED)) is not None, "a named region is launched into"


def test_nothing_is_refused_for_facts_that_are_not_gathered_yet() -> None:
    """Each stage of gathering asks for a refusal before it asks AWS."""
    bare = replace(FACTS, inventory=None, markets=None, networks=None)
    for spec in (SPEC, AUTO, replace(SPEC, max_share_per_pool=Decimal("0.25"))):
        assert refusal(replace(bare, spec=spec)) is None


def test_the_plan_is_what_is_missing() -> None:
    facts = replace(FACTS, inventory=replace(SCANNED, instances=(node(1, "us-east-1"),)))
    planned = planner.plan(facts)
    assert isinstance(planned, Plan)
    assert {region.region: region.launch for region in planned.regions} == {"eu-west-1": 2, "us-east-1": 1}
    assert planner.plan(facts) == planned, "a pure function"


def test_the_budget_counts_the_nodes_that_stay() -> None:
    """A node that the plan removes costs nothing afterwards; a node without a price may cost anything."""
    old = (node(1, "us-east-1"), node(2, "ap-south-1"))
    prices = {("us-east-1", "t3.medium", "us-east-1a"): Decimal("0.01")}
    facts = replace(
        FACTS,
        spec=replace(SPEC, budget_usd_per_hour=Decimal(1)),
        inventory=replace(SCANNED, instances=old),
        rates=Rates(address_hour=Decimal(0)),
        pool_prices=prices,
    )
    keeping, removing = planner.plan(facts), planner.plan(facts, allow_removal=True)
    assert isinstance(keeping, Plan) and isinstance(removing, Plan)
    assert keeping.budget is not None and keeping.budget.existing_usd is None
    assert removing.budget is not None and removing.budget.existing_usd is not None


def test_port_22_admits_the_caller_where_the_address_is_known() -> None:
    open_to = replace(SPEC, ssh_cidrs=(CALLER, "10.0.0.0/8"))
    assert replace(FACTS, spec=open_to).ssh_ranges == ("10.0.0.0/8",)
    known = replace(FACTS, spec=open_to, caller_address="203.0.113.7")
    assert known.ssh_ranges == ("203.0.113.7/32", "10.0.0.0/8")
    closed = planner.plan(replace(FACTS, spec=open_to))
    assert isinstance(closed, Plan)
    assert any("SSH stays closed" in warning for warning in closed.warnings)


@pytest.mark.parametrize(("minutes", "warned"), [(-60, True), (-1, False), (5, False)])
def test_nodes_of_an_earlier_shared_orchestrator_are_named(minutes: int, warned: bool) -> None:
    """It was destroyed and created again: they have another authority and token, and "nothing to do" would be half a truth."""
    old = node(1, "us-east-1")
    shared = SharedOrchestratorState(
        "hub", "us-east-1", begun_at=old.launched_at - timedelta(minutes=minutes)
    )
    planned = planner.plan(replace(FACTS, inventory=replace(SCANNED, instances=(old,)), orchestrator=shared))
    assert isinstance(planned, Plan)
    text = "1 running node was launched before the present orchestrator of cluster hub was created"
    assert any(text in warning for warning in planned.warnings) is warned


def test_a_destroyed_orchestrator_has_lost_no_volume() -> None:
    """AWS lists its terminated instance for an hour."""
    destroyed = OrchestratorState("us-east-1", ended=("i-9",))
    lost = replace(destroyed, address=ElasticAddress("eipalloc-1", "192.0.2.1"))

    def warned(state: OrchestratorState, *nodes: Instance) -> bool:
        facts = replace(FACTS, orchestrator=state, inventory=replace(SCANNED, instances=nodes))
        return any("all jobs are lost" in text for text in plan_warnings(facts))

    assert [warned(destroyed), warned(lost), warned(destroyed, node(1, "us-east-1"))] == [False, True, True]
