"""`nuke` with managed orchestrators: listed, deleted after the nodes, and job results only if the user allows it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from cli.test_destroy_orchestrator import BUCKET, CREATE, HOME, buckets, configure, lines, put
from cli.test_managed_life import SandboxClock
from support.account_snapshot import account_snapshot
from support.cli_runner import CliRunner

ELSEWHERE = "us-west-2"


@pytest.fixture(autouse=True)
def clock(program: CliRunner, sandbox: Any) -> None:
    program.clock = SandboxClock(sandbox)


@pytest.mark.sockets
def test_it_is_marked_in_the_list_and_its_results_stay(sandbox: Any, program: CliRunner) -> None:
    before = account_snapshot(sandbox.client, [HOME])
    configure(program)
    assert program(*CREATE).code == 0
    put(sandbox)
    shown = program("nuke", "--dry-run", "-o", "wide")
    said = f"job results stay: 1 object, 2.0 KiB in bucket {BUCKET} in {HOME}"
    assert "orchestrator: deleted after the nodes" in lines(shown)
    assert said in lines(shown)
    assert lines(shown).count("job results") == 1, "one line for one bucket"
    data = program("nuke", "--dry-run", "-o", "json").data
    assert BUCKET not in {resource["id"] for resource in data["to_delete"]}
    (results,) = data["results"]
    assert results["delete_command"] == "bacalhau-spot nuke --delete-results"
    nuked = program("nuke", "--force")
    assert nuked.code == 0
    assert said in lines(nuked)
    assert "to delete them: bacalhau-spot nuke --delete-results" in lines(nuked)
    left = account_snapshot(sandbox.client, [HOME])
    assert set(left) - set(before) == {f"{HOME} bucket {BUCKET}"}
    assert "job results are deleted" in lines(program("nuke", "--dry-run", "--delete-results"))
    assert buckets(sandbox) == [BUCKET]
    assert program("nuke", "--force", "--delete-results").code == 0
    assert account_snapshot(sandbox.client, [HOME]) == before


def test_it_saves_the_cost_of_the_cluster(sandbox: Any, program: CliRunner) -> None:
    """`nuke` and `cost` read the same price list."""
    configure(program)
    assert program(*CREATE).code == 0
    saved = program("nuke", "--dry-run", "-o", "json").data["usd_per_hour"]
    now = program("cost", "-o", "json").data["total"]["current_usd_per_hour"]
    assert round(Decimal(saved), 6) == round(Decimal(now), 6) > 0


def test_the_orchestrator_of_young_nodes_stays(sandbox: Any, program: CliRunner) -> None:
    """Also with its volume, address, parameter and bucket: the nodes need them, in whatever region they run."""
    configure(program)
    assert program(*CREATE).code == 0
    sandbox.clock.advance(7200)
    path = program.folder / "config.yaml"
    path.write_text(
        path.read_text().replace(f"[{HOME}]", f"[{HOME}, {ELSEWHERE}]").replace("nodes: 1", "nodes: 2")
    )
    assert program(*CREATE).code == 0
    home = account_snapshot(sandbox.client, [HOME])
    nuked = program("nuke", "--force", "--min-age", "1h", "-o", "json")
    assert nuked.code == 0
    deleted = [row["id"] for row in nuked.data["outcomes"] if row["status"] == "deleted"]
    after = account_snapshot(sandbox.client, [HOME])
    gone = {key for key in home if key not in after}
    assert deleted != [] and gone != set(), "the old node"
    assert not [key for key in gone if "orchestrator" in home[key]]
    assert program("list", "-o", "json").data["orchestrator"]["state"] == "running"


def test_a_bucket_that_the_tag_index_omits_is_found_by_its_orchestrator(
    sandbox: Any, program: CliRunner
) -> None:
    """Of any cluster: its name follows from the orchestrator's tag, the account and the region."""
    sandbox.settings.hidden_in_tags = ["bucket"]
    configure(program)
    assert program(*CREATE).code == 0
    configure(program, "none", "cluster: {tag_value: another}\n")
    assert BUCKET in {row["id"] for row in program("nuke", "-n", "-o", "json").data["to_delete"]}
    assert program("nuke", "--force").code == 0
    assert buckets(sandbox) == []


def test_a_plan_without_the_orchestrator_keeps_its_parts(sandbox: Any, program: CliRunner) -> None:
    """Its bucket and parameter have names that another cluster's plan, or an older one, has as well."""
    configure(program)
    assert program(*CREATE).code == 0
    plan = program.folder / "plan.json"
    assert program("nuke", "--dry-run", "--plan-out", str(plan)).code == 0
    rows = json.loads(plan.read_text())
    machine = program("list", "-o", "json").data["orchestrator"]["id"]
    rows["resources"] = [row for row in rows["resources"] if row["id"] != machine]
    plan.write_text(json.dumps(rows))
    nuked = program("nuke", "--force", "--plan", str(plan), "-o", "json")
    assert nuked.code == 0, nuked.stdout
    stays = {row["kind"] for row in nuked.data["outcomes"] if row["status"] == "skipped"}
    assert {"instance", "bucket", "parameter", "elastic-ip", "volume", "role", "instance-profile"} <= stays
    assert program(*CREATE).code == 0, "the orchestrator works on"


def test_an_old_plan_deletes_nothing_of_a_new_cluster(sandbox: Any, program: CliRunner) -> None:
    configure(program)
    assert program(*CREATE).code == 0
    plan = program.folder / "plan.json"
    assert program("nuke", "--dry-run", "--plan-out", str(plan)).code == 0
    assert program("nuke", "--force", "--plan", str(plan)).code == 0
    assert program(*CREATE).code == 0
    before = account_snapshot(sandbox.client, [HOME])
    assert program("nuke", "--force", "--plan", str(plan)).code == 0
    assert account_snapshot(sandbox.client, [HOME]) == before
