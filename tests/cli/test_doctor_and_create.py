"""`create` refuses nothing that passes `doctor`, and a failed price does not stop what it does not concern."""

from __future__ import annotations

from typing import Any

import pytest

from support.cli_runner import CliRunner

AUTO = "regions: {auto: {count: 2}}"


def fault(call: str, code: str, *, status: int, region: str) -> dict[str, Any]:
    return {"match": call, "code": code, "status": status, "region": region}


def test_a_region_that_stops_create_fails_doctor(sandbox: Any, program: CliRunner) -> None:
    """It was a WARN with exit code 0: an internal error of AWS in one region, with `regions: auto`."""
    path = program.configure(nodes=2, regions="{auto: {count: 2}}")
    path.write_text(path.read_text().replace("nats://192.0.2.1:4222", "nats://127.0.0.1:9"))
    sandbox.settings.faults = [fault("DescribeInstances", "InternalError", status=500, region="us-east-1")]
    assert program("create", "--dry-run").code != 0
    checked = program("doctor", "-o", "json")
    marks = {row["check"]: row["status"] for row in checked.data["findings"]}
    assert (checked.code, marks["create"]) == (1, "FAIL")


def test_the_price_of_a_removed_node_does_not_stop_a_launch(sandbox: Any, program: CliRunner) -> None:
    """The node's region is no longer configured: with --allow-removal its price is in no budget."""
    program.configure(nodes=1, regions="[us-east-1]")
    assert program("create", "--yes").code == 0
    program.configure(nodes=1, regions="[us-west-2]", more="budget_usd_per_hour: 0.06\n")
    sandbox.settings.faults = [
        fault("DescribeSpotPriceHistory", "UnauthorizedOperation", status=403, region="us-east-1")
    ]
    kept = program("create", "--yes")
    assert kept.code == 2 and "cannot check the budget" in kept.stderr, "its price is unknown, and it stays"
    moved = program("create", "--yes", "--allow-removal")
    assert moved.code == 0, moved.stderr


def failed(program: CliRunner, orchestrator: str, regions: str) -> tuple[int, list[str], dict[str, str]]:
    """The exit code of `doctor`, the checks that fail, and the messages of those that were not made."""
    path = program.configure(nodes=1, regions=regions)
    nodes, _, _ = path.read_text().partition("bacalhau:")
    path.write_text(f"{nodes}orchestrator: {orchestrator}\n")
    result = program("doctor", "-o", "json")
    rows = result.data["findings"]
    skipped = {row["check"]: row["message"] for row in rows if row["message"].startswith("not checked")}
    return result.code, [row["check"] for row in rows if row["status"] == "FAIL"], skipped


@pytest.mark.parametrize("orchestrator", ["managed", "{cluster: blue}"])
def test_a_mistyped_region_fails_one_check(sandbox: Any, program: CliRunner, orchestrator: str) -> None:
    """AWS answers calls in it as if the credentials were wrong; nothing but the name is."""
    code, failures, skipped = failed(program, orchestrator, "[us-esat-1]")
    assert (code, failures) == (1, ["regions"])
    for check in ("permissions", "offers", "quotas", "create", "orchestrator"):
        assert skipped[check] == "not checked: needs the regions first"
    _, failures, skipped = failed(program, orchestrator, "[us-west-2, us-esat-1]")
    assert failures == ["regions"]
    assert not skipped.keys() & {"permissions", "offers", "quotas"}, "they cover the other region"


@pytest.mark.parametrize("orchestrator", ["managed", "{cluster: blue}"])
def test_refused_credentials_fail_one_check(sandbox: Any, program: CliRunner, orchestrator: str) -> None:
    sandbox.settings.credentials_expire_after_calls = 0
    code, failures, skipped = failed(program, orchestrator, "[us-west-2]")
    assert (code, failures) == (4, ["credentials"])
    assert skipped["orchestrator"] == "not checked: needs the credentials first"
