"""`max_share_per_pool`: no capacity pool holds more of the cluster than it may, whatever happens on the way."""

from __future__ import annotations

from collections import Counter
from typing import Any

from support.cli_runner import CliResult, CliRunner


def by_pool(program: CliRunner) -> Counter[tuple[str, str]]:
    listed = program("list", "-o", "json")
    return Counter((instance["zone"], instance["type"]) for instance in listed.data["instances"])


def fleets(sandbox: Any) -> int:
    return sum(name == "ec2:CreateFleet" for _, name, _ in sandbox.world.calls)


def plan(result: CliResult) -> Any:
    return result.data["plan"]


def test_a_region_is_launched_in_parts(sandbox: Any, program: CliRunner) -> None:
    """The sandbox puts a fleet into its cheapest pool: without a limit that is all of a region, with one its share."""
    program.configure(nodes=8, regions="[us-east-1, us-west-2]")
    free = program("create", "--yes", "-o", "json")
    assert free.code == 0, free.stdout
    assert (fleets(sandbox), max(by_pool(program).values())) == (2, 4)
    assert plan(free)["exposure"]["limit"] is None
    assert plan(free)["exposure"]["at_most"] == 4
    assert free.data["receipt"]["pools"]["max_loss"] == 4
    assert program("destroy", "--yes").code == 0

    program.configure(nodes=8, regions="[us-east-1, us-west-2]", more="max_share_per_pool: 25%\n")
    before = fleets(sandbox)
    shown = program("create", "--dry-run")
    assert "may terminate up to 2 of 8 nodes (max_share_per_pool allows 2 in each)" in shown.stdout
    result = program("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout
    counts = by_pool(program)
    assert (sum(counts.values()), max(counts.values())) == (8, 2)
    assert fleets(sandbox) - before == 4
    assert plan(result)["exposure"] == {"pools": plan(result)["exposure"]["pools"], "at_most": 2, "limit": 2}
    assert result.data["receipt"]["pools"]["max_loss"] == 2

    again = program("create", "--yes", "-o", "json")
    assert plan(again)["launch"] == 0
    program.configure(nodes=12, regions="[us-east-1, us-west-2]", more="max_share_per_pool: 0.25\n")
    assert program("create", "--yes").code == 0
    counts = by_pool(program)
    assert sum(counts.values()) == 12
    assert max(counts.values()) <= 3


def test_pools_without_capacity_do_not_loosen_the_limit(sandbox: Any, program: CliRunner) -> None:
    """What one region's pools cannot take within the limit, other regions do, within theirs."""
    sandbox.settings.capacity = {f"us-east-1{zone}": 0 for zone in "bcdef"}
    program.configure(nodes=8, regions="[us-east-1, us-west-2]", more='max_share_per_pool: "15%"\n')
    result = program("create", "--yes")
    assert result.code == 0, result.stdout
    counts = by_pool(program)
    assert (sum(counts.values()), max(counts.values())) == (8, 1)
    assert sum(count for (zone, _), count in counts.items() if zone.startswith("us-east-1")) == 2
    assert "2 moved to us-west-2" in result.stdout
    assert "no spot capacity in us-east-1" in result.stdout
    assert "8 spot nodes in 8 capacity pools; losing one pool may terminate up to 1" in result.stdout


def test_what_only_the_limit_forbids_is_said_to_be_the_limit(program: CliRunner) -> None:
    """Capacity there is, and the region has too few pools: the others take the rest."""
    program.configure(nodes=10, regions="[us-west-1, us-west-2]", more="max_share_per_pool: 0.1\n")
    result = program("create", "--yes")
    assert result.code == 0, result.stdout
    assert max(by_pool(program).values()) == 1
    assert (
        "every capacity pool in us-west-1 holds as many nodes as `max_share_per_pool` allows" in result.stdout
    )
    assert "(PoolShareReached)" in result.stdout


def test_an_answer_that_is_lost_is_asked_for_again(sandbox: Any, program: CliRunner) -> None:
    """The second part's answer never comes: the same part again is the same fleet, and no pool gets more."""
    sandbox.settings.faults = [
        {
            "match": "ec2:CreateFleet",
            "code": "InternalError",
            "when": "after",
            "status": 500,
            "after": 1,
            "count": 1,
        }
    ]
    program.configure(nodes=6, regions="[us-west-2]", more="max_share_per_pool: 0.34\n")
    result = program("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout
    counts = by_pool(program)
    assert (sum(counts.values()), max(counts.values())) == (6, 2)


def test_a_share_that_cannot_be_is_refused_in_the_plan(sandbox: Any, program: CliRunner) -> None:
    """Before anything is made: with numbers, and with what helps."""
    program.configure(nodes=12, regions="[us-west-1]", more="max_share_per_pool: 0.1\n")
    result = program("create", "--yes")
    assert result.code == 2
    assert "at most 1 node in each (10% of 12 nodes)" in result.stderr.replace("\n", " ")
    assert "raise `max_share_per_pool`" in result.stderr
    assert fleets(sandbox) == 0
