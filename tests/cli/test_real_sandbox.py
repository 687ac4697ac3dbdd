"""The sandbox with Bacalhau itself: a managed orchestrator and its nodes, from create to destroy.

Runs when BACALHAU_BIN names the program. Everything is on loopback.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from aws_spot_sandbox.server import Sandbox
from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Settings, World
from aws_spot_sandbox_bacalhau import orchestrator_boot
from aws_spot_sandbox_bacalhau.instance_files import InstanceFiles
from aws_spot_sandbox_bacalhau.plugin import BacalhauPlugin
from bacalhau_spot.core.model import Naming
from bacalhau_spot.core.tags import DRAIN_KEY, TIME_FORMAT, orchestrator_parameter
from bacalhau_spot.instance.scripts import watchdog
from support import shared_clients, wasm_programs
from support.cli_runner import CliRunner
from support.real_bacalhau import PROGRAM, WITHOUT, until

pytestmark = pytest.mark.skipif(not PROGRAM, reason=WITHOUT)

CONFIG = """\
nodes: 3
regions: [us-east-1]
instance_types: [t3.medium]
orchestrator: managed
ssh_cidrs: [52.94.76.1/32]
interruption: {grace_s: 0}
"""
TEXT = "from a real node"
# The last line of a Bacalhau that does not connect again
GIVEN_UP = "failed to cleanup existing components"
# models.ExecutionStateType in Bacalhau's API
RUNNING, COMPLETED = 5, 9


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    """With a sandbox that runs Bacalhau, and is stopped at the end."""
    monkeypatch.setenv("BACALHAU_BIN", PROGRAM)
    (tmp_path / "config.yaml").write_text(CONFIG)
    program = CliRunner(folder=tmp_path, environ={"XDG_STATE_HOME": str(tmp_path / "state")})
    yield program
    program("sandbox", "stop")


class Client:
    """Bacalhau's client with the lines of `env`."""

    def __init__(self, program: CliRunner, *options: str) -> None:
        shown = program("env", *options, "-o", "json").data
        self._environment = {
            **os.environ,
            "HOME": str(program.folder),
            "BACALHAU_UPDATECONFIG_INTERVAL": "0s",
        }
        self._environment |= shown["variables"]
        self._folder = program.folder

    def __call__(self, *argv: str) -> str:
        done = subprocess.run(
            [PROGRAM, *argv],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def submit(self, job: dict[str, Any]) -> str:
        path = self._folder / f"{job['Name']}.json"
        path.write_text(json.dumps(job))
        return self("job", "run", "--id-only", "--wait=false", str(path)).strip().splitlines()[-1]

    def executions(self, job_id: str) -> list[tuple[str, int]]:
        """Node and state of each."""
        rows = json.loads(self("job", "executions", job_id, "--output", "json").splitlines()[-1])
        return [(row["NodeID"], row["ComputeState"]["StateType"]) for row in rows]


def console_of(program: CliRunner, node: str) -> list[str]:
    text = program("console", node, "--sandbox").stdout
    phases = [line.split()[2].rstrip(":") for line in text.splitlines() if line.startswith("bacalhau-spot: ")]
    return [phase for phase in phases if phase != "warning"]  # there may be no Docker here


def test_its_life_with_bacalhau_itself(newcomer: CliRunner) -> None:
    """Three real nodes join, a job's result comes through S3Managed, an interruption moves a job, destroy ends it."""
    created = newcomer("create", "--sandbox", "--yes", "-o", "json")
    assert created.code == 0, created.stdout
    assert created.data["receipt"]["joined"] == 3
    smoke = newcomer("smoke-test", "--sandbox", "--engine", "wasm", "-o", "json")
    assert [node["outcome"] for node in smoke.data["nodes"]] == ["ran"] * 3

    client = Client(newcomer, "--sandbox")
    done = client.submit(wasm_programs.job("says", wasm_programs.echo(TEXT)))
    until("the job is over", lambda: [state for _, state in client.executions(done)] == [COMPLETED])
    (newcomer.folder / "result").mkdir()
    client("job", "get", done, "--output-dir", "result")
    assert (newcomer.folder / "result" / "stdout").read_text().strip() == TEXT
    assert len(children(newcomer("sandbox", "status", "-o", "json").data["pid"])) >= 10
    endpoint = json.loads(next(newcomer.folder.rglob("sandbox.json")).read_text())["url"]
    assert any(f"jobs/{done}/" in key for key in objects(endpoint))

    moved = client.submit(wasm_programs.job("long", wasm_programs.echo("late", sleep_s=600)))

    def runs_on() -> set[str]:
        return {node for node, state in client.executions(moved) if state == RUNNING}

    (first,) = until("it runs", runs_on)
    instance = first.removeprefix("bacalhau-")
    assert newcomer("sandbox", "interrupt", instance, "--notice-s", "120").code == 0
    until("it runs elsewhere", lambda: runs_on() - {first}, seconds=60)
    assert console_of(newcomer, instance)[-3:] == ["interrupted", "stopping", "stopped"]

    destroyed = newcomer("destroy", "--sandbox", "--yes", "--delete-results", "-o", "json")
    assert destroyed.code == 0, destroyed.stdout
    programs = children(newcomer("sandbox", "status", "-o", "json").data["pid"])
    assert newcomer("sandbox", "stop").code == 0
    until("no program is left", lambda: not any(Path(f"/proc/{pid}").exists() for pid in programs))


def objects(endpoint: str) -> list[str]:
    """All keys in all buckets."""
    s3 = boto3.client("s3", **access(endpoint))
    names = [row["Name"] for row in s3.list_buckets()["Buckets"]]
    return [row["Key"] for name in names for row in s3.list_objects_v2(Bucket=name).get("Contents", ())]


def access(endpoint: str) -> dict[str, str]:
    return {
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": ACCESS_KEY_ID,
        "aws_secret_access_key": SECRET_ACCESS_KEY,
    }


def children(pid: int) -> set[int]:
    """Programs of a process, by their ids."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.add(int(path.parent.name))
    return found


@pytest.fixture
def on_aws(
    sandbox_server: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_regions: None
) -> Iterator[CliRunner]:
    """The sandbox in this process, with the real time: for the program, AWS."""
    monkeypatch.setenv("BACALHAU_BIN", PROGRAM)
    sandbox_server.reset(World(settings=Settings(boot_s=4.0)))
    for name, value in {
        "AWS_ENDPOINT_URL": sandbox_server.url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": shared_clients.NO_FILE,
        "AWS_SHARED_CREDENTIALS_FILE": shared_clients.NO_FILE,
    }.items():
        monkeypatch.setenv(name, value)
    shared_clients.keep(monkeypatch)
    (tmp_path / "config.yaml").write_text(CONFIG)
    yield CliRunner(folder=tmp_path)
    sandbox_server.reset(World())


def changed_token(endpoint: str, token: str) -> str:
    """In the parameter of the orchestrator's machine. Returns the former one."""
    ssm = boto3.client("ssm", **access(endpoint))
    name = orchestrator_parameter(Naming())
    value = json.loads(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
    text = json.dumps({**value, "token": token})
    ssm.put_parameter(Name=name, Value=text, Type="SecureString", Overwrite=True)
    return str(value["token"])


def test_nodes_whose_token_was_refused_heal_by_themselves(
    on_aws: CliRunner, sandbox_server: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The orchestrator had another token for a while; Bacalhau alone would never return. The watchdog's patience and the timer
    of the credentials are shorter here: five minutes each.
    """
    translated = InstanceFiles.translated
    assert "LOST_S = 300.0" in Path(watchdog.__file__).read_text()
    monkeypatch.setattr(
        InstanceFiles,
        "translated",
        lambda files, text: translated(files, text).replace("LOST_S = 300.0", "LOST_S = 15.0"),
    )
    monkeypatch.setattr(orchestrator_boot, "REFRESHES_S", 5.0)
    assert on_aws("create", "--yes", "-o", "json").code == 0

    def joined() -> int:
        nodes = on_aws("status", "-o", "json").data["nodes"]
        return sum((node["orchestrator_node"] or {}).get("connected", False) for node in nodes)

    assert joined() == 3
    token = changed_token(sandbox_server.url, "another-token-of-some-length")
    (plugin,) = sandbox_server.plugins._plugins
    assert isinstance(plugin, BacalhauPlugin)
    logs = [node.services[0].log for node in plugin._real_nodes.values()]
    assert len(logs) == 3
    until("all give up", lambda: all(GIVEN_UP in log.read_text() for log in logs), seconds=60)
    changed_token(sandbox_server.url, token)
    until("all are back", lambda: joined() == 3, seconds=120)
    consoles = [on_aws("console", row["id"]).stdout for row in on_aws("list", "-o", "json").data["instances"]]
    assert all(" restarting: Bacalhau has not connected for " in text for text in consoles)


def test_a_drained_node_finishes_its_job_and_moves_a_longer_one(
    on_aws: CliRunner, sandbox_server: Sandbox
) -> None:
    """By the node's own programs: the tag of the instance, the watcher, and the shutdown of the machine."""
    assert on_aws("create", "--yes", "-o", "json").code == 0
    client = Client(on_aws)
    ec2 = boto3.client("ec2", **access(sandbox_server.url))

    def runs_on(job: str) -> list[str]:
        return [node for node, state in client.executions(job) if state == RUNNING]

    def submit(name: str, seconds: float) -> tuple[str, str]:
        job = client.submit(wasm_programs.job(name, wasm_programs.echo("done", sleep_s=seconds)))
        (node,) = until("it runs", lambda: runs_on(job))
        return job, node

    long, first = submit("long", 600)
    short, second = submit("short", 20)
    ends = datetime.now(tz=UTC) + timedelta(seconds=35)
    drained = {node.removeprefix("bacalhau-") for node in (first, second)}
    tag = {"Key": DRAIN_KEY, "Value": ends.strftime(TIME_FORMAT)}
    ec2.create_tags(Resources=list(drained), Tags=[tag])

    until(
        "it runs elsewhere",
        lambda: [node for node in runs_on(long) if node not in {first, second}],
        seconds=90,
    )
    assert client.executions(short) == [(second, COMPLETED)]

    def reasons() -> set[str]:
        found = ec2.describe_instances(InstanceIds=list(drained))["Reservations"]
        rows = [row for reservation in found for row in reservation["Instances"]]
        return {row.get("StateReason", {}).get("Code", "") for row in rows}

    until(
        "both have ended by themselves", lambda: reasons() == {"Client.InstanceInitiatedShutdown"}, seconds=30
    )
