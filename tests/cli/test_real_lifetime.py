"""The end of a cluster with Bacalhau itself: its machines end by themselves, with nothing of ours running.

Runs when BACALHAU_BIN names the program. Everything is on loopback, in real time; the programs of the machines ask for the end
every five seconds, not once a minute.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from aws_spot_sandbox.server import Sandbox
from aws_spot_sandbox_bacalhau.instance_files import InstanceFiles
from bacalhau_spot.core.lifecycle.expiry import SHORTEST
from bacalhau_spot.engine.aws_calls.clock import RealClock
from bacalhau_spot.instance.scripts import expiry
from cli.test_real_sandbox import Client, access, on_aws
from support import wasm_programs
from support.cli_runner import CliRunner
from support.real_bacalhau import PROGRAM, WITHOUT, until

__all__ = ["on_aws"]

pytestmark = pytest.mark.skipif(not PROGRAM, reason=WITHOUT)
INTERVAL_S = 5.0


@pytest.fixture
def user(on_aws: CliRunner, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    translated, minute = InstanceFiles.translated, "INTERVAL_S = 60.0"
    assert minute in Path(expiry.__file__).read_text()
    monkeypatch.setattr(
        InstanceFiles,
        "translated",
        lambda files, text: translated(files, text).replace(minute, f"INTERVAL_S = {INTERVAL_S}"),
    )
    config = on_aws.folder / "config.yaml"
    config.write_text(config.read_text().replace("nodes: 3", "nodes: 2") + "ttl: 8h\n")
    return on_aws


class Account:
    """The instances, as AWS lists them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._ec2 = boto3.client("ec2", **access(sandbox.url))

    def states(self, ids: list[str]) -> set[str]:
        return set(self._states(InstanceIds=ids).values())

    def running(self) -> set[str]:
        return {one for one, state in self._states().items() if state == "running"}

    def _states(self, **request: Any) -> dict[str, str]:
        reservations = self._ec2.describe_instances(**request)["Reservations"]
        rows = [row for reservation in reservations for row in reservation["Instances"]]
        return {row["InstanceId"]: row["State"]["Name"] for row in rows}


def nodes_of(user: CliRunner) -> list[str]:
    return [row["id"] for row in user("list", "-o", "json").data["instances"]]


class Earlier(RealClock):
    """`extend` accepts an end that is at least 15 minutes away."""

    def now(self) -> datetime:
        return super().now() - SHORTEST


def end_in(user: CliRunner, seconds: float) -> datetime:
    at = datetime.now(tz=UTC) + timedelta(seconds=seconds)
    user.clock = Earlier()
    moved = user("extend", "--until", f"{at:%Y-%m-%dT%H:%M:%S}", "--yes", "-o", "json")
    user.clock = RealClock()
    assert moved.code == 0, moved.stdout
    return at


def test_an_expired_cluster_ends_itself_and_create_begins_it_again(
    user: CliRunner, sandbox_server: Sandbox
) -> None:
    created = user("create", "--yes", "-o", "json")
    assert created.code == 0, created.stdout
    account = Account(sandbox_server)
    nodes = nodes_of(user)
    (orchestrator,) = account.running() - set(nodes)
    client = Client(user)
    done = client.submit(wasm_programs.job("before", wasm_programs.echo("kept")))
    until("the job is over", lambda: [state for _, state in client.executions(done)] == [9])

    # `extend` moves the end: nothing happens at the former one.
    former = end_in(user, 15)
    end_in(user, 3600)
    until("the former end is over", lambda: datetime.now(tz=UTC) > former + timedelta(seconds=4 * INTERVAL_S))
    assert account.states([*nodes, orchestrator]) == {"running"}

    end_in(user, 10)
    until("the nodes end", lambda: account.states(nodes) == {"terminated"}, seconds=120)
    until("the orchestrator stops", lambda: account.states([orchestrator]) == {"stopped"}, seconds=120)
    assert (
        "the lifetime of the cluster is over and no node is connected" in user("console", orchestrator).stdout
    )

    again = user("create", "--yes", "-o", "json")
    assert again.code == 0, again.stdout
    new = set(nodes_of(user)) - set(nodes)
    assert account.running() == {*new, orchestrator}
    assert len(new) == 2
    assert again.data["receipt"]["joined"] == 2
    assert Client(user).executions(done)[0][1] == 9
    settled = datetime.now(tz=UTC) + timedelta(seconds=4 * INTERVAL_S)
    until("two more answers", lambda: datetime.now(tz=UTC) > settled)
    assert account.running() == {*new, orchestrator}
