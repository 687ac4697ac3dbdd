"""A cluster with its own orchestrator, from an empty account to an empty account, by command lines alone."""

from __future__ import annotations

from typing import Any

import pytest

from aws_spot_sandbox_bacalhau.node_settings import NodeSettings
from bacalhau_spot.core.tags import EXPIRES_KEY
from support.cli_runner import CliResult, CliRunner
from support.engine_clock import EngineClock

CONFIG = """\
nodes: 4
regions: [us-east-1, eu-west-1]
instance_types: [t3.medium, t3a.medium]
orchestrator: managed
ssh_cidrs: [52.94.76.1/32]  # the address of the sandbox's operator
"""


class SandboxClock(EngineClock):
    """In a process of its own the sandbox follows its machines by itself, four times a second."""

    def __init__(self, sandbox: Any) -> None:
        super().__init__(sandbox.clock)
        self._sandbox = sandbox

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self._sandbox.server.settle()


@pytest.fixture(autouse=True)
def clock(program: CliRunner, sandbox: Any) -> None:
    program.clock = SandboxClock(sandbox)


def create(program: CliRunner, *options: str, config: str = CONFIG) -> CliResult:
    (program.folder / "config.yaml").write_text(config)
    return program("create", "--yes", "-o", "json", *options)


def made(program: CliRunner, *options: str, config: str = CONFIG) -> dict[str, Any]:
    created = create(program, *options, config=config)
    assert created.code == 0, created.stdout + created.stderr
    return created.data


def test_its_machine_boots_and_the_nodes_join_it(program: CliRunner, sandbox: Any) -> None:
    """On AWS the machine reads its user data, too: botocore encodes it once, in this call."""
    data = made(program)
    totals = data["receipt"]
    assert (totals["running"], totals["joined"], totals["not_joined"]) == (4, 4, [])
    (host,) = sandbox.server.plugins.status()["orchestrators"]
    assert (host["state"], host["waits_for"], host["notice"]) == ("answers", None, None)
    listed = program("list", "-o", "json").data
    assert len(listed["instances"]) == 4
    assert listed["orchestrator"]["public_ip"] == host["address"]
    status = program("status", "-o", "json").data
    assert status["matches_spec"]
    assert [node["diagnosis"]["kind"] for node in status["nodes"]] == ["joined"] * 4


def test_destroy_leaves_nothing_but_its_results(program: CliRunner, sandbox: Any) -> None:
    """The orchestrator's address and ports are nobody's afterwards."""
    made(program)
    destroyed = program("destroy", "--yes", "-o", "json")
    assert destroyed.code == 0, destroyed.stdout + destroyed.stderr
    left = program("list", "-o", "json").data
    assert (left["instances"], left["orchestrator"]) == ([], None)
    assert {row["kind"] for row in left["others"]} <= {"bucket"}
    assert sandbox.server.plugins.status()["orchestrators"] == []


def stop_at(sandbox: Any, phase: str) -> None:
    sandbox.world.settings_of(NodeSettings).stuck_orchestrators = {"*": phase} if phase else {}


def launched(sandbox: Any) -> int:
    """Nodes, in the regions of the configuration."""
    return sum(
        instance.get("InstanceLifecycle") == "spot"
        for region in ("us-east-1", "eu-west-1")
        for reservation in sandbox.client("ec2", region).describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    )


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("phase", "what", "reason"),
    [
        ("download", "the first boot of", "download: https://"),
        ("credentials", "the first boot of", "credentials: the parameter "),
        ("volume", "after 600 seconds", "last line on its console: volume: waiting for /dev/sdf"),
        ("boot", "after 600 seconds", "connection refused"),
    ],
)
def test_a_boot_that_fails_is_told_with_its_phase(
    program: CliRunner, sandbox: Any, phase: str, what: str, reason: str
) -> None:
    """In its own time, at most `timeouts.join_s`; and create continues with the same machine afterwards."""
    stop_at(sandbox, phase)
    began = sandbox.clock.now()
    failed = create(program)
    assert sandbox.clock.now() - began < 700
    assert failed.code == 1
    (error,) = failed.envelope["errors"]
    assert what in error["what"] and "no node was launched" in error["what"]
    assert reason in " ".join((error["why"], *error["details"]))
    assert "`bacalhau-spot console i-" in error["hint"]
    assert launched(sandbox) == 0
    stop_at(sandbox, "")
    assert made(program)["receipt"]["joined"] == 4
    assert len(sandbox.server.plugins.status()["orchestrators"]) == 1


def test_an_api_that_only_others_may_connect_to_is_told_in_a_minute(program: CliRunner, sandbox: Any) -> None:
    """The address that AWS sees is not in `ssh_cidrs`. `--wait running` launches without the API."""
    elsewhere = CONFIG.replace("52.94.76.1/32", "192.0.2.0/24")
    began = sandbox.clock.now()
    failed = create(program, config=elsewhere)
    assert sandbox.clock.now() - began < 120
    (error,) = failed.envelope["errors"]
    assert failed.code == 1 and "`ssh_cidrs` must contain" in error["hint"]
    assert launched(sandbox) == 0
    receipt = made(program, "--wait", "running", config=elsewhere)["receipt"]
    assert (receipt["running"], receipt["joined"]) == (4, None)


def machines(sandbox: Any) -> dict[str, tuple[str, str]]:
    """State and end of each instance in both regions, by its id."""
    rows = [
        row
        for region in ("us-east-1", "eu-west-1")
        for reservation in sandbox.client("ec2", region).describe_instances()["Reservations"]
        for row in reservation["Instances"]
    ]
    return {
        row["InstanceId"]: (
            row["State"]["Name"],
            {tag["Key"]: tag["Value"] for tag in row["Tags"]}.get(EXPIRES_KEY, ""),
        )
        for row in rows
        if row["State"]["Name"] != "terminated"
    }


def advance(sandbox: Any, seconds: float) -> None:
    """In steps of half a minute, because the machines ask once a minute."""
    for _ in range(round(seconds / 30)):
        sandbox.clock.advance(30)
        sandbox.server.settle()


@pytest.mark.parametrize(
    ("after_s", "orchestrator", "options"),
    [(4 * 60, "running", ("--ttl", "8h")), (12 * 60, "stopped", ())],
    ids=["its nodes", "all of it"],
)
def test_create_begins_an_ended_cluster_again(
    program: CliRunner, sandbox: Any, after_s: float, orchestrator: str, options: tuple[str, ...]
) -> None:
    """After the end of its nodes: while its orchestrator's machine runs, with a new end only, and once that has stopped."""
    config = f"{CONFIG}ttl: 8h\n"
    made(program, config=config)
    before = machines(sandbox)
    sandbox.clock.advance(8 * 3600 - 90)
    advance(sandbox, 30)
    assert {state for state, _ in machines(sandbox).values()} == {"running"}
    advance(sandbox, 60 + after_s)
    ((host, (state, ended)),) = machines(sandbox).items()
    assert state == orchestrator

    if options:
        refused = create(program, config=config)
        assert (refused.code, "create --ttl 8h" in refused.stdout) == (2, True)
    totals = made(program, *options, config=config)["receipt"]
    assert (totals["running"], totals["joined"]) == (4, 4)
    after = machines(sandbox)
    assert {state for state, _ in after.values()} == {"running"}
    assert after.keys() & before.keys() == {host}
    (end,) = {end for _, end in after.values()}
    assert end > ended
    sandbox.clock.advance(3600)
    advance(sandbox, 30)
    assert machines(sandbox) == after
    assert program("status").code == 0
