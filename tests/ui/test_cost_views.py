"""Money as the user reads it, and as programs get it."""

from __future__ import annotations

import csv
from decimal import Decimal
from io import StringIO

import pytest
from rich.console import RenderableType
from syrupy.assertion import SnapshotAssertion

from bacalhau_spot.core.launch.plan import Plan, RegionPlan
from bacalhau_spot.core.model import Arch, Offer, Pool
from bacalhau_spot.core.pricing.cost_report import CostReport
from bacalhau_spot.core.pricing.estimate import Budget
from bacalhau_spot.errors import UserError
from bacalhau_spot.ui import csv_output, json_output, views
from support.costs import BLIND, EMPTY, NOT_LISTED, PRICELESS, USD_3, WITH_ORCHESTRATOR, report
from support.golden import golden, output_text
from support.rendering import rendered
from support.schemas import contract


def plan(estimate: object = USD_3, *, budget: Budget | None = None, no_list: str = "") -> Plan:
    offers = (Offer(Pool("t3.medium", "us-east-1a"), Decimal("0.0131"), Arch.X86_64),)
    region = RegionPlan("us-east-1", 4, 1, 3, offers, (), Decimal("0.0125"), Decimal("0.0151"), estimate)  # type: ignore[arg-type]
    return Plan("c", (region,), budget=budget, list_prices_missing=no_list)


def budget(most: str, *, standing: str | None = "0.0200", launch: str | None = "0.0669") -> Budget:
    return Budget(Decimal(most), *(None if usd is None else Decimal(usd) for usd in (standing, launch)))


def refused(refused_plan: Plan) -> UserError:
    return views.over_budget(refused_plan)


VIEWS: dict[str, RenderableType] = {
    "by region": views.cost_view(report(), by="region"),
    "by pool": views.cost_view(report(), by="pool"),
    "by instance": views.cost_view(report(), by="instance"),
    "wide": views.cost_view(report(), by="region", wide=True),
    "blind": views.cost_view(BLIND, by="region"),
    "with an orchestrator": views.cost_view(WITH_ORCHESTRATOR, by="region"),
    "with an orchestrator, by instance": views.cost_view(WITH_ORCHESTRATOR, by="instance"),
    "nothing": views.cost_view(EMPTY, by="region"),
    "plan within its budget": views.plan_view(plan(budget=budget("0.1"))),
    "plan without a price list": views.plan_view(plan(NOT_LISTED, no_list="AccessDeniedException")),
    "plan without a price list of volumes": views.plan_view(plan(no_list="AccessDeniedException")),
    "plan without prices": views.plan_view(plan(PRICELESS)),
    "over budget": views.error_view(refused(plan(budget=budget("0.05")))),
    "over budget, of an unknown price": views.error_view(refused(plan(budget=budget("1", launch=None)))),
    "over budget, of an unknown standing": views.error_view(refused(plan(budget=budget("1", standing=None)))),
}


@pytest.mark.parametrize("width", [60, 140])
@pytest.mark.parametrize("name", VIEWS)
def test_what_is_read(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    assert rendered(VIEWS[name], width=width) == snapshot


@pytest.mark.parametrize(
    "shown", [report(), BLIND, EMPTY, WITH_ORCHESTRATOR], ids=["whole", "blind", "empty", "orchestrator"]
)
def test_the_json_has_its_published_form(shown: CostReport, snapshot: SnapshotAssertion) -> None:
    data = json_output.cost_data(shown)
    assert output_text("cost", data) == golden(snapshot)
    contract("cost", data)


@pytest.mark.parametrize("shown", [report(), WITH_ORCHESTRATOR])
def test_sums_of_the_json_are_those_of_its_parts(shown: CostReport) -> None:
    """To the last digit that is printed, whatever it is summed by."""
    data = json_output.cost_data(shown)
    total = Decimal(data["total"]["usd"])
    for part in ("regions", "zones", "types"):
        assert abs(sum(Decimal(row["usd"]) for row in data[part]) - total) < Decimal("0.00001")
    things = [*data["instances"], *data["volumes"], *data["addresses"]]
    assert abs(sum(Decimal(thing["usd"]) for thing in things) - total) < Decimal("0.00002")


def test_an_orchestrator_is_in_the_total_and_no_node() -> None:
    """On demand at its list price, although no price list was read for its type."""
    data, without = json_output.cost_data(WITH_ORCHESTRATOR), json_output.cost_data(report())
    part = data["orchestrator"]
    assert part is not None and without["orchestrator"] is None
    volumes = Decimal(30) * Decimal("0.08") / 730
    assert [Decimal(part[name]) for name in ("instance_usd", "volume_usd", "address_usd")] == [
        pytest.approx(24 * usd, abs=Decimal("0.00001"))
        for usd in (Decimal("0.0208"), volumes, Decimal("0.005"))
    ]
    assert (part["instances"], part["running"], part["hours"]) == (1, 1, "24.0000")
    total, rest = data["total"], without["total"]
    assert (total["instances"], total["running"], total["hours"]) == (5, 3, rest["hours"])
    for whole, nodes, share in (
        (total["usd"], rest["usd"], part["usd"]),
        (total["current_usd_per_hour"], rest["current_usd_per_hour"], part["current_usd_per_hour"]),
    ):
        assert whole and nodes and share
        assert Decimal(whole) - Decimal(nodes) == pytest.approx(Decimal(share), abs=Decimal("0.00001"))
    assert [row["id"] for row in data["instances"] if row["orchestrator"]] == ["i-000000000000000ab"]
    assert [row["id"] for row in data["volumes"] if row["orchestrator"]] == ["vol-2", "vol-3"]
    assert [row["id"] for row in data["addresses"]] == ["eipalloc-1"]


def test_csv_is_a_row_for_each_thing_that_costs(snapshot: SnapshotAssertion) -> None:
    """Its rows come to what the table says."""
    shown = report()
    text = csv_output.csv_text(csv_output.cost_rows(shown))
    rows = list(csv.DictReader(StringIO(text)))
    assert {row["item"] for row in rows} == {"instance", "volume", "address"}
    assert abs(sum(Decimal(row["usd"]) for row in rows) - shown.total.usd) < Decimal("0.00002")
    assert text == snapshot


def test_csv_leaves_open_what_is_not_known() -> None:
    rows = list(csv.DictReader(StringIO(csv_output.csv_text(csv_output.cost_rows(BLIND)))))
    instances = [row for row in rows if row["item"] == "instance"]
    assert [row["on_demand_usd"] for row in instances] == [""] * len(instances)
    # Taken back in its first hour, it is known to have cost nothing.
    assert [row["usd"] for row in instances if row["interrupted"] == "yes"] == ["0.000000"]
    assert {row["usd"] for row in instances if row["interrupted"] == "no"} == {""}


def test_a_plan_has_its_published_form(snapshot: SnapshotAssertion) -> None:
    recorded = golden(snapshot)
    for priced_plan in (plan(budget=budget("1")), plan(PRICELESS), plan(budget=budget("1", standing=None))):
        data = {"plan": json_output.plan_data(priced_plan)}
        assert output_text("create", data) == recorded
        contract("create", data)
