"""`status` from the command line, in the sandbox: thirty nodes in six regions, each fate named right."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime
from io import StringIO
from itertools import pairwise
from typing import Any

import pytest

from aws_spot_sandbox.endpoint_file import AddressFile
from aws_spot_sandbox_bacalhau.node_settings import NodeSettings
from bacalhau_spot import __version__
from bacalhau_spot.cli import run
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.runner import Runner
from bacalhau_spot.core.model import Secret
from bacalhau_spot.orchestrator.http import HttpOrchestrator, Login
from support.cli_runner import CliResult, CliRunner, Terminal
from support.engine_clock import EngineClock
from support.schemas import schema

# One region costs a test less than all that there are.
HERE = ("--region", "us-west-2")
SIX = "[us-east-1, us-east-2, us-west-1, us-west-2, eu-west-1, ap-southeast-1]"


@pytest.fixture
def user(sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Somebody whose orchestrator is the sandbox's, which shares its address, and no configuration could name that."""

    def orchestrator(_context: CommandContext, _runner: Runner, **_options: str) -> HttpOrchestrator:
        key = sandbox.world.settings_of(NodeSettings).orchestrator_api_key
        login = Login(Secret(f"{key}-of-long-ago") if key else None)
        return HttpOrchestrator(f"{sandbox.url}/_sandbox/orchestrator", login=login)

    monkeypatch.setattr(CommandContext, "orchestrator", orchestrator)
    program.configure(nodes=3, regions="[us-west-2]")
    return program


@pytest.fixture
def newcomer(sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Somebody who adds --sandbox to each command line, and finds this sandbox where one's own would be: nothing is doubled."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    program.environ = {"XDG_STATE_HOME": str(program.folder)}
    AddressFile(os.getpid(), sandbox.url, __version__).write(program.folder / "bacalhau-spot")
    return program


def created(user: CliRunner, *argv: str) -> list[str]:
    result = user("create", "--yes", "-o", "json", *argv)
    assert result.code == 0, result.stdout
    return [instance_id for region in result.data["receipt"]["regions"] for instance_id in region["launched"]]


def kinds(result: CliResult) -> dict[str, str]:
    return {node["id"]: node["diagnosis"]["kind"] for node in result.data["nodes"]}


@pytest.mark.sockets
def test_thirty_nodes_in_six_regions(sandbox: Any, newcomer: CliRunner) -> None:
    """An interruption, a notice, a refused token, no docker, a ghost, a slow boot, an impaired machine, and the rest joined.

    Three calls in a region with nodes and one in each other; a console for none that has joined.
    """
    user, option = newcomer, "--sandbox"
    user.configure(nodes=30, regions=SIX)
    ghost, taken, noticed, refused, bare, stuck, broken, *rest = created(user, option, "--wait", "running")
    sandbox.world.settings_of(NodeSettings).stuck = {refused: "token", stuck: "docker"}
    sandbox.world.settings_of(NodeSettings).without_docker, sandbox.settings.impaired = [bare], [broken]
    sandbox.clock.advance(60)
    assert set(kinds(user("status", option, "-o", "json")).values()) == {
        "joined", "never-joined", "booting", "no-docker", "impaired",
    }  # fmt: skip

    sandbox.settings.forget_s = 200
    where = {thing.id: thing.region for thing in sandbox.server.things() if thing.kind == "instance"}
    sandbox.client("ec2", where[ghost]).terminate_instances(InstanceIds=[ghost])
    sandbox.clock.advance(700)
    sandbox.server.interrupt(where[taken], taken, notice_s=1)
    sandbox.clock.advance(30)
    sandbox.server.interrupt(where[noticed], noticed, notice_s=120)
    sandbox.clock.advance(10)
    start = len(sandbox.world.calls)
    result = user("status", option, "-o", "json")
    diagnoses = kinds(result)
    assert {instance_id: diagnoses.pop(instance_id) for instance_id in (ghost, taken, noticed, refused, bare, stuck, broken)} == {
        ghost: "orphan", taken: "interrupted", noticed: "interruption-notice", refused: "never-joined",
        bare: "no-docker", stuck: "failed", broken: "impaired",
    }  # fmt: skip
    assert diagnoses == dict.fromkeys(rest, "joined")
    assert (result.code, result.data["missing"], result.data["total"]["present"]) == (1, 2, 28)
    assert set(result.data["stale_nodes"]) == {ghost, taken}

    calls = Counter((region, action) for region, action, _ in sandbox.world.calls[start:])
    per_region = Counter(region for region, action in calls if action.startswith("ec2:"))
    assert sum(count for (_, action), count in calls.items() if action == "ec2:GetConsoleOutput") <= 2
    # Prices: one call of a region with nodes, and two for all, of instances and of volumes.
    several = {"ec2:GetConsoleOutput", "pricing:GetProducts"}
    assert all(count == 1 for (_, action), count in calls.items() if action not in several), calls
    assert sum(count for (_, action), count in calls.items() if action == "pricing:GetProducts") <= 2
    assert max(per_region.values()) <= 6, "the region list, and five in each region"

    screen = look(user, option, width=80, height=24)
    assert len(screen) <= 24
    for sentence in (
        "token refused",
        "without docker",
        "interruption notice",
        "interrupted by AWS",
        "stale node",
        "failed at first boot: docker",
    ):
        assert any(sentence in line for line in screen), screen
    others(user, option, ghost=ghost, taken=taken, refused=refused)


def others(user: CliRunner, option: str, *, ghost: str, taken: str, refused: str) -> None:
    """What the other commands say of the same thirty nodes."""
    pruned = user("prune", option, "--yes", "-o", "json").data["nodes"]
    assert {node["instance_id"] for node in pruned if node["status"] == "removed"} == {ghost, taken}
    assert "Authorization Violation" in user("console", option, refused, "--phases").stdout
    spent = user("cost", option, "-o", "json").data
    assert (spent["total"]["instances"], spent["total"]["running"]) == (30, 28)
    assert len(spent["regions"]) == 6 and float(spent["total"]["usd"]) > 0
    assert len(user("ssh", option, "--all", "--print", "-o", "json", "--", "uptime").data["lines"]) == 28
    planned = user("create", option, "--dry-run", "-o", "json").data["plan"]
    assert (planned["present"], planned["launch"]) == (28, 2)


def look(user: CliRunner, *argv: str, width: int, height: int) -> list[str]:
    """The screen that somebody with such a window sees."""
    stdout = Terminal()
    runtime = Runtime(
        environ={**user.environ, "COLUMNS": str(width), "LINES": str(height), "NO_COLOR": "1"},
        cwd=user.folder, home=user.folder, stdin=StringIO(), stdout=stdout, stderr=StringIO(), clock=user.clock,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        patch.setenv("LINES", str(height))
        run(["status", *argv], runtime=runtime)
    return stdout.getvalue().splitlines()


@pytest.mark.sockets
def test_a_cluster_as_asked_and_what_keeps_it_from_being_seen(sandbox: Any, user: CliRunner) -> None:
    """0 when all have joined; 1 before that, and when the configuration asks for more; 5 and 4 when it cannot be known."""
    instance_ids = created(user)
    assert user("status", *HERE).code == 1  # they boot
    sandbox.clock.advance(60)
    result = user("status", "-o", "json")
    assert (result.code, result.data["matches_spec"], kinds(result)) == (
        0,
        True,
        dict.fromkeys(instance_ids, "joined"),
    )
    assert result.data["orchestrator"]["api"] == "answered"

    assert "3 of 3 nodes joined" in user("status", *HERE).stdout
    nowhere = user("status", "--region", "nowhere-1")
    assert nowhere.code == 2 and "not among the enabled regions" in nowhere.stderr
    other = user("status", "--cluster", "another")
    assert other.code == 0 and "no nodes of another" in other.stdout

    sandbox.settings.faults = [{"match": "orchestrator:*", "code": "InternalError", "status": 500}]
    without_orchestrator = user("status", *HERE, "-o", "json")
    assert without_orchestrator.code == 5 and without_orchestrator.data["orchestrator"]["problem"]["code"]
    assert set(kinds(without_orchestrator).values()) == {"joined-by-console"}
    sandbox.settings.faults = []
    sandbox.world.settings_of(NodeSettings).orchestrator_api_key = "sesame-open-sesame-open"
    assert user("status", *HERE).code == 4
    sandbox.world.settings_of(NodeSettings).orchestrator_api_key = None

    sandbox.settings.deny = ["ec2:DescribeInstanceStatus", "ec2:DescribeSpotInstanceRequests"]
    dim = user("status", *HERE)
    assert dim.code == 5 and "status checks of us-west-2 not available" in dim.stdout
    sandbox.settings.deny = []

    user.configure(nodes=4, regions="[us-west-2]")
    short = user("status", *HERE)
    assert short.code == 1 and "1 missing" in short.stdout
    user.configure(nodes=2, regions="[us-west-2]")
    assert "1 too many" in user("status").stdout


def test_the_rest_of_a_notice_is_told(sandbox: Any, program: CliRunner) -> None:
    """C11: `sandbox interrupt --notice-s 20` said `ends in 113 s`."""
    program.configure(nodes=1, regions="[us-west-2]")
    (node,) = created(program)
    sandbox.clock.advance(200)
    sandbox.server.interrupt("us-west-2", node, notice_s=20)
    sandbox.clock.advance(5)
    assert "terminates in 15 s" in program("status", *HERE).stdout


@pytest.mark.sockets
def test_without_an_api(sandbox: Any, program: CliRunner) -> None:
    """Who has joined is what the consoles say, and that is good enough."""
    program.configure(nodes=2, regions="[us-west-2]")
    created(program)
    sandbox.clock.advance(60)
    result = program("status", "-o", "json")
    assert (result.code, set(kinds(result).values())) == (0, {"joined-by-console"})
    assert "the orchestrator's API is not configured" in program("status", *HERE).stdout


class Impatient(EngineClock):
    """A clock of somebody who presses Ctrl-C in the third wait."""

    waits = 0

    async def sleep(self, seconds: float) -> None:
        self.waits += 1
        if self.waits >= 3:
            raise KeyboardInterrupt
        await super().sleep(seconds)


def test_watching(sandbox: Any, user: CliRunner) -> None:
    """Look after look; Ctrl-C is the ordinary end, with the last look's exit code. A look that fails is told, no more."""
    created(user)
    user.clock = Impatient(sandbox.clock)
    plain = user("status", *HERE, "--watch", "--interval", "30")
    times = [line for line in plain.stdout.splitlines() if line.startswith("--- ")]
    assert (plain.code, len(times)) == (0, 3)
    moments = [datetime.strptime(line, "--- %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC) for line in times]
    assert [(after - before).seconds for before, after in pairwise(moments)] == [30, 30]

    user.clock = Impatient(sandbox.clock)
    lines = user("status", *HERE, "--watch", "-o", "ndjson").stdout.splitlines()
    assert len(lines) == 3
    for line in map(json.loads, lines):
        schema("event.schema.json").validate(line)
        assert line.pop("event") == "result"
        schema("output.schema.json").validate(line)

    user.clock = Impatient(sandbox.clock)
    screen = look(user, *HERE, "--watch", width=100, height=20)
    assert "3 of 3 nodes joined" in screen[-2] and "capacity pool" in screen[-1]

    assert user("status", *HERE, "--watch", "-o", "json").code == 2

    class Fading(Impatient):
        async def sleep(self, seconds: float) -> None:
            sandbox.settings.deny = ["ec2:DescribeInstances"]
            await super().sleep(seconds)

    user.clock = Fading(sandbox.clock)
    fading = user("status", *HERE, "--watch")
    assert fading.code == 5 and "not scanned" in fading.stdout

    class Expiring(Impatient):
        async def sleep(self, seconds: float) -> None:
            sandbox.settings.credentials_expire_after_calls = 0
            await super().sleep(seconds)

    sandbox.settings.deny = []
    user.clock = Expiring(sandbox.clock)
    expiring = user("status", *HERE, "--watch")
    assert expiring.code == 0 and "--- the check failed: DescribeInstances: " in expiring.stdout


def test_the_dead_of_clusters_that_are_over_are_not_listed(sandbox: Any, program: CliRunner) -> None:
    """A3: two clusters created and destroyed, then one node interrupted: one dead row, and who ended the others."""
    program.configure(nodes=2, regions="[us-east-1]")
    created(program)
    assert program("destroy", "--yes").code == 0
    program.configure(nodes=3, regions="[us-west-2]")
    created(program)
    sandbox.clock.advance(20)
    (somebody_s,) = created_later(sandbox, program)
    sandbox.clock.advance(60)
    taken = created_now(sandbox)[0]
    sandbox.server.interrupt("us-west-2", taken, notice_s=1)
    sandbox.clock.advance(20)

    result = program("status")
    rows = [line for line in result.stdout.splitlines() if " i-" in line and "us-" in line[:3]]
    assert [line for line in rows if "terminated by" in line] == []
    assert len([line for line in rows if taken in line and "interrupted by AWS" in line]) == 1
    assert len(rows) == 3 and "us-east-1" not in result.stdout
    assert "2 terminated by destroy on this machine, 1 terminated by a user" in result.stdout
    assert "1 missing" in result.stdout

    nodes = {node["id"]: node for node in program("status", "-o", "json").data["nodes"]}
    assert len(nodes) == 6  # programs get all
    assert sum(node["terminated_by"] == "destroy" for node in nodes.values()) == 2
    wide = program("status", "-o", "wide").stdout
    assert "terminated by destroy on this machine " in wide and somebody_s in wide


def created_now(sandbox: Any) -> list[str]:
    """The nodes that run."""
    return [
        instance["InstanceId"]
        for reservation in sandbox.client("ec2", "us-west-2").describe_instances()["Reservations"]
        for instance in reservation["Instances"]
        if instance["State"]["Name"] == "running"
    ]


def created_later(sandbox: Any, program: CliRunner) -> list[str]:
    """Somebody ends a node by hand and creates it anew; the one that ended."""
    ended = created_now(sandbox)[:1]
    sandbox.client("ec2", "us-west-2").terminate_instances(InstanceIds=ended)
    sandbox.clock.advance(20)
    created(program)
    return ended


def test_right_after_create_and_destroy_no_dead_are_listed(sandbox: Any, program: CliRunner) -> None:
    """A3, README's own way: what destroy terminated is one line."""
    program.configure(nodes=2, regions="[us-west-2]")
    created(program)
    assert program("destroy", "--yes").code == 0
    shown = program("status").stdout
    assert " i-" not in shown
    assert "2 instances that have ended are not listed (2 terminated by destroy on this machine)" in shown
