"""`create` with a managed orchestrator, by command lines: shared, interrupted, without its credentials."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from cli.test_destroy_orchestrator import BUCKET, HOME, buckets, configure, lines
from cli.test_managed_life import SandboxClock
from iam.test_enforced import policy, refusals
from support.account_snapshot import account_snapshot
from support.cli_runner import CliRunner

PARAMETER = "/bacalhau-spot/bacalhau-aws-spot-14f543f3/orchestrator"
HOST = "bacalhau-aws-spot"


@pytest.fixture(autouse=True)
def clock(program: CliRunner, sandbox: Any) -> None:
    program.clock = SandboxClock(sandbox)


@pytest.fixture
def cluster(program: CliRunner) -> CliRunner:
    """One node and its orchestrator."""
    configure(program)
    created = program("create", "--yes")
    assert created.code == 0, created.stderr[-3000:]
    return program


def orchestrators(sandbox: Any) -> list[str]:
    return [host["instance"] for host in sandbox.server.plugins.status()["orchestrators"]]


def test_a_second_cluster_joins_the_orchestrator_of_the_first(sandbox: Any, cluster: CliRunner) -> None:
    """It gets none of its own, and its removal leaves the other one's; the printed policy is enough for all of it."""
    (host,) = orchestrators(sandbox)
    configure(cluster, f"{{cluster: {HOST}}}", "cluster: {tag_value: guest}\n")
    path = cluster.folder / "config.yaml"
    path.write_text(path.read_text().replace(f"[{HOME}]", "[eu-west-1]"))
    sandbox.settings.policies = policy(cluster, "create")
    created = cluster("create", "--yes", "-o", "json")
    assert (created.code, refusals(sandbox)) == (0, []), created.stdout
    receipt = created.data["receipt"]
    assert (receipt["running"], receipt["joined"], receipt["not_joined"]) == (1, 1, [])
    assert orchestrators(sandbox) == [host]
    sandbox.settings.policies = policy(cluster, "env")
    assert "BACALHAU_API_HOST" in cluster("env").stdout
    sandbox.settings.policies = []
    assert cluster("status").code == 0
    assert f"the managed one of cluster {HOST}" in lines(cluster("doctor"))
    assert cluster("destroy", "--yes").code == 0
    assert orchestrators(sandbox) == [host]
    configure(cluster)
    assert cluster("status").code == 0


def test_an_unknown_cluster_is_refused_before_anything_is_created(sandbox: Any, program: CliRunner) -> None:
    configure(program, "{cluster: nobody}")
    refused = program("create", "--yes")
    assert refused.code == 2
    assert "cluster nobody has no managed orchestrator in this account" in lines(refused)
    assert sandbox.leftovers() == []


def test_without_its_parameter_living_nodes_are_not_locked_out(sandbox: Any, cluster: CliRunner) -> None:
    """A new token would be refused by nobody but the nodes: create refuses, and changes nothing."""
    sandbox.client("ssm", HOME).delete_parameter(Name=PARAMETER)
    before = account_snapshot(sandbox.client, [HOME])
    refused = cluster("create", "--yes")
    assert refused.code == 1
    assert f"the SSM parameter {PARAMETER} does not exist" in lines(refused)
    assert "restore the parameter from a copy; or terminate the running nodes in EC2" in lines(refused)
    assert account_snapshot(sandbox.client, [HOME]) == before
    assert cluster("destroy", "--yes").code == 0


class InterruptingClock(SandboxClock):
    """Somebody presses Ctrl-C while the program waits for the first time."""

    pressed = False

    async def sleep(self, seconds: float) -> None:
        if not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)
        await super().sleep(seconds)


def test_ctrl_c_says_what_exists_and_the_next_create_continues(sandbox: Any, program: CliRunner) -> None:
    configure(program)
    program.clock = InterruptingClock(sandbox)
    stopped = program("create", "--yes")
    assert stopped.code == 130, stopped.stderr
    said = lines(stopped)
    assert "error: interrupted before the orchestrator was complete" in said
    assert f"bucket {BUCKET}" in said and "no node was launched" in said
    assert "run `bacalhau-spot create` again: it continues" in said
    program.clock = SandboxClock(sandbox)
    assert program("create", "--yes").code == 0
    assert len(orchestrators(sandbox)) == 1 and buckets(sandbox) == [BUCKET]


def test_create_after_destroy_tells_of_no_lost_jobs(cluster: CliRunner) -> None:
    """AWS still lists the terminated machine."""
    assert cluster("destroy", "--yes").code == 0
    again = cluster("create", "--dry-run")
    shown = lines(again) + again.stderr
    assert (again.code, "orchestrator: " in shown, "all jobs are lost" in shown) == (0, True, False), shown
