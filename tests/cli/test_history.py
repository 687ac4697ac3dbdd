"""`history` in the sandbox: a cluster's life as a timeline, and the capacity pools that the next plan avoids."""

from __future__ import annotations

import csv
import json
from collections import Counter
from io import StringIO
from typing import Any

import pytest

from aws_spot_sandbox.ec2 import regions
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.orchestrator.http import HttpOrchestrator, Login
from support.cli_runner import CliResult, CliRunner
from support.schemas import contract

MINUTE, HOUR = 60, 3600


@pytest.fixture
def user(sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Two nodes each in two of three regions, an audit log, and in each region one pool that is the cheapest."""
    monkeypatch.setattr(regions, "ENABLED_BY_DEFAULT", ("us-east-1", "us-west-2", "eu-west-1"))
    ask(monkeypatch, f"{sandbox.url}/_sandbox/orchestrator")
    program.environ = {"XDG_STATE_HOME": str(program.folder / "state")}
    configure(program)
    now = sandbox.clock.now()
    sandbox.settings.prices += [
        {"pool": "*", "at": now - HOUR, "usd": 0.0150},
        {"pool": "us-east-1a/t3.medium", "at": now - HOUR, "usd": 0.0120},
        {"pool": "eu-west-1b/t3.medium", "at": now - HOUR, "usd": 0.0132},
    ]
    return program


def ask(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """The orchestrator at this address: the sandbox's shares its own, and no configuration could name that."""
    client = HttpOrchestrator(address, login=Login(None))
    monkeypatch.setattr(CommandContext, "api_client", staticmethod(lambda _: client))


def configure(user: CliRunner, more: str = "") -> None:
    user.configure(nodes=4, regions="{us-east-1: {nodes: 2}, eu-west-1: {nodes: 2}}", more=more)


def launched(result: CliResult) -> dict[str, str]:
    """Id -> zone."""
    assert result.code == 0, result.stdout + result.stderr
    return {
        instance["id"]: instance["zone"]
        for region in result.data["receipt"]["regions"]
        for instance in region["instances"]
    }


def history(user: CliRunner, *argv: str) -> dict[str, Any]:
    result = user("history", "-o", "json", *argv)
    assert result.code == 0, result.stdout
    return result.data


def plan(user: CliRunner) -> dict[str, Any]:
    result = user("create", "--dry-run", "-o", "json")
    assert result.code == 0, result.stdout
    found: dict[str, Any] = result.data["plan"]
    return found


def kinds(data: dict[str, Any], name: str) -> list[str]:
    return [event["event"] for event in data["events"] if event["id"] == name]


def log(user: CliRunner) -> Counter[str]:
    text = (user.folder / "state" / "bacalhau-spot" / "audit.jsonl").read_text()
    return Counter(json.loads(line)["event"] for line in text.splitlines())


def interrupted_after_ten_minutes(sandbox: Any, user: CliRunner) -> str:
    """The id of a node of eu-west-1 that has a notice, at the time of the notice."""
    first = launched(user("create", "--yes", "-o", "json"))
    assert sorted(first.values()) == ["eu-west-1b", "eu-west-1b", "us-east-1a", "us-east-1a"]
    sandbox.clock.advance(10 * MINUTE)
    lost = next(name for name in first if first[name] == "eu-west-1b")
    sandbox.server.interrupt("eu-west-1", lost, notice_s=120)
    return lost


def test_from_the_notice_to_the_replacement(sandbox: Any, user: CliRunner) -> None:
    """Four nodes join; EC2 gives notice to one; its replacement joins. A day later, AWS has forgotten all of it, and the
    timeline is the same.
    """
    lost = interrupted_after_ten_minutes(sandbox, user)
    noticed = sandbox.clock.now()
    sandbox.clock.advance(30)
    assert user("status", "-o", "json").data["interruptions"]["count"] == 1  # while it still runs
    sandbox.clock.advance(5 * MINUTE)
    (heir,) = launched(user("create", "--yes", "-o", "json"))
    replaced_s = sandbox.clock.now() - noticed

    data = history(user)
    contract("history", {**data, "events": [event for event in data["events"] if event["replacement"]]})
    assert kinds(data, lost) == ["launched", "joined", "interruption notice", "interrupted"]
    assert kinds(data, heir) == ["launched", "joined"]
    (end,) = (event for event in data["events"] if event["event"] == "interrupted")
    assert (end["zone"], end["type"], end["usd_per_hour"]) == ("eu-west-1b", "t3.medium", "0.013200")
    assert end["reason"] == "instance-terminated-no-capacity"
    assert 12 * MINUTE <= end["age_seconds"] <= 13 * MINUTE
    replacement = end["replacement"]
    assert (replacement["id"], replacement["measured_from"]) == (heir, "notice")
    assert 330 <= replacement["launched_after_seconds"] < replacement["joined_after_seconds"] <= replaced_s
    assert data["summary"]["interruptions"] == data["summary"]["replaced"] == 1
    assert data["summary"]["median_joined_after_seconds"] == replacement["joined_after_seconds"]

    assert user("destroy", "--yes").code == 0
    sandbox.clock.advance(24 * HOUR)
    later = history(user)
    assert later["events"][: len(data["events"])] == data["events"]
    ends = [event for event in later["events"] if event["event"] == "terminated"]
    assert [event["terminated_by"] for event in ends] == ["destroy"] * 4
    assert later["summary"]["replaced"] == 1
    assert history(user, "--since", "2h")["events"] == []
    # Each observation is recorded once; `create` recorded the interruption without the code of the spot request.
    assert (log(user)["node-joined"], log(user)["interruption-notice"], log(user)["usage-ended"]) == (5, 1, 2)


def test_the_screens(sandbox: Any, user: CliRunner) -> None:
    """The plan, `status`, `history` and its rows name the interruption."""
    lost = interrupted_after_ten_minutes(sandbox, user)
    sandbox.clock.advance(5 * MINUTE)
    assert (
        "avoids 1 capacity pool in which EC2 interrupted nodes in the last 2 hours: t3.medium in eu-west-1b"
        in (user("create", "--dry-run").stdout)
    )
    status = user("status", "-o", "json")
    contract("status", {**status.data, "nodes": [], "regions": []})
    assert status.data["interruptions"]["pools"] == [
        {"type": "t3.medium", "zone": "eu-west-1b", "interruptions": 1}
    ]
    last = status.data["interruptions"]["last"]
    assert (last["id"], last["reason"]) == (lost, "instance-terminated-no-capacity")
    assert "1 interruption in the last 24 hours: t3.medium in eu-west-1b (1); the last 3 min ago" in (
        user("status").stdout
    )
    shown = user("history").stdout
    assert "no capacity; not replaced" in shown
    assert "median age of an interrupted node: 12 min" in shown
    rows = list(csv.DictReader(StringIO(user("history", "-o", "csv", "--region", "eu-west-1").stdout)))
    assert Counter(row["event"] for row in rows) == {"launched": 2, "joined": 2, "interrupted": 1}
    assert {row["region"] for row in rows} == {"eu-west-1"}


def test_nothing_is_known(user: CliRunner) -> None:
    result = user("history")
    assert result.code == 0
    assert "no record of bacalhau-aws-spot's nodes since" in result.stdout
    assert "which AWS no longer lists and no audit log on this machine has" in result.stdout
    data = history(user)
    assert (data["events"], data["log_entries"], data["summary"]["median_age_seconds"]) == ([], False, None)


def test_calls(sandbox: Any, user: CliRunner) -> None:
    """One in a region without nodes; three in a region with nodes, and one for its prices."""
    launched(user("create", "--yes", "-o", "json"))
    sandbox.world.calls.clear()
    history(user)
    calls = Counter(
        region
        for region, name, _ in sandbox.world.calls
        if name not in {"ec2:DescribeRegions", "sts:GetCallerIdentity"}
    )
    assert calls == {"us-east-1": 4, "eu-west-1": 4, "us-west-2": 1}


def test_an_orchestrator_that_does_not_answer(
    sandbox: Any, user: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timeline is without joins, and says so; everything else is there."""
    launched(user("create", "--yes", "-o", "json", "--wait", "running"))
    ask(monkeypatch, "http://127.0.0.1:9")
    result = user("history")
    assert result.code == 0
    assert "joins of running nodes: the orchestrator did not answer" in result.stdout
    data = history(user)
    assert {event["event"] for event in data["events"]} == {"launched"}
    assert data["orchestrator_problem"]["operation"] == "http://127.0.0.1:9"
    # A later check records the joins of the orchestrator that answers again.
    ask(monkeypatch, f"{sandbox.url}/_sandbox/orchestrator")
    sandbox.clock.advance(5 * MINUTE)
    assert user("status").code == 0
    assert Counter(event["event"] for event in history(user)["events"]) == {"launched": 4, "joined": 4}


def lost_in_us_east_1(sandbox: Any, user: CliRunner) -> None:
    """The cluster is complete, but for a node of us-east-1a that EC2 interrupted a minute ago."""
    first = launched(user("create", "--yes", "-o", "json"))
    lost = next(name for name in first if first[name] == "us-east-1a")
    sandbox.server.interrupt("us-east-1", lost, notice_s=0)
    sandbox.clock.advance(MINUTE)


def test_the_plan_forgets_after_two_hours(sandbox: Any, user: CliRunner) -> None:
    """From AWS's list in the first hour, from the audit log in the second, as the plan of `create` itself has recorded."""
    lost_in_us_east_1(sandbox, user)
    assert len(plan(user)["avoided_pools"]) == 1
    sandbox.clock.advance(90 * MINUTE)
    assert [pool["zone"] for pool in plan(user)["avoided_pools"]] == ["us-east-1a"]
    sandbox.clock.advance(30 * MINUTE)
    assert plan(user)["avoided_pools"] == []


def test_a_region_without_another_pool_avoids_none(sandbox: Any, user: CliRunner) -> None:
    """Here: none at a price near the cheapest. The launch uses the interrupted pool, as its plan says."""
    sandbox.settings.prices.append({"pool": "*", "at": sandbox.clock.now(), "usd": 0.5})
    lost_in_us_east_1(sandbox, user)
    result = user("create", "--yes", "-o", "json")
    assert set(launched(result).values()) == {"us-east-1a"}
    shown = result.data["plan"]
    assert (shown["avoided_pools"], len(shown["not_avoided_pools"])) == ([], 1)


@pytest.mark.parametrize("more", ["", "max_share_per_pool: 50%\n"])
def test_avoided_pools_are_used_before_another_region(sandbox: Any, user: CliRunner, more: str) -> None:
    """The other pools of the region turn out to have no capacity: the launch falls back to the avoided one."""
    configure(user, more)
    lost_in_us_east_1(sandbox, user)
    sandbox.settings.capacity = {f"us-east-1{zone}": 0 for zone in "bcdef"} | {"us-east-1a/t3a.medium": 0}
    sandbox.world.calls.clear()
    result = user("create", "--yes", "-o", "json")
    assert len(result.data["plan"]["avoided_pools"]) == 1
    assert set(launched(result).values()) == {"us-east-1a"}
    fleets = [region for region, name, _ in sandbox.world.calls if name == "ec2:CreateFleet"]
    assert fleets == ["us-east-1", "us-east-1"]
