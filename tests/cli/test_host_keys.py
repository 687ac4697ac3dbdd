"""`ssh` and `logs` know a node's host keys before they connect: from its console, never from whoever answers."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aws_spot_sandbox.ec2 import console as serial_console
from aws_spot_sandbox.ec2 import host_keys
from aws_spot_sandbox_bacalhau.node_settings import NodeSettings
from bacalhau_spot.core.ssh.host_keys import console_host_keys
from support.cli_runner import CliRunner

pytestmark = pytest.mark.sockets

# Notes its words. As ssh does, it writes the key of a machine whose key it is to accept.
SSH = """\
#!/bin/sh
printf '%s\\n' "$*" >> "$SSH_NOTES"
for word; do case $word in
  UserKnownHostsFile=*) file=${word#UserKnownHostsFile=}; file=${file#\\"}; file=${file%\\"};;
  HostKeyAlias=*) name=${word#HostKeyAlias=};;
  StrictHostKeyChecking=accept-new) learns=yes;;
esac; done
if [ "$learns" ]; then
  echo "$name ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f" > "$file"
fi
echo did
"""


@pytest.fixture
def user(program: CliRunner, tmp_path: Path) -> CliRunner:
    """Somebody with a configuration of two nodes, and that ssh."""
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(SSH)
    ssh.chmod(0o755)
    program.environ |= {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "SSH_NOTES": f"{tmp_path}/notes",
        "XDG_STATE_HOME": f"{tmp_path}/state",
    }
    program.configure(nodes=2, regions="[us-west-2]")
    return program


def created(user: CliRunner) -> list[str]:
    """The ids of two running nodes, at the moment of their power-on."""
    result = user("create", "--yes", "--wait", "running", "-o", "json")
    assert result.code == 0, result.stdout
    return sorted(name for region in result.data["receipt"]["regions"] for name in region["launched"])


def notes(user: CliRunner) -> list[str]:
    path = user.folder / "notes"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def file_of(user: CliRunner, node: str) -> Path:
    return user.folder / "state" / "bacalhau-spot" / "host_keys" / node


def consoles_read(sandbox: Any) -> int:
    return sum(action == "ec2:GetConsoleOutput" for _, action, _ in sandbox.world.calls)


def shown_on_console(sandbox: Any, node: str) -> set[str]:
    text = sandbox.client("ec2", "us-west-2").get_console_output(InstanceId=node, Latest=True)["Output"]
    return {f"{node} {key.type} {key.data}" for key in console_host_keys(text).keys}


def test_the_keys_of_a_booting_node_are_awaited_and_kept(sandbox: Any, user: CliRunner) -> None:
    """Ssh accepts them and no other; the console is read once a node."""
    first, second = created(user)
    result = user("ssh", first, "--", "uptime")
    assert result.code == 0, result.stderr
    assert f"for the host keys in the console output of {first}" in " ".join(result.stderr.split())
    (line,) = notes(user)
    path = file_of(user, first)
    assert f'UserKnownHostsFile="{path}"' in line
    assert "StrictHostKeyChecking=yes" in line and "UpdateHostKeys=no" in line
    assert set(path.read_text().splitlines()) == shown_on_console(sandbox, first)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    before = consoles_read(sandbox)
    assert user("ssh", first, "--", "uptime").code == 0
    assert consoles_read(sandbox) == before
    assert user("ssh", "--all", "--", "uptime").code == 0
    assert consoles_read(sandbox) == before + 1
    assert file_of(user, second).exists()


@pytest.mark.parametrize("content", ["", "i-0123 ssh-ed25519 AAAA\n", "\0" * 70_000])
def test_a_file_without_the_node_s_key_is_read_again(sandbox: Any, user: CliRunner, content: str) -> None:
    """Cut off, or somebody else's: ssh alone would refuse the node for ever."""
    first, _ = created(user)
    sandbox.clock.advance(60)
    assert user("ssh", first, "--", "uptime").code == 0
    file_of(user, first).write_text(content)
    assert user("ssh", first, "--", "uptime").code == 0
    assert set(file_of(user, first).read_text().splitlines()) == shown_on_console(sandbox, first)


def test_a_node_without_keys_is_not_connected(sandbox: Any, user: CliRunner) -> None:
    """Its boot does not get so far: the error shows how to go on, an explicit choice connects, and its keys prevail later."""
    first, second = created(user)
    sandbox.world.settings_of(NodeSettings).stuck = {first: "boot"}
    refused = user("ssh", first, "--timeout", "20", "--", "uptime")
    assert refused.code == 1
    assert f"the host keys of {first} are not known" in " ".join(refused.stderr.split())
    assert "--accept-new-key" in refused.stderr and "console" in refused.stderr
    shown = user("ssh", first, "--print")
    assert (shown.code, "StrictHostKeyChecking" in shown.stdout) == (1, False)
    assert notes(user) == []

    both = user("ssh", "--all", "-o", "json", "--", "uptime")
    assert both.code == 1
    outcome = {node["id"]: (node["exit_code"], node["stdout"]) for node in both.data["nodes"]}
    assert outcome == {first: (255, ""), second: (0, "did\n")}
    (unknown,) = (node["stderr"] for node in both.data["nodes"] if node["id"] == first)
    assert "host keys are not known" in unknown
    assert len(notes(user)) == 1

    assert user("ssh", first, "--accept-new-key", "--", "uptime").code == 0
    (line,) = notes(user)
    assert "StrictHostKeyChecking=accept-new" in line and f"{file_of(user, first)}.accepted" in line
    assert user("ssh", first, "--", "uptime").code == 0
    (line,) = notes(user)
    assert "StrictHostKeyChecking=yes" in line and f"{file_of(user, first)}.accepted" in line

    sandbox.world.settings_of(NodeSettings).stuck = {}
    sandbox.clock.advance(60)
    assert user("ssh", first, "--", "uptime").code == 0
    (line,) = notes(user)
    assert f'UserKnownHostsFile="{file_of(user, first)}"' in line


def test_two_sets_of_keys_on_a_console_are_none(
    sandbox: Any, user: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell which of them is the node's."""
    first, second = created(user)
    block = host_keys.keys_block
    monkeypatch.setattr(
        serial_console,
        "_lines",
        lambda *_: [*block(first, "ip-10-0-0-4"), *block(second, "ip-10-0-0-4")],
    )
    refused = user("ssh", first, "--", "uptime")
    assert refused.code == 1 and "different host keys" in " ".join(refused.stderr.split())
    assert notes(user) == []


def test_a_console_that_may_not_be_read(sandbox: Any, user: CliRunner) -> None:
    """The reason is AWS's; `logs` goes on with what it may read."""
    first, _ = created(user)
    sandbox.clock.advance(60)
    sandbox.settings.faults = [{"match": "GetConsoleOutput", "code": "UnauthorizedOperation"}]
    refused = user("ssh", first, "--", "uptime")
    assert refused.code == 1
    assert "GetConsoleOutput: UnauthorizedOperation" in " ".join(refused.stderr.split())
    assert notes(user) == []


def test_logs_connects_to_no_stranger(sandbox: Any, user: CliRunner) -> None:
    """A node whose keys are not known has its console output, with the reason."""
    first, second = created(user)
    sandbox.world.settings_of(NodeSettings).stuck = {first: "boot"}
    sandbox.clock.advance(60)
    result = user("logs", "-o", "json")
    assert result.code == 0
    found = {node["id"]: (node["source"], node["problem"]) for node in result.data["nodes"]}
    assert found[second] == ("journal", None)
    assert found[first][0] == "console" and "host keys are not known" in found[first][1]
    (line,) = notes(user)
    assert second in line and "StrictHostKeyChecking=yes" in line


def test_openssh_finds_the_keys_in_the_file(sandbox: Any, user: CliRunner) -> None:
    """ssh-keygen of this machine reads each of them under the node's id; it checks the points of a curve."""
    keygen = shutil.which("ssh-keygen")
    assert keygen is not None, "OpenSSH's client is needed"
    first, _ = created(user)
    sandbox.clock.advance(60)
    assert user("ssh", first, "--", "uptime").code == 0
    found = subprocess.run(
        [keygen, "-l", "-F", first, "-f", str(file_of(user, first))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    kinds = {line.split()[1] for line in found.stdout.splitlines() if not line.startswith("#")}
    assert kinds == {"ECDSA", "ED25519", "RSA"}
