"""`remove`, `replace` and `scale` as a user runs them, in the sandbox."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from aws_spot_sandbox_bacalhau.node_settings import NodeSettings
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.core.model import Secret
from bacalhau_spot.core.node_changes.replacement_budget import batch_budget
from bacalhau_spot.core.tags import DRAIN_KEY, REPLACES_KEY
from bacalhau_spot.orchestrator.http import HttpOrchestrator, Login
from cli.test_managed_life import SandboxClock
from sandbox_nodes.machines import ask
from sandbox_nodes.orchestrators import echo
from support.cli_runner import CliRunner
from support.webhook import webhook

NAMES = count()
KEY = "the-key-of-an-operator"
TWO = "[us-east-1, us-west-2]"


@pytest.fixture
def four(program: CliRunner, sandbox: Any) -> CliRunner:
    """Four nodes in two regions."""
    program.configure(nodes=4, regions=TWO)
    created = program("create", "--yes")
    assert created.code == 0, created.stdout + created.stderr
    sandbox.clock.advance(60)
    sandbox.server.settle()
    return program


def nodes(program: CliRunner) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = program("list", "-o", "json").data["instances"]
    return [row for row in rows if row["state"] in {"pending", "running"}]


def ids(program: CliRunner) -> set[str]:
    return {row["id"] for row in nodes(program)}


def test_removed_nodes_drain_and_the_others_stay(four: CliRunner) -> None:
    first, second, *others = sorted(ids(four))
    shown = four("remove", first, second, "--dry-run", "-o", "json")
    assert shown.data["plan"]["after"] == 2 and shown.data["result"] is None
    assert len(ids(four)) == 4
    result = four("remove", first, second, "--yes", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    drained = result.data["result"]["batches"][0]["drained"]
    assert {row["id"]: row["end"] for row in drained} == {first: "shut down", second: "shut down"}
    assert ids(four) == set(others)
    known = {row["id"]: row["terminated_by"] for row in four("status", "-o", "json").data["nodes"]}
    assert (known[first], known[second], known[others[0]]) == ("remove", "remove", None)
    # The same command, as after an interruption.
    again = four("remove", first, second, "--yes", "-o", "json")
    assert (again.code, again.data["plan"]["leaving"]) == (0, [])


def test_without_a_terminal_or_yes_nothing_is_changed(four: CliRunner, sandbox: Any) -> None:
    name = min(ids(four))
    for command in (("remove", name), ("replace", name), ("scale", "2")):
        start = len(sandbox.world.calls)
        assert four(*command).code == 3
        assert not [
            call for _, call, _ in sandbox.world.calls[start:] if "Describe" not in call and "Get" not in call
        ]


REFUSED: dict[str, tuple[str, ...]] = {
    "no node matches i-0123": ("remove", "i-0123"),
    "remove needs the nodes": ("remove",),
    "replace needs nodes, --drifted or --region": ("replace",),
    "one of these only": ("replace", "--drifted", "--region", "us-east-1"),
    "--at-once": ("replace", "--drifted", "--at-once", "0"),
    "-1": ("scale", "-1"),
    "i- matches 4 nodes": ("remove", "i-"),
    "i matches 4 nodes": ("replace", "i"),
    "a node's name, a zone or a region": ("remove", "nowhere"),
    "up to 12 nor a percentage": ("replace", "us-east-1", "--at-once", "13"),
    "'3.5' is not a whole number": ("scale", "3.5"),
    "orchestrator is the orchestrator's instance, and no node": ("remove", "orchestrator"),
    "10001 is not a number of nodes": ("scale", "10001"),
    "eu-west-1 is not a region of the configuration": ("scale", "3", "--region", "eu-west-1"),
    "--grace": ("remove", "us-east-1", "--grace", "soon"),
}


def test_what_is_refused(four: CliRunner) -> None:
    for words, command in REFUSED.items():
        result = four(*command, "--yes")
        assert result.code == 2, result.stdout + result.stderr
        assert words in result.stderr
    assert len(ids(four)) == 4


def test_scale_up_down_and_back_by_create(four: CliRunner) -> None:
    up = four("scale", "6", "--yes", "-o", "json")
    assert up.code == 0, up.stdout + up.stderr
    assert any("the next create returns to it" in text for text in up.envelope["warnings"])
    assert Counter(row["region"] for row in nodes(four)) == {"us-east-1": 3, "us-west-2": 3}
    down = four("scale", "3", "--yes", "-o", "json")
    assert down.code == 0, down.stdout + down.stderr
    assert len(ids(four)) == 3
    assert down.data["plan"]["usd_per_hour_before"] > down.data["plan"]["usd_per_hour_after"]["high"]
    assert four("create", "--yes").code == 0
    assert len(ids(four)) == 4


def test_scale_of_one_region_keeps_the_others_and_writes_the_number(four: CliRunner) -> None:
    before = {row["id"] for row in nodes(four) if row["region"] == "us-west-2"}
    result = four("scale", "1", "--region", "us-east-1", "--write", "--yes", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    now = nodes(four)
    assert {row["id"] for row in now if row["region"] == "us-west-2"} == before
    assert len(now) == 3
    assert (
        "nothing to do" in four("create").stdout
        or four("create", "--dry-run", "-o", "json").data["plan"]["launch"] == 0
    )


def test_drifted_nodes_are_scaled_down_first(four: CliRunner, sandbox: Any) -> None:
    old = ids(four)
    four.configure(nodes=6, regions=TWO, more="  version: v1.9.2\n")
    assert four("create", "--yes").code == 0
    assert four("scale", "2", "--yes").code == 0
    assert not ids(four) & old


def test_a_killed_replacement_continues(
    four: CliRunner, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the launch and before the drain: the second run finds the new node by its tag, and launches no other."""
    from bacalhau_spot.engine.node_changes import node_change_runner  # noqa: PLC0415 - the module to patch

    async def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    name = min(ids(four))
    with monkeypatch.context() as patch:
        patch.setattr(node_change_runner, "drain", killed)
        assert four("replace", name, "--yes").code != 0
    assert len(ids(four)) == 5
    result = four("replace", name, "--yes")
    assert result.code == 0, result.stdout + result.stderr
    assert "1 node ended, 1 node launched by an earlier run" in result.stdout
    assert len(ids(four)) == 4 and name not in ids(four)


def test_a_small_budget_makes_the_old_nodes_leave_first(
    four: CliRunner, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two, the same command launches the missing node; once more, it has nothing to do."""
    from bacalhau_spot.engine.node_changes import node_change_runner  # noqa: PLC0415 - the module to patch

    async def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    four.configure(nodes=4, regions=TWO, more="budget_usd_per_hour: 0.09\n")
    name = min(ids(four))
    shown = four("replace", name, "--dry-run", "-o", "json")
    assert shown.code == 0, shown.stdout
    plan = shown.data["plan"]
    assert plan["old_first"] == "the budget does not allow both at once"
    with monkeypatch.context() as patch:
        patch.setattr(node_change_runner, "apply_plan", killed)
        assert four("replace", name, "--yes").code != 0
    assert len(ids(four)) == 3 and name not in ids(four)
    result = four("replace", name, "--yes", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    assert (result.data["plan"]["present"], result.data["plan"]["after"]) == (3, 4)
    assert result.data["result"]["batches"][0]["drained"][0]["end"] == "already ended"
    assert len(ids(four)) == 4
    assert four("replace", name, "--yes", "-o", "json").data["plan"]["leaving"] == []


def test_the_budget_is_checked_for_one_batch_before_any_node_drains(four: CliRunner, sandbox: Any) -> None:
    """The cost of the present nodes and of a new one are those of the plan that the command itself shows."""
    four.configure(nodes=4, regions=TWO, more="budget_usd_per_hour: 9\n")
    everything = ("replace", "us-east-1", "us-west-2")
    budget = four(*everything, "--dry-run", "-o", "json").data["plan"]["launch"]["budget"]
    existing, new = float(budget["existing_usd_per_hour"]), float(budget["launch_usd_per_hour"])
    assert new < existing / 2  # one batch, and not all four
    start = len(sandbox.world.calls)
    for usd, at_once, order in (
        (existing + new, "1", ""),
        (existing + new, "2", "the budget does not allow both at once"),
        (existing, "4", None),
        (existing / 2, "1", None),
    ):
        four.configure(nodes=4, regions=TWO, more=f"budget_usd_per_hour: {usd + 0.00002:.5f}\n")
        shown = four(*everything, "--at-once", at_once, "--dry-run", "-o", "json")
        if order is not None:
            assert (shown.code, shown.data["plan"]["old_first"]) == (0, order), shown.stdout
            continue
        for words in ((), ("--old-first",), ("--dry-run", "--old-first")):
            result = four(*everything, "--at-once", at_once, "--yes", *words)
            assert result.code == 2, result.stdout + result.stderr
            assert "nothing was changed" in result.stderr and "--budget" not in result.stderr
            assert ("--at-once 1" in result.stderr) == (at_once != "1")
    assert not {"CreateTags", "TerminateInstances", "CreateFleet"} & {
        call for _, call, _ in sandbox.world.calls[start:]
    }
    refused = four("scale", "9", "--yes")
    assert refused.code == 2 and "name a smaller number" in refused.stderr
    assert "--budget" not in refused.stderr


def test_no_node_drains_if_prices_have_risen_since_the_plan(
    four: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is checked again, although `--old-first` would end its node first."""

    def dearer(facts: Any, plan: Any, old: Any, *, at_once: int) -> Any:
        low = replace(plan, budget=replace(plan.budget, usd_per_hour=plan.budget.existing_usd / 2))
        return batch_budget(facts, low, old, at_once=at_once)

    monkeypatch.setattr("bacalhau_spot.engine.node_changes.node_change_runner.batch_budget", dearer)
    four.configure(nodes=4, regions=TWO, more="budget_usd_per_hour: 9\n")
    before = ids(four)
    result = four("replace", min(before), "--old-first", "--yes", "-o", "json")
    assert result.code == 1, result.stdout + result.stderr
    (batch,) = result.data["result"]["batches"]
    assert (batch["stopped"], batch["drained"], batch["launch"]) == ("over the budget", [], None)
    assert ids(four) == before


def test_a_launch_that_fails_after_the_drain_names_the_command_that_completes_it(
    four: CliRunner, sandbox: Any
) -> None:
    name = min(ids(four))
    sandbox.settings.capacity = {"us-east-1": 0, "us-west-2": 0}
    result = four("replace", name, "--old-first", "--yes")
    assert result.code == 1, result.stdout + result.stderr
    shown = " ".join(result.stdout.split())
    assert "1 node not replaced yet: `bacalhau-spot create` launches the rest" in shown
    assert f"next: bacalhau-spot replace {name} --old-first" in shown
    assert "with `" not in shown


def test_a_draining_node_is_not_counted(four: CliRunner, sandbox: Any) -> None:
    name = min(ids(four))
    region = next(row["region"] for row in nodes(four) if row["id"] == name)
    sandbox.world.settings_of(NodeSettings).executions = {name: 1}
    sandbox.client("ec2", region).create_tags(
        Resources=[name], Tags=[{"Key": DRAIN_KEY, "Value": "2099-01-01T00:00:00Z"}]
    )
    assert four("create", "--dry-run", "-o", "json").data["plan"]["launch"] == 1
    assert REPLACES_KEY not in str(four("list", "-o", "json").stdout)


@pytest.mark.parametrize("region", [("us-east-1",), ("--region", "us-east-1")])
def test_a_killed_replacement_of_a_region_leaves_its_own_new_nodes_out(
    four: CliRunner, monkeypatch: pytest.MonkeyPatch, region: tuple[str, ...]
) -> None:
    from bacalhau_spot.engine.node_changes import node_change_runner  # noqa: PLC0415 - the module to patch

    async def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    old = ids(four)
    with monkeypatch.context() as patch:
        patch.setattr(node_change_runner, "drain", killed)
        assert four("replace", *region, "--yes").code != 0
    (new,) = ids(four) - old
    shown = four("replace", *region, "--dry-run")
    assert f"launched by an interrupted replacement, and to stay: {new}" in " ".join(shown.stdout.split())
    result = four("replace", *region, "--at-once", "5%", "--yes", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    plan = result.data["plan"]
    assert (plan["present"], plan["after"], plan["at_once"], len(plan["leaving"])) == (5, 4, 1, 2)
    assert new in ids(four) and len(ids(four)) == 4
    assert len(ids(four) & old) == 2


def test_a_refused_launch_names_the_reason_of_aws(four: CliRunner, sandbox: Any) -> None:
    sandbox.settings.capacity = {"us-east-1": 0, "us-west-2": 0}
    config = str(four.folder / "config.yaml")
    for command in (("scale", "5"), ("replace", "us-east-1", "--at-once", "2")):
        result = four("--no-color", *command, "--yes", "--config", config)
        assert result.code == 1
        assert "stopped: not launched: InsufficientInstanceCapacity" in " ".join(result.stdout.split())
        name, *others = command
        line = f"bacalhau-spot {name} --config {config} {' '.join(others)}"
        assert f"next: {line} --yes" in result.stdout
        assert (f"`{line} --yes --old-first`" in result.stdout) == (name == "replace")
        shown = four(*command, "-n").stdout
        assert f"to carry it out: bacalhau-spot {' '.join(command)}\n" in shown


def test_without_any_node_no_job_restarts(four: CliRunner) -> None:
    shown = four("scale", "0", "--dry-run")
    assert "no node is left to restart the others" in shown.stdout and "restart on other" not in shown.stdout


@pytest.fixture
def joined(four: CliRunner, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """With the API of the sandbox's orchestrator, which shares the sandbox's address: no configuration could name that."""

    def client(*_: Any) -> HttpOrchestrator:
        return HttpOrchestrator(f"{sandbox.url}/_sandbox/orchestrator", login=Login(key=Secret(KEY)))

    monkeypatch.setattr(CommandContext, "api_client", client)
    monkeypatch.setattr(CommandContext, "operator_api", lambda context: context.spec().bacalhau)
    return four


def test_a_rolling_version_change_loses_no_job(joined: CliRunner, sandbox: Any) -> None:
    """Jobs shorter than the grace end on their nodes; a longer one moves, and each new node has run its test."""
    submitted = [submit(sandbox, seconds) for seconds in (100, 100, 100, 3000)]
    old = ids(joined)
    joined.configure(nodes=4, regions=TWO, more="  version: v1.9.2\n")
    result = joined("replace", "--drifted", "--at-once", "2", "--yes", "-o", "json")
    assert result.code == 0, result.stdout + result.stderr
    assert [len(batch["new"]) for batch in result.data["result"]["batches"]] == [2, 2]
    sandbox.clock.advance(3100)
    assert [state_of(sandbox, job) for job in submitted] == ["Completed"] * 4
    assert [executions_of(sandbox, job) for job in submitted][:3] == [1, 1, 1]
    assert len(ids(joined)) == 4 and not ids(joined) & old
    assert joined("replace", "--drifted", "-o", "json").data["plan"]["leaving"] == []


def test_a_new_node_that_never_joins_stops_the_replacement(joined: CliRunner, sandbox: Any) -> None:
    first, second, *_ = old = sorted(ids(joined))
    sandbox.world.settings_of(NodeSettings).stuck = {"*": "docker", **dict.fromkeys(old, "")}
    result = joined("replace", first, second, "--yes", "-o", "json")
    assert result.code == 1, result.stdout + result.stderr
    assert result.data["result"]["stopped"] == "not joined"
    assert result.data["result"]["left"] == [second]
    assert len(result.data["result"]["batches"][0]["faulty"]) == 1
    assert ids(joined) > {first, second} and len(ids(joined)) == 5
    sandbox.world.settings_of(NodeSettings).stuck = {}
    assert joined("replace", first, second, "--yes").code == 0
    assert len(ids(joined)) == 4 and not ids(joined) & {first, second}


def test_a_new_node_that_fails_its_smoke_test_stops_the_replacement(joined: CliRunner, sandbox: Any) -> None:
    old = ids(joined)
    sandbox.world.settings_of(NodeSettings).without_docker = ["*"]
    result = joined("replace", *sorted(old)[:2], "--yes", "-o", "json")
    assert result.code == 1, result.stdout + result.stderr
    assert result.data["result"]["stopped"] == "smoke test failed"
    (new,) = ids(joined) - old
    assert result.data["result"]["batches"][0]["faulty"] == [new]
    assert ids(joined) > old


def test_a_key_that_may_not_submit_jobs_is_no_failed_smoke_test(joined: CliRunner, sandbox: Any) -> None:
    """Without the test, the node is replaced, and a notice tells it."""
    name = min(ids(joined))
    settings = sandbox.world.settings_of(NodeSettings)
    settings.orchestrator_api_key, settings.orchestrator_read_only = KEY, True
    result = joined("replace", name, "--yes")
    assert result.code == 4, result.stdout + result.stderr
    shown = " ".join(result.stdout.split())
    assert "stopped: smoke test refused by the orchestrator" in shown
    assert f"with `bacalhau-spot replace {name} --yes --no-smoke-test`, new nodes run no job" in shown
    assert len(ids(joined)) == 5
    with webhook() as server:
        joined.environ["HOOK"] = server.url
        joined.configure(nodes=4, regions=TWO, more="notify: [{url_env: HOOK}]\n")
        result = joined("replace", name, "--no-smoke-test", "--yes", "-o", "json")
        assert result.code == 0, result.stdout + result.stderr
        (body,) = server.bodies
    (new,) = result.data["result"]["batches"][0]["new"]
    assert body["event"] == "replacement"
    assert (body["data"]["old_id"], body["data"]["new_id"]) == (name, new)


def test_a_node_of_a_managed_orchestrator_is_replaced(program: CliRunner, sandbox: Any) -> None:
    """The new node joins this orchestrator and runs its test there; the orchestrator's machine is no node."""
    program.clock = SandboxClock(sandbox)
    (program.folder / "config.yaml").write_text(
        "nodes: 1\nregions: [us-east-1]\ninstance_types: [t3.medium]\norchestrator: managed\n"
        "ssh_cidrs: [52.94.76.1/32]\n"
    )
    assert program("create", "--yes").code == 0
    machine = program("list", "-o", "json").data["orchestrator"]["id"]
    refused = program("remove", machine, "--yes")
    assert refused.code == 2 and "is the orchestrator's instance" in refused.stderr
    (old,) = ids(program)
    result = program("replace", "--region", "us-east-1", "--yes")
    assert result.code == 0, result.stdout + result.stderr
    assert "1 of 1 node joined" in result.stderr and " ran in " in result.stderr
    (new,) = ids(program)
    assert new != old
    assert program("list", "-o", "json").data["orchestrator"]["id"] == machine


def test_chosen_regions_stay_when_the_number_changes(program: CliRunner) -> None:
    program.configure(nodes=2, regions="{auto: {count: 1}}")
    assert program("create", "--yes").code == 0
    (region,) = {row["region"] for row in nodes(program)}
    for number in (3, 1):
        result = program("scale", str(number), "--yes")
        assert result.code == 0, result.stdout + result.stderr
        assert [row["region"] for row in nodes(program)] == [region] * number


def submit(sandbox: Any, seconds: int) -> str:
    return str(
        ask(
            sandbox,
            "/orchestrator/jobs",
            method="PUT",
            body={"Job": echo("sleep", str(seconds), name=f"job-{seconds}-{next(NAMES)}")},
        )[1]["JobID"]
    )


def state_of(sandbox: Any, job: str) -> str:
    return str(ask(sandbox, f"/orchestrator/jobs/{job}")[1]["Job"]["State"]["StateType"])


def executions_of(sandbox: Any, job: str) -> int:
    return len(ask(sandbox, f"/orchestrator/jobs/{job}/executions")[1]["Items"])
