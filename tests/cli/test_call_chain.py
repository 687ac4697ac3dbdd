"""Which calls of a command must follow one another, and how many a region gets."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from support.call_rounds import CallRounds
from support.cli_runner import CliRunner

OFFERINGS = "ec2:DescribeInstanceTypeOfferings"
ACCOUNT = {"get_caller_identity", "describe_regions"}
FIRST_OF_THE_DAY = ACCOUNT | {"list_account_aliases"}  # the alias is asked once a day, in the same round
INVENTORY = {"describe_instances", "describe_tags"}
MARKET = {
    "describe_instance_types",
    "describe_spot_price_history",
    "get_parameters",
    "describe_vpc_block_public_access_options",
    "get_products",
}
LAUNCH = [
    {"create_launch_template"},  # the lock
    {"create_launch_template"},
    {"create_vpc", "create_internet_gateway"},
    {"attach_internet_gateway", "describe_route_tables", "create_subnet", "create_security_group"},
    {"create_route", "authorize_security_group_ingress", "create_launch_template_version"},
    {"create_fleet"},
    {"describe_instances"},
    {"delete_launch_template"},  # the lock
]


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch, program: CliRunner, sandbox: Any) -> CallRounds:
    sandbox.world.settings.pending_s = 0
    return CallRounds(monkeypatch)


def test_create_waits_for_eleven_calls_one_after_the_other(program: CliRunner, rounds: CallRounds) -> None:
    assert program("create", "--yes").code == 0
    assert rounds.rounds == [FIRST_OF_THE_DAY, INVENTORY, MARKET, *LAUNCH]


def test_create_of_a_complete_cluster_waits_for_two_calls(program: CliRunner, rounds: CallRounds) -> None:
    assert program("create", "--yes").code == 0
    rounds.rounds.clear()
    assert program("create", "--yes").code == 0
    assert rounds.rounds[0] == ACCOUNT
    assert rounds.rounds[1] == INVENTORY
    assert {operation for found in rounds.rounds[2:] for operation in found} <= {"describe_fleets"}


def test_create_in_a_new_region_makes_nineteen_calls(program: CliRunner, sandbox: Any) -> None:
    """With three zones, and all looks counted; an empty region gets one call."""
    sandbox.world.settings.pending_s = 0
    program.configure(nodes=9, regions="[us-west-1, us-east-2, eu-west-1]")
    assert program("create", "--yes").code == 0
    calls = Counter(region for region, _, _ in sandbox.world.calls)
    # One region describes the types for all; the lock is in the first.
    assert calls["us-west-1"] + calls["us-east-2"] + calls["eu-west-1"] <= 3 * 19 + 3, calls
    assert calls["eu-west-1"] <= 19
    assert calls["us-west-2"] == calls["ap-southeast-1"] == 1


def test_create_asks_for_the_offerings_only_where_nothing_has_a_price(
    program: CliRunner, sandbox: Any
) -> None:
    program.configure(nodes=4, regions="[us-west-1, us-east-1]")
    sandbox.world.settings.no_spot = [
        f"us-west-1{letter}/{name}" for letter in "abc" for name in ("t3.medium", "t3a.medium")
    ]
    assert program("create", "--yes").code in {0, 1}  # the nodes of us-west-1 move, or are missing
    asked = {region for region, action, _ in sandbox.world.calls if action == OFFERINGS}
    assert asked == {"us-west-1"}


def test_a_type_that_the_first_region_does_not_have_is_described_once_more(
    program: CliRunner, sandbox: Any
) -> None:
    """By one region that has it, and not by each."""
    program.configure(nodes=4, regions="[us-west-1, us-east-1, us-west-2]")
    sandbox.world.settings.not_offered = [f"us-west-1{letter}/t3a.medium" for letter in "abc"]
    assert program("create", "--yes").code == 0
    described = [region for region, action, _ in sandbox.world.calls if action == "ec2:DescribeInstanceTypes"]
    assert described == ["us-west-1", "us-east-1"]


PRICES = "describe_spot_price_history"


def test_list_of_a_new_cluster_waits_for_two_calls(program: CliRunner, rounds: CallRounds) -> None:
    """With its cost: `create` has heard the prices."""
    assert program("create", "--yes").code == 0
    rounds.rounds.clear()
    listed = program("list", "-o", "json")
    assert rounds.rounds == [ACCOUNT, INVENTORY]
    assert float(listed.data["cost"]["usd_per_hour"]) > 0


def test_list_elsewhere_asks_for_the_prices_twice_a_day(
    program: CliRunner, rounds: CallRounds, sandbox: Any
) -> None:
    assert program("create", "--yes").code == 0
    known = program("list", "-o", "json").data["cost"]
    (remembered,) = program.folder.rglob("spot-prices.json")
    remembered.unlink()
    rounds.rounds.clear()
    asked = program("list", "-o", "json").data["cost"]
    assert PRICES in set().union(*rounds.rounds)
    assert asked["usd_per_hour"] == known["usd_per_hour"]
    rounds.rounds.clear()
    assert program("list").code == 0
    assert rounds.rounds == [ACCOUNT, INVENTORY]
    sandbox.clock.advance(13 * 3600)
    rounds.rounds.clear()
    assert program("list").code == 0
    assert PRICES in set().union(*rounds.rounds), "the sum of many hours needs the history of prices"
