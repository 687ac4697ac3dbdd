"""What a plan will cost, and whether a budget is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bacalhau_spot.core.model import Arch, Instance, Offer, Pool, State
from bacalhau_spot.core.pricing.cost import Rates
from bacalhau_spot.core.pricing.estimate import Budget, PriceRange, current_cost, estimate, sum_estimates

RATES = Rates(
    on_demand={("us-east-1", "t3.medium"): Decimal("0.04"), ("us-east-1", "m6a.large"): Decimal("0.08")},
    gib_month={"us-east-1": Decimal("0.073")},
)
CHEAP, DEAR = ("t3.medium", "0.01"), ("m6a.large", "0.03")


def offer(kind: str, usd: str | None) -> Offer:
    return Offer(Pool(kind, "us-east-1a"), None if usd is None else Decimal(usd), Arch.X86_64)


def of(*offers: tuple[str, str | None], limit: str | None = None, rates: Rates = RATES) -> PriceRange | None:
    most = None if limit is None else Decimal(limit)
    offered = [offer(*arguments) for arguments in offers]
    return estimate("us-east-1", 3, offered, rates, root_volume_gib=20, limit=most).total


def span(low: str, high: str) -> PriceRange:
    return PriceRange(Decimal(low), Decimal(high))


def test_three_nodes_item_by_item() -> None:
    """Three times the cheapest to three times the dearest pool; 20 GiB at 0.073 a month, an address at 0.005 an hour each."""
    result = estimate("us-east-1", 3, [offer(*CHEAP), offer(*DEAR)], RATES, root_volume_gib=20)
    assert result.instances == span("0.03", "0.09")
    assert (result.volumes_usd, result.addresses_usd) == (Decimal("0.006"), Decimal("0.015"))
    assert result.total == span("0.051", "0.111")
    assert result.on_demand_total == span("0.141", "0.261")
    saved = result.saving
    assert saved is not None
    assert float(saved.low) == pytest.approx(1 - 0.111 / 0.261)
    assert float(saved.high) == pytest.approx(1 - 0.051 / 0.141)
    assert result.total is not None and result.total.month == span("37.23", "81.03")


@pytest.mark.parametrize(
    ("offers", "limit", "total"),
    [
        ((CHEAP, DEAR), "0.02", span("0.051", "0.081")),  # the dear pool cannot be
        ((CHEAP, ("m6a.large", None)), None, None),  # what has no price may cost anything
        ((CHEAP, ("m6a.large", None)), "0.02", span("0.051", "0.081")),  # but not more than the limit
        ((("m6a.large", None),), "0.02", span("0.081", "0.081")),
        ((), None, None),
    ],
)
def test_what_the_limit_says(
    offers: tuple[tuple[str, str | None], ...], limit: str | None, total: PriceRange | None
) -> None:
    assert of(*offers, limit=limit) == total


def test_of_what_one_region_does_not_know_the_whole_knows_nothing() -> None:
    known = estimate("us-east-1", 1, [offer(*CHEAP)], RATES, root_volume_gib=20)
    unknown = estimate("eu-west-1", 1, [offer("t3.medium", None)], RATES, root_volume_gib=20)
    assert sum_estimates([known, known]).total == span("0.034", "0.034")
    assert sum_estimates([known, unknown]).total is None
    assert sum_estimates([known, unknown]).saving is None
    assert sum_estimates([]).total == span("0", "0")


def test_what_is_there_already() -> None:
    """Spot at its pool's price, on demand at its own; one without a price, and nothing is known."""
    instance = Instance(
        "i-1", "us-east-1", "us-east-1a", "t3.medium", State.RUNNING, datetime(2026, 11, 25, tzinfo=UTC)
    )
    bought = Instance(
        "i-2",
        "us-east-1",
        "us-east-1a",
        "m6a.large",
        State.RUNNING,
        datetime(2026, 11, 25, tzinfo=UTC),
        lifecycle="on-demand",
    )
    prices = {("us-east-1", "t3.medium", "us-east-1a"): Decimal("0.01")}
    assert current_cost([instance, bought], prices, RATES, root_volume_gib=20) == Decimal("0.01") + Decimal(
        "0.08"
    ) + 2 * (Decimal("0.005") + Decimal("0.002"))
    assert current_cost([instance], {}, RATES, root_volume_gib=20) is None
    assert current_cost([], {}, RATES, root_volume_gib=20) == 0


@pytest.mark.parametrize(
    ("existing", "launch", "satisfied"),
    [("0.4", "0.6", True), ("0.4", "0.61", False), (None, "0.1", False), ("0.1", None, False)],
)
def test_a_budget(existing: str | None, launch: str | None, satisfied: bool) -> None:
    """To the last cent it is kept; what is not known is too much."""
    amounts = [None if usd is None else Decimal(usd) for usd in (existing, launch)]
    assert Budget(Decimal(1), *amounts).satisfied is satisfied
