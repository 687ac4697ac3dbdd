"""`self_heal: true`: each region is an Auto Scaling group, and AWS keeps its number of nodes."""

from __future__ import annotations

from typing import Any

from support.cli_runner import CliResult, CliRunner

HEAL = "self_heal: true\n"
TWO = "[us-east-1, us-west-2]"


def groups(sandbox: Any, *regions: str) -> dict[str, Any]:
    lists = {
        region: sandbox.client("autoscaling", region).describe_auto_scaling_groups()["AutoScalingGroups"]
        for region in regions or ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1")
    }
    return {region: rows[0] for region, rows in lists.items() if rows}


def desired(sandbox: Any) -> dict[str, int]:
    return {region: row["DesiredCapacity"] for region, row in groups(sandbox).items()}


def nodes(program: CliRunner) -> dict[str, str]:
    """Id -> region of the living nodes."""
    listed = program("list", "-o", "json").data["instances"]
    return {row["id"]: row["region"] for row in listed if row["state"] in ("pending", "running")}


def plan(result: CliResult) -> Any:
    return result.data["plan"]


def test_each_region_is_a_group_that_replaces_its_nodes(sandbox: Any, program: CliRunner) -> None:
    program.configure(nodes=4, regions=TWO, more=HEAL)
    result = program("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    assert desired(sandbox) == {"us-east-1": 2, "us-west-2": 2}
    first = nodes(program)
    assert sorted(first.values()) == ["us-east-1", "us-east-1", "us-west-2", "us-west-2"]
    again = program("create", "--yes", "-o", "json")
    assert (again.code, plan(again)["launch"]) == (0, 0), again.stdout


def test_a_region_without_capacity_gives_its_nodes_to_others(sandbox: Any, program: CliRunner) -> None:
    """It gives them up before the others launch them: all groups together never ask for more than configured."""
    sandbox.settings.capacity = {"us-east-1": 1}
    asked: list[int] = []

    def record() -> None:
        asked.append(sum(desired(sandbox).values()))

    program.configure(nodes=6, regions=TWO, more=HEAL)
    result = program("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    record()
    assert desired(sandbox) == {"us-east-1": 1, "us-west-2": 5}
    assert len(nodes(program)) == 6
    receipt = {row["region"]: row for row in result.data["receipt"]["regions"]}
    assert (receipt["us-east-1"]["reassigned"], receipt["us-west-2"]["taken_over"]) == (2, 2)
    assert receipt["us-east-1"]["pool_failures"][0]["code"] == "UnfulfillableCapacity"


def test_strict_regions_leave_the_rest_to_aws(sandbox: Any, program: CliRunner) -> None:
    sandbox.settings.capacity = {"us-east-1": 1}
    program.configure(nodes=4, regions=TWO, more=HEAL + "spread: strict\n")
    result = program("create", "--yes", "-o", "json")
    assert result.code == 1, result.stdout + result.stderr
    assert desired(sandbox) == {"us-east-1": 2, "us-west-2": 2}
    assert len(nodes(program)) == 3
    sandbox.settings.capacity = {}
    sandbox.clock.advance(600)
    assert len(nodes(program)) == 4


def test_a_living_cluster_changes_without_losing_a_node(sandbox: Any, program: CliRunner) -> None:
    program.configure(nodes=4, regions=TWO)
    assert program("create", "--yes").code == 0
    plain = nodes(program)
    program.configure(nodes=4, regions=TWO, more=HEAL)
    shown = program("create", "--dry-run", "-o", "json")
    assert [row["steps"] for row in plan(shown)["groups"]] == [["create", "attach"]] * 2
    assert program("create", "--yes").code == 0
    assert (nodes(program), desired(sandbox)) == (plain, {"us-east-1": 2, "us-west-2": 2})
    assert program("create", "--yes").code == 0
    sandbox.clock.advance(600)
    assert nodes(program) == plain

    program.configure(nodes=4, regions=TWO)
    shown = program("create", "--dry-run", "-o", "json")
    assert [row["steps"] for row in plan(shown)["groups"]] == [["detach", "delete"]] * 2
    back = program("create", "--yes")
    assert back.code == 0, back.stdout + back.stderr
    assert (nodes(program), desired(sandbox)) == (plain, {})
    sandbox.clock.advance(600)
    assert nodes(program) == plain


def test_another_number_changes_the_groups(sandbox: Any, program: CliRunner) -> None:
    program.configure(nodes=4, regions=TWO, more=HEAL)
    assert program("create", "--yes").code == 0
    program.configure(nodes=7, regions=TWO, more=HEAL)
    assert program("create", "--yes").code == 0
    assert (desired(sandbox), len(nodes(program))) == ({"us-east-1": 4, "us-west-2": 3}, 7)
    program.configure(nodes=3, regions=TWO, more=HEAL)
    fewer = program("create", "--yes", "--allow-removal", "-o", "json")
    assert fewer.code == 0, fewer.stdout
    sandbox.clock.advance(600)
    assert (desired(sandbox), len(nodes(program))) == ({"us-east-1": 2, "us-west-2": 1}, 3)
    again = plan(program("create", "--yes", "-o", "json"))
    assert [row["steps"] for row in again["groups"]] == [[], []]
