"""`self_heal: true`: each region is an Auto Scaling group, and AWS keeps its number of nodes."""

from __future__ import annotations

from typing import Any

from support.cli_runner import CliResult, CliRunner

HEAL = "self_heal: true\n"
TWO = "[us-east-1, us-west-2]"


def groups(sandbox: Any, *regions: str) -> dict[str, Any]:
    found = {}
    for region in regions or ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1"):
        rows = sandbox.client("autoscaling", region).describe_auto_scaling_groups()["AutoScalingGroups"]
        found |= {region: row for row in rows}
    return found


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
