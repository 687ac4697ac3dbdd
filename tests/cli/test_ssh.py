"""`ssh` and `console` from the command line: nodes of the sandbox, and an ssh of our own first on the path."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.cli.runtime import node_prompt
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.runner import Runner
from bacalhau_spot.core.inventory import ClusterInventory
from bacalhau_spot.core.model import Naming
from support.cli_runner import CliResult, CliRunner
from support.engine_clock import EngineClock

pytestmark = pytest.mark.sockets

# Notes its words, one a line and one file a call, and does what the remote command says.
SSH = """\
#!/bin/sh
# T8: what is no business of ssh's does not come here.
case "$(env)" in *not-for-ssh*) exit 99;; esac
for word; do printf '%s\\n' "$word"; done > "$SSH_NOTES/$$"
for word; do last=$word; done
case $last in
  fail) echo failing >&2; exit 3;;
  lost) exit 255;;
  killed) kill -9 $$;;
  hang) exec sleep 60;;
  *) echo "did $last";;
esac
"""


@pytest.fixture
def user(program: CliRunner, tmp_path: Path) -> CliRunner:
    """Somebody with a key, two regions to come, and that ssh."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "notes").mkdir()
    ssh = tmp_path / "bin" / "ssh"
    ssh.write_text(SSH)
    ssh.chmod(0o755)
    key = tmp_path / "key"
    key.write_text("secret")
    key.chmod(0o600)
    program.environ |= {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "SSH_NOTES": f"{tmp_path}/notes",
        "ORCHESTRATOR_KEY": "not-for-ssh",
        "BACALHAU_TOKEN": "not-for-ssh",
        "XDG_STATE_HOME": f"{tmp_path}/state",
    }
    configure(program)
    return program


@pytest.fixture(autouse=True)
def _looked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first look into all regions found is remembered: these clusters do not change, and looking is what costs."""
    look = node_prompt.reachable_instances
    seen: list[ClusterInventory] = []

    def once(context: CommandContext, runner: Runner, naming: Naming) -> ClusterInventory:
        if seen:
            return seen[-1]
        inventory = look(context, runner, naming)
        if inventory.instances and not inventory.failed_regions:
            seen.append(inventory)
        return inventory

    monkeypatch.setattr(node_prompt, "reachable_instances", once)


def configure(user: CliRunner, *more: str) -> None:
    lines = ("username: bob", "private_ssh_key_path: ./key", *more)
    user.configure(nodes=3, regions="[us-west-2]", more="\n".join((*lines, "")))


def created(user: CliRunner) -> list[str]:
    result = user("create", "--yes", "-o", "json")
    assert result.code == 0, result.stdout
    return sorted(
        instance_id for region in result.data["receipt"]["regions"] for instance_id in region["launched"]
    )


def notes(user: CliRunner) -> list[list[str]]:
    """What ssh was called with, each time since the last look."""
    notes = sorted((user.folder / "notes").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    calls = [path.read_text().splitlines() for path in notes]
    for path in notes:
        path.unlink()
    return calls


def alias(words: list[str]) -> str:
    return next(word for word in words if word.startswith("HostKeyAlias=")).removeprefix("HostKeyAlias=")


def test_one_node(user: CliRunner) -> None:
    """By its id, by a beginning, from a menu; ssh's exit code is ours; every way of not meaning one is told."""
    first, second, third = created(user)

    assert user("ssh", first, "--", "echo", "-o", "json").code == 0
    (words,) = notes(user)
    assert words[-4:] == ["echo", "-o", "json"] or words[-3:] == ["echo", "-o", "json"]
    assert alias(words) == first and words[words.index("-l") + 1] == "bob" and f"{user.folder}/key" in words
    known_hosts = next(word for word in words if word.startswith("UserKnownHostsFile="))
    assert f'"{user.folder}/state/bacalhau-spot/host_keys/{first}"' in known_hosts
    assert "StrictHostKeyChecking=yes" in words

    assert user("ssh", f"bacalhau-{second}", "--", "fail").code == 3
    assert user("ssh", third, "--", "killed").code == 128 + 9
    lost = user("ssh", third, "--", "lost")
    assert lost.code == 255 and "port 22 admits" in lost.stderr
    notes(user)

    chosen = user("ssh", answers="7\n2\n")
    assert chosen.code == 0 and "a number from 1 to 3" in chosen.stderr
    assert first in chosen.stderr
    assert alias(notes(user)[0]) in {first, second, third}
    assert user("ssh", "us-west-2", answers="\n").code == 3
    nobody = user("ssh")
    assert nobody.code == 3 and "3 nodes match" in nobody.stderr
    unknown = user("ssh", "i-nobody")
    assert unknown.code == 2 and all(instance_id in unknown.stderr for instance_id in (first, second, third))
    forgotten = user("ssh", first, "uptime")
    assert forgotten.code == 2 and f"ssh {first} -- uptime" in forgotten.stderr
    assert notes(user) == []

    shown = user("ssh", first, "--print", "--", "ls")
    assert shown.code == 0 and shown.stdout.startswith("ssh -i ") and shown.stdout.endswith(" ls\n")
    lines = user("ssh", first, "--print", "-o", "json").data["lines"]
    assert [line["id"] for line in lines] == [first] and lines[0]["argv"][0] == "ssh"
    assert notes(user) == []

    configure(user, "")
    (user.folder / "config.yaml").write_text(
        (user.folder / "config.yaml").read_text().replace("[192.0.2.0/24]", "none")
    )
    assert "because `ssh_cidrs` is none" in user("ssh", third, "--", "lost").stderr


def test_all_nodes(user: CliRunner) -> None:
    """Together, each with its own words and exit code; 1 if it failed on any; the slow are given up."""
    instance_ids = created(user)
    everywhere = user("ssh", "--all", "--", "uptime")
    assert everywhere.code == 0 and "3 of 3 nodes well" in everywhere.stdout
    assert sorted(line for line in everywhere.stdout.splitlines() if ": did" in line) == [
        f"{instance_id}: did uptime" for instance_id in instance_ids
    ]
    assert all("BatchMode=yes" in words for words in notes(user))

    failed = user("ssh", "--all", "-o", "json", "--", "fail")
    assert (failed.code, failed.data["failed"]) == (1, 3)
    assert {node["stderr"] for node in failed.data["nodes"]} == {"failing\n"}
    assert "3 nodes, exit code 3" in user("ssh", "--all", "--group", "--", "fail").stdout

    slow = user("ssh", "us-west-2", "--all", "--timeout", "0.5", "-o", "json", "--", "hang")
    assert slow.code == 1 and all(
        node["timed_out"] and node["exit_code"] is None for node in slow.data["nodes"]
    )
    result = user("ssh", instance_ids[0], "-o", "json", "--", "uptime")
    assert [(node["id"], node["exit_code"]) for node in result.data["nodes"]] == [(instance_ids[0], 0)]
    nothing = user("ssh", "--all")
    assert nothing.code == 2 and "no command" in nothing.stderr


def no_key(user: CliRunner) -> None:
    (user.folder / "key").unlink()


def open_key(user: CliRunner) -> None:
    (user.folder / "key").chmod(0o644)


def folder_key(user: CliRunner) -> None:
    no_key(user)
    (user.folder / "key").mkdir()


@pytest.mark.parametrize(
    ("spoil", "what", "hint"),
    [
        (no_key, "cannot be read", "private_ssh_key_path"),
        (open_key, "other users can read", "chmod 600 "),
        (folder_key, "is not a file", "private_ssh_key_path"),
    ],
)
def test_a_key_that_ssh_would_not_use(user: CliRunner, spoil: Any, what: str, hint: str) -> None:
    """Is an error before AWS is asked anything."""
    spoil(user)
    result = user("ssh", "i-1")
    assert result.code == 2 and what in result.stderr and hint in result.stderr


def test_nobody_to_reach(user: CliRunner) -> None:
    """A cluster without nodes, and a machine without ssh."""
    empty = user("ssh")
    assert empty.code == 1 and "bacalhau-spot status" in empty.stderr
    (instance_id, *_) = created(user)
    user.environ["PATH"] = f"{user.folder}/notes"
    bare = user("ssh", instance_id)
    assert bare.code == 1 and "no ssh program" in bare.stderr


def test_regions_that_may_not_be_seen_are_no_regions_without_nodes(sandbox: Any, user: CliRunner) -> None:
    """Where nothing can be seen, that is the error; where a part is not, the rest works, and all is not said to be all."""
    user.configure(nodes=1, regions="[us-west-2]", more="username: bob\nprivate_ssh_key_path: ./key\n")
    fault = {"match": "DescribeInstances", "code": "UnauthorizedOperation"}
    instance_ids = created(user)
    sandbox.settings.faults = [fault]
    for line in (("ssh",), ("console",), ("ssh", "--all", "--", "uptime")):
        result = user(*line)
        assert (result.code, "no node" in result.stderr) == (5, False), result.stderr
        assert "DescribeInstances: UnauthorizedOperation" in result.stderr
    sandbox.settings.faults = [{**fault, "region": "us-east-1"}]
    assert user("ssh", instance_ids[0], "--", "uptime").code == 0
    some = user("ssh", "--all", "-o", "json", "--", "uptime")
    assert (some.code, [node["id"] for node in some.data["nodes"]]) == (5, instance_ids)
    assert [error["regions"] for error in some.envelope["errors"]] == [["us-east-1"]]
    other = user("console", "i-0123")
    assert (other.code, "no scanned node matches i-0123" in other.stderr) == (5, True)


class Follower(EngineClock):
    """A clock of somebody who presses Ctrl-C after four waits."""

    waits = 0

    async def sleep(self, seconds: float) -> None:
        self.waits += 1
        if self.waits > 4:
            raise KeyboardInterrupt
        await super().sleep(seconds)


def phases(result: CliResult) -> list[str]:
    return [
        line.split()[2].rstrip(":")
        for line in result.stdout.splitlines()
        if line.startswith("bacalhau-spot:")
    ]


def test_a_console(sandbox: Any, user: CliRunner) -> None:
    """All of it, the node's own lines, as data, and as it comes: each line once."""
    instance_id, *_ = created(user)
    user.clock = Follower(sandbox.clock)
    followed = user("console", instance_id, "--follow", "--interval", "10", "--phases")
    assert followed.code == 0
    assert phases(followed) == ["packages", "docker", "download", "start", "joined"]

    full = user("console", instance_id)
    assert "bacalhau-spot: " in full.stdout and len(full.stdout) > len(followed.stdout)
    data = user("console", instance_id, "-o", "json").data
    assert [phase["phase"] for phase in data["phases"]] == phases(followed)
    assert user("console", instance_id, "--follow", "-o", "json").code == 2
    assert user("console").code == 3


def test_ctrl_c_ends_what_runs_on_all_nodes(sandbox: Any, user: CliRunner) -> None:
    """A process of its own, because it takes a signal: it ends with 130, and no ssh outlives it."""
    created(user)
    sandbox.clock.advance(60)  # the nodes have shown their host keys
    environ = {**os.environ, **user.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "bacalhau_spot", "ssh", "--all", "-o", "json", "--", "hang"]
    with subprocess.Popen(
        command, cwd=user.folder, env=environ, stdout=subprocess.PIPE, text=True
    ) as running:
        give_up = time.monotonic() + 60
        while len(list((user.folder / "notes").iterdir())) < 3 and time.monotonic() < give_up:
            time.sleep(0.05)  # another process's progress, which no clock of ours moves
        pids = [int(path.name) for path in (user.folder / "notes").iterdir()]
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=30)
    assert (running.returncode, json.loads(out)["status"], len(pids)) == (130, "interrupted", 3)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
