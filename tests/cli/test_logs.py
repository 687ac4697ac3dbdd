"""`logs` from the command line: nodes of the sandbox, and an ssh of our own first on the path."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from support.cli_runner import CliRunner

pytestmark = pytest.mark.sockets

# Prints two lines of a journal, the later one first in time for the second node; fails for a node in us-west-2.
SSH = """\
#!/bin/sh
printf '%s\\n' "$*" >> "$SSH_NOTES"
for word; do case $word in HostKeyAlias=*) node=${word#HostKeyAlias=};; esac; done
if grep -qx "$node" "$SSH_LOST" 2>/dev/null; then echo "connect to host $node port 22: Connection refused" >&2; exit 255; fi
echo "Welcome to Ubuntu"
printf '{"__REALTIME_TIMESTAMP":"1764000002000000","MESSAGE":"late %s","_SYSTEMD_UNIT":"docker.service"}\\n' "$node"
bytes='[101,97,114,108,121,27,91,109]'
printf '{"__REALTIME_TIMESTAMP":"1764000001000000","MESSAGE":%s,"_SYSTEMD_UNIT":"bacalhau.service"}\\n' "$bytes"
"""


@pytest.fixture
def user(program: CliRunner, tmp_path: Path, sandbox: Any) -> CliRunner:
    """Somebody with a cluster of two nodes, and that ssh."""
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(SSH)
    ssh.chmod(0o755)
    program.environ |= {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "SSH_NOTES": f"{tmp_path}/notes",
        "SSH_LOST": f"{tmp_path}/lost",
        "XDG_STATE_HOME": f"{tmp_path}/state",
    }
    program.configure(nodes=2, regions="[us-east-1, us-west-2]")
    assert program("create", "--yes", "--wait", "running").code == 0
    sandbox.clock.advance(300)  # the nodes have booted
    return program


def ids(user: CliRunner) -> list[str]:
    return [row["id"] for row in user("list", "--json").data["instances"]]


def test_journals_are_merged_by_time(user: CliRunner, tmp_path: Path) -> None:
    east, west = ids(user)
    result = user("logs", "--since", "2025-11-20", "--unit", "docker,bacalhau*")
    assert (result.code, "warning" in result.stderr) == (0, False), result.stderr
    assert result.stdout.splitlines() == [
        f"{east} 2025-11-24T16:00:01Z bacalhau: early",
        f"{west} 2025-11-24T16:00:01Z bacalhau: early",
        f"{east} 2025-11-24T16:00:02Z docker: late {east}",
        f"{west} 2025-11-24T16:00:02Z docker: late {west}",
    ]
    asked = (tmp_path / "notes").read_text().splitlines()
    assert len(asked) == 2
    assert all("BatchMode=yes" in line for line in asked)
    assert all("--unit=docker '--unit=bacalhau*' --since=@1763596800 --lines=all" in line for line in asked)


def test_a_node_out_of_reach_has_its_console(user: CliRunner, tmp_path: Path) -> None:
    east, west = ids(user)
    (tmp_path / "lost").write_text(f"{west}\n")
    result = user("logs", "--json")
    assert result.code == 0
    sources = {node["id"]: (node["source"], node["problem"]) for node in result.data["nodes"]}
    assert sources == {
        east: ("journal", None),
        west: ("console", f"connect to host {west} port 22: Connection refused"),
    }
    (warning,) = result.envelope["warnings"]
    assert west in warning and "Connection refused" in warning
    found = result.data["lines"]
    assert {line["node"] for line in found} == {east, west}
    assert any(line["source"] == "console" and "bacalhau-spot:" in line["text"] for line in found)
    times = [line["at"] for line in found if line["at"]]
    assert times == sorted(times)


def test_nodes_out_of_reach_for_one_reason_have_one_warning(user: CliRunner, tmp_path: Path) -> None:
    east, west = ids(user)
    (tmp_path / "lost").write_text(f"{east}\n{west}\n")
    result = user("logs")
    assert result.stderr.count("warning") == 1
    assert (
        "2 journals cannot be read (connect to port 22: Connection refused); this is the console output of "
        f"{east}, {west}" in " ".join(result.stderr.split())
    )


def test_the_console_needs_no_ssh(user: CliRunner, tmp_path: Path) -> None:
    east, _ = ids(user)
    result = user("logs", east, "--console", "-n", "2")
    assert result.code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{east} 20") for line in lines)
    assert not (tmp_path / "notes").exists()
    file = user.folder / "config.yaml"
    file.write_text(file.read_text().replace("ssh_cidrs: [192.0.2.0/24]", "ssh_cidrs: none"))
    assert user("logs").code == 0
    assert not (tmp_path / "notes").exists()


@pytest.mark.parametrize("form", ["table", "ndjson"])
def test_following_goes_on_with_the_console(
    user: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """After the end of ssh, until Ctrl-C, which is the normal end: each line once."""
    east, west = ids(user)
    (tmp_path / "lost").write_text(f"{west}\n")
    sleeps = 0
    real = type(user.clock).sleep

    async def sleep(clock: Any, seconds: float) -> None:
        nonlocal sleeps
        if seconds == 7:
            sleeps += 1
            if sleeps == 4:
                signal.raise_signal(signal.SIGINT)
            seconds = 0.01
        await real(clock, seconds)

    monkeypatch.setattr(type(user.clock), "sleep", sleep)
    result = user("logs", "--follow", "--interval", "7", "-o", form)
    assert result.code == 0, result.stderr
    lines = result.stdout.splitlines()
    if form == "ndjson":
        rows = [json.loads(line) for line in lines]
        assert {row["event"] for row in rows} == {"log"}
        assert {row["source"] for row in rows} == {"journal", "console"}
        return
    assert (
        f"{west}: the connection to its journal ended (connect to host {west} port 22: Connection refused)"
        in " ".join(result.stderr.split())
    )
    assert f"{east} 2025-11-24T16:00:02Z docker: late {east}" in lines
    console = [line for line in lines if line.startswith(west) and "bacalhau-spot:" in line]
    assert console and len(console) == len(set(console))


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_following_is_no_document(program: CliRunner, sandbox: Any, form: str) -> None:
    result = program("logs", "-f", "-o", form)
    assert result.code == 2
    assert "use -o ndjson" in result.stdout
    assert sandbox.world.calls == []


def test_a_cluster_without_nodes_has_no_logs(program: CliRunner, sandbox: Any) -> None:
    program.configure(nodes=2)
    result = program("logs")
    assert result.code == 1
    assert "no node to read the logs of" in result.stderr
