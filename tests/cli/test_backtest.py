"""`offers --backtest` in the sandbox: costs by its price history, with few calls."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from support.cli_runner import CliRunner
from support.schemas import contract

DAY = 86400


@pytest.fixture
def user(sandbox: Any, program: CliRunner) -> CliRunner:
    """Three nodes in two regions, of one type; one price in each region for thirty days, but for one expensive day."""
    program.environ["XDG_STATE_HOME"] = str(program.folder / "state")
    path = program.configure(nodes=3, regions="{us-east-1: {nodes: 2}, eu-west-1: {nodes: 1}}")
    path.write_text(path.read_text().replace("[t3.medium, t3a.medium]", "[t3.medium]"))
    now = sandbox.clock.now()
    sandbox.settings.prices += [
        {"pool": "*", "at": now - 60 * DAY, "usd": 0.0500},
        {"pool": "us-east-1", "at": now - 60 * DAY, "usd": 0.0200},
        {"pool": "us-east-1", "at": now - 10 * DAY, "usd": 0.0800},
        {"pool": "us-east-1", "at": now - 9 * DAY, "usd": 0.0200},
        {"pool": "eu-west-1", "at": now - 60 * DAY, "usd": 0.0300},
        {"pool": "us-west-2", "at": now - 60 * DAY, "usd": 0.0100},
    ]
    return program


def data_of(user: CliRunner, *argv: str) -> dict[str, Any]:
    result = user("offers", "-o", "json", "--backtest", *argv)
    assert result.code == 0, result.stderr
    return result.data


def test_the_configuration_and_the_best_alternative(sandbox: Any, user: CliRunner) -> None:
    """Thirty days on paper: us-east-1 has one day at 0.08, so 0.022 on average; us-west-2 would have cost half."""
    data = data_of(user, "30d")
    contract("offers", data)
    costs = {row["region"]: row["cost"] for row in data["configured"]}
    assert costs["us-east-1"]["average_usd_per_hour"] == "0.022000"
    assert costs["us-east-1"]["lowest_usd_per_hour"] == "0.020000"
    assert costs["us-east-1"]["highest_usd_per_hour"] == "0.080000"
    assert Decimal(costs["us-east-1"]["usd"]) == 2 * 24 * (29 * Decimal("0.02") + Decimal("0.08"))
    assert Decimal(costs["eu-west-1"]["usd"]) == 720 * Decimal("0.03")
    assert Decimal(data["total"]["usd"]) == Decimal("31.68") + Decimal("21.6")
    best = data["alternatives"][0]
    assert (best["region"], best["nodes"], Decimal(best["cost"]["usd"])) == ("us-west-2", 3, Decimal("21.6"))
    assert 0 < float(data["fixed_usd"]) < 30
    shown = user("offers", "--backtest", "30d").stdout
    assert "best alternative: us-west-2, $21.60, 59 % less" in shown
    assert "price history is not availability history" in shown


def test_the_time_above_the_maximum_price(sandbox: Any, user: CliRunner) -> None:
    path = user.folder / "config.yaml"
    path.write_text(path.read_text() + "max_price_usd_per_hour: 0.04\n")
    data = data_of(user, "30d")
    costs = {row["region"]: row["cost"] for row in data["configured"]}
    assert costs["us-east-1"]["hours_above_limit"] == "24.0000"
    assert Decimal(costs["us-east-1"]["usd"]) == 2 * 24 * 29 * Decimal("0.02")
    assert costs["eu-west-1"]["hours_above_limit"] == "0.0000"


def test_the_calls_are_bounded_and_counted(sandbox: Any, user: CliRunner) -> None:
    """Today's prices once a region, and the history of the configured regions and of `--top` others; it says how many."""
    sandbox.settings.prices = []  # prices that change every few hours: ninety days are several pages
    before = len(sandbox.world.calls)
    data = data_of(user, "90d", "--top", "1")
    calls = [
        region for region, name, _ in sandbox.world.calls[before:] if name == "ec2:DescribeSpotPriceHistory"
    ]
    assert data["price_calls"] == len(calls)
    regions = {row["region"] for row in (*data["configured"], *data["alternatives"])}
    assert len(regions) == 3 and data["regions_not_read"] == len(set(calls)) - 3
    assert all(calls.count(region) == 1 for region in set(calls) - regions)
    assert all(2 <= calls.count(region) <= 4 for region in regions)
    assert all(float(row["cost"]["hours_known"]) == 90 * 24 for row in data["configured"])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--backtest", "91d"), "too long"),
        (("--backtest", "soon"), "is not a duration"),
        (("--backtest", "7d", "--write"), "exclude each other"),
    ],
)
def test_what_cannot_be_computed_is_refused(user: CliRunner, argv: tuple[str, ...], message: str) -> None:
    result = user("offers", *argv)
    assert (result.code, message in result.stderr) == (2, True), result.stderr


def test_automatic_regions_and_refused_prices(sandbox: Any, user: CliRunner) -> None:
    """`regions: auto` is said; a region that refuses has no cost, no total is invented, and the exit code is 5."""
    user.configure(nodes=4, regions="{auto: {count: 2}}")
    result = user("offers", "--backtest", "7d", "-o", "json")
    assert result.code == 0
    assert "`regions: auto`" in result.envelope["warnings"][0]
    assert sum(row["nodes"] for row in result.data["configured"]) == 4
    user.configure(nodes=3, regions="{us-east-1: {nodes: 2}, eu-west-1: {nodes: 1}}")
    sandbox.settings.faults = [
        {"match": "ec2:DescribeSpotPriceHistory", "region": "eu-west-1", "code": "UnauthorizedOperation"}
    ]
    refused = user("offers", "--backtest", "7d", "-o", "json")
    assert (refused.code, refused.data["total"]) == (5, None)
    assert [row["cost"] is None for row in refused.data["configured"]] == [False, True]
