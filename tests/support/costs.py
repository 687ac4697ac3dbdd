"""Costs and estimates as the screens and the JSON get them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bacalhau_spot.core.model import PricePoint
from bacalhau_spot.core.pricing.cost import PriceSteps, Rates, Usage, Window, charge
from bacalhau_spot.core.pricing.cost_report import CostReport
from bacalhau_spot.core.pricing.estimate import Estimate, PriceRange
from bacalhau_spot.core.pricing.usage_history import UsageHistory
from bacalhau_spot.core.problem import ApiFailure

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
USD_3 = Estimate(
    instances=PriceRange(Decimal("0.0375"), Decimal("0.0453")),
    volumes_usd=Decimal("0.0066"),
    addresses_usd=Decimal("0.0150"),
    on_demand=PriceRange(Decimal("0.1128"), Decimal("0.1248")),
)
NOT_LISTED = replace(USD_3, on_demand=None)
PRICELESS = replace(NOT_LISTED, instances=None)


def _life(number: int, region: str, zone: str, kind: str, hours: float, **more: object) -> Usage:
    begun = NOON - timedelta(hours=hours)
    usage = Usage(f"i-{number:017x}", region, f"{region}{zone}", kind, begun, volume_gib=20)
    return replace(usage, **more)  # type: ignore[arg-type]


LIVES = (
    _life(1, "us-east-1", "a", "t3.medium", 26.5),
    _life(2, "us-east-1", "b", "t3a.medium", 26.5, ended_at=NOON - timedelta(hours=26), interrupted=True),
    _life(3, "us-east-1", "b", "t3.medium", 25.9),
    _life(4, "eu-west-1", "c", "t3.medium", 26.5, ended_at=NOON - timedelta(hours=2)),
    _life(5, "eu-west-1", "c", "t3.medium", 26.5),
    Usage("vol-1", "eu-west-1", "eu-west-1c", "", NOON - timedelta(hours=30), volume_gib=500, address=False),
)
PRICES = {"t3.medium": Decimal("0.0131"), "t3a.medium": Decimal("0.0117")}
STEPS = PriceSteps(
    {
        region: [
            PricePoint(kind, f"{region}{zone}", NOON - timedelta(days=3), usd)
            for kind, usd in PRICES.items()
            for zone in "abc"
        ]
        for region in ("us-east-1", "eu-west-1")
    }
)
RATES = Rates(
    on_demand={
        (region, kind): Decimal(usd)
        for region in ("us-east-1", "eu-west-1")
        for kind, usd in (("t3.medium", "0.0416"), ("t3a.medium", "0.0376"))
    },
    gib_month={"us-east-1": Decimal("0.08"), "eu-west-1": Decimal("0.088")},
)


def report(
    *, usages: tuple[Usage, ...] = LIVES, steps: PriceSteps = STEPS, rates: Rates = RATES, **more: object
) -> CostReport:
    window = Window(now=NOON)
    cost_report = CostReport(
        cluster="bacalhau-aws-spot",
        window=window,
        charges=tuple(charge(usage, steps, rates, window) for usage in usages),
        usages=UsageHistory(usages=usages),
        regions_scanned=("eu-west-1", "us-east-1", "us-west-2"),
        log_entries=True,
    )
    return replace(cost_report, **more)  # type: ignore[arg-type]


_MANAGED = Usage(
    "i-000000000000000ab",
    *("us-east-1", "us-east-1a", "t3.small"),
    NOON - timedelta(hours=24),
    spot=False,
    address=False,
    orchestrator=True,
)
# An orchestrator of 24 hours: on demand, with 30 GiB and an address.
WITH_ORCHESTRATOR = report(
    usages=(
        *LIVES,
        _MANAGED,
        replace(_MANAGED, id="vol-2", type="", volume_gib=10),
        replace(_MANAGED, id="vol-3", type="", volume_gib=20),
        replace(_MANAGED, id="eipalloc-1", zone="", type="", address=True),
    )
)
WITH_ORCHESTRATOR = replace(WITH_ORCHESTRATOR, usages=replace(WITH_ORCHESTRATOR.usages, assumed_addresses=1))
# Everything that can be missing is missing.
BLIND = report(
    steps=PriceSteps({}),
    rates=Rates(),
    usages=(*LIVES, _life(6, "us-east-1", "a", "t3.medium", 90, ended_at=NOON - timedelta(hours=80))),
    failed_regions=(ApiFailure("UnauthorizedOperation", "no", "DescribeTags", "sa-east-1"),),
    unpriced=(
        ApiFailure("AccessDeniedException", "no", "GetProducts", "us-east-1"),
        ApiFailure("RequestTimeout", "no", "DescribeSpotPriceHistory", "eu-west-1"),
    ),
)
BLIND = replace(
    BLIND,
    usages=replace(BLIND.usages, unknown_end_ids=("i-00000000000000006",), assumed_volumes=3, log_only=1),
)
EMPTY = report(usages=(), log_entries=False)
