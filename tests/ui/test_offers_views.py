"""What the user reads about offers, and about what is at stake, at three widths."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from rich.console import RenderableType
from syrupy.assertion import SnapshotAssertion

from bacalhau_spot.core.launch.create_result import CreateResult
from bacalhau_spot.core.launch.plan import PoolExposure, build_plan
from bacalhau_spot.core.model import (
    Arch,
    ClusterSpec,
    Instance,
    Market,
    Naming,
    Offer,
    Pool,
    RegionSpec,
    State,
    TypeInfo,
)
from bacalhau_spot.core.placement.demand import node_demand
from bacalhau_spot.core.placement.offers import Offers, PoolOffer, RegionOffer
from bacalhau_spot.core.placement.pool_distribution import pool_distribution
from bacalhau_spot.core.placement.region_selection import RegionDecision, RegionReason, selection_notes
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.json_output.offers import WrittenOfferOutput
from support.golden import golden, output_text
from support.rendering import rendered
from support.schemas import contract

SMALL = TypeInfo("t3.medium", (Arch.X86_64,), 2, 4096)
GPU = TypeInfo("g4dn.xlarge", (Arch.X86_64,), 4, 16384, gpus=1, gpu_name="T4", gpu_memory_mib=16384)
FULL = PoolOffer(
    region="us-east-1",
    pool=Pool("t3.medium", "us-east-1a"),
    info=SMALL,
    usd_per_hour=Decimal("0.0131"),
    low=Decimal("0.0125"),
    high=Decimal("0.0142"),
    on_demand_usd_per_hour=Decimal("0.0416"),
    interruption=0,
    score=9,
    quota_headroom=40,
)
BARE = PoolOffer(region="eu-west-1", pool=Pool("t3.medium", "eu-west-1c"), info=SMALL)
ONE_GPU = replace(
    FULL,
    pool=Pool("g4dn.xlarge", "us-east-1b"),
    info=GPU,
    usd_per_hour=Decimal("0.2"),
    low=Decimal("0.19"),
    high=Decimal("0.22"),
    on_demand_usd_per_hour=Decimal("0.526"),
    interruption=4,
    quota_headroom=20,
)
REGIONS = (
    RegionOffer(
        region="us-east-1",
        usd_per_hour=Decimal("0.0131"),
        low=Decimal("0.0125"),
        high=Decimal("0.0142"),
        on_demand_usd_per_hour=Decimal("0.0416"),
        interruption=1,
        score=9,
        quota_headroom=40,
        zones=3,
        pools=6,
        types=("t3.medium",),
    ),
    RegionOffer(region="sa-east-1", usd_per_hour=Decimal("0.02"), score=2, zones=3, pools=6),
    RegionOffer(
        region="ap-southeast-1", usd_per_hour=Decimal("0.01"), score=9, quota_headroom=2, zones=3, pools=6
    ),
    RegionOffer(region="eu-north-1", zones=2, pools=2),
)
DENIED = ApiFailure("AccessDeniedException", "no", "GetServiceQuota", "eu-west-1")
OFFERS = Offers(
    nodes=4,
    pools=(FULL, ONE_GPU, BARE),
    regions=REGIONS,
    regions_scanned=("us-east-1", "eu-west-1"),
    failed_regions=(ApiFailure("UnauthorizedOperation", "no", "DescribeSpotPriceHistory", "eu-west-3"),),
    partial_failures=(
        DENIED,
        replace(DENIED, region="sa-east-1"),
        ApiFailure("MaxConfigLimitExceeded", "no", "GetSpotPlacementScores", ""),
    ),
    notes=("no interruption rates: AWS's public file could not be read",),
)
PLAIN = replace(OFFERS, failed_regions=(), partial_failures=(), notes=(), pools=(FULL,))
NODE = Instance("i-1", "r", "ra", "t3.medium", State.RUNNING, datetime(2026, 1, 1, tzinfo=UTC))
SPEC = ClusterSpec("c", Naming(), (RegionSpec("r"),), nodes=6, instance_types=("t3.medium",))
MARKET = Market("r", (Offer(Pool("t3.medium", "ra"), Decimal("0.0131"), Arch.X86_64),))
PLAN = build_plan(SPEC, node_demand(SPEC, [NODE, replace(NODE, id="i-2")]), {"r": MARKET})
VIEWS: dict[str, RenderableType] = {
    "pools": views.offers_view(OFFERS, by_region=False, ranked=True, more=0),
    "pools, the first of many": views.offers_view(PLAIN, by_region=False, ranked=True, more=182),
    "regions": views.offers_view(PLAIN, by_region=True, ranked=True, more=0),
    "regions, sorted otherwise": views.offers_view(PLAIN, by_region=True, ranked=False, more=2),
    "nothing": views.offers_view(
        Offers(nodes=1, regions_scanned=("us-east-1",)), by_region=False, ranked=True, more=0
    ),
    "a plan, AWS decides": views.plan_view(replace(PLAN, exposure=PoolExposure(pools=7, max_nodes=6))),
    "a plan with a limit": views.plan_view(
        replace(PLAN, exposure=PoolExposure(pools=7, max_nodes=2, limit=2))
    ),
    "a receipt": views.create_result_view(CreateResult("c", 2, 2, pools=pool_distribution([NODE, NODE]))),
}


@pytest.mark.parametrize("width", [60, 100, 140])
@pytest.mark.parametrize("name", VIEWS)
def test_what_is_read(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    assert rendered(VIEWS[name], width=width) == snapshot


def test_remarks_on_a_choice(snapshot: SnapshotAssertion) -> None:
    """Where fewer were found, a cheaper one was passed over, or AWS would not say something, and why."""
    decisions = (
        RegionDecision("us-east-1", True, RegionReason.CHEAPEST, Decimal("0.02"), 9, 40),
        RegionDecision("sa-east-1", True, RegionReason.NOT_NEEDED, Decimal("0.03"), 2, None),
        RegionDecision("ap-southeast-1", False, RegionReason.NO_QUOTA, Decimal("0.01"), 9, 2),
        RegionDecision("eu-west-1", False, RegionReason.NO_QUOTA, Decimal("0.04"), 9, 0),
        RegionDecision("eu-north-1", False, RegionReason.NO_OFFER),
    )
    assert list(selection_notes(decisions, count=3, nodes=4, offers=OFFERS)) == snapshot


def test_nothing_to_remark() -> None:
    decisions = (
        RegionDecision("a", True, RegionReason.CHEAPEST, Decimal("0.02")),
        RegionDecision("b", False, RegionReason.MORE_EXPENSIVE, Decimal("0.03")),
    )
    assert selection_notes(decisions, count=1, nodes=4, offers=PLAIN) == ()


def test_the_data_has_its_published_form(snapshot: SnapshotAssertion) -> None:
    """What is not known is null; a choice that was written, and one that was not."""
    written: WrittenOfferOutput = {
        "path": "config.yaml",
        "regions": ["us-east-1"],
        "instance_types": None,
        "changed": True,
        "diff": "",
    }
    data = json_output.offers_data(OFFERS, written=written)
    assert output_text("offers", data) == golden(snapshot)
    contract("offers", data)
    contract("offers", json_output.offers_data(replace(PLAIN, regions=REGIONS[:1])))
