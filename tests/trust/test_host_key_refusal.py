"""OpenSSH's client and a server with the node's keys, and another server in its place: it gets nothing.

The server is asyncssh's, on loopback. The keys on the node's console are the first server's.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from aws_spot_sandbox.ec2 import console as serial_console
from support import trust_figures
from support.cli_runner import CliRunner


@dataclass
class LoginServer:
    """`logins`: the names that somebody has tried to log in with."""

    port: int = 0
    logins: list[str] = field(default_factory=list)


class _Door(asyncssh.SSHServer):
    def __init__(self, seen: LoginServer) -> None:
        self._seen = seen

    def begin_auth(self, username: str) -> bool:
        self._seen.logins.append(username)
        return False  # nobody needs a key


@contextmanager
def login_server(key: asyncssh.SSHKey) -> Iterator[LoginServer]:
    """Runs every command as if it were `echo`."""
    seen, loop, ready = LoginServer(), asyncio.new_event_loop(), threading.Event()

    async def run_command(process: asyncssh.SSHServerProcess[str]) -> None:
        process.stdout.write(f"{process.command}\n")
        process.exit(0)

    async def serve() -> None:
        server = await asyncssh.create_server(
            lambda: _Door(seen), "127.0.0.1", 0, server_host_keys=[key], process_factory=run_command
        )
        seen.port = server.get_port()
        ready.set()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(serve(), loop).result(30)
    try:
        assert ready.is_set()
        yield seen
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)


@pytest.fixture
def node(sandbox: Any, program: CliRunner, tmp_path: Path) -> str:
    """A running node, and an ssh that finds every node at the port in the file `port`."""
    ssh = shutil.which("ssh")
    assert ssh is not None, "OpenSSH's client is needed"
    wrapper = tmp_path / "bin" / "ssh"
    wrapper.parent.mkdir()
    wrapper.write_text(
        f'#!/bin/sh\nexec {ssh} -F /dev/null -o Port="$(cat {tmp_path}/port)" -o HostName=127.0.0.1 "$@"\n'
    )
    wrapper.chmod(0o755)
    program.environ |= {
        "PATH": f"{wrapper.parent}:/usr/bin:/bin",
        "XDG_STATE_HOME": f"{tmp_path}/state",
        "HOME": f"{tmp_path}",
    }
    program.configure(nodes=1, regions="[us-west-2]")
    result = program("create", "--yes", "--wait", "running", "-o", "json")
    assert result.code == 0, result.stdout
    (name,) = (name for region in result.data["receipt"]["regions"] for name in region["launched"])
    return str(name)


@pytest.mark.sockets
def test_only_the_machine_of_the_console_is_logged_in_to(
    program: CliRunner, node: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.process_time()
    own, other = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    words = own.export_public_key().decode().split()[:2]
    block = ["-----BEGIN SSH HOST KEY KEYS-----", " ".join(words), "-----END SSH HOST KEY KEYS-----"]
    monkeypatch.setattr(serial_console, "_lines", lambda *_: block)
    with login_server(own) as real, login_server(other) as stranger:
        (tmp_path / "port").write_text(str(real.port))
        reached = program("ssh", node, "-o", "json", "--", "uptime")
        assert reached.code == 0, reached.stdout
        assert [row["stdout"] for row in reached.data["nodes"]] == ["uptime\n"]
        assert len(real.logins) == 1

        (tmp_path / "port").write_text(str(stranger.port))
        refused = program("ssh", node, "-o", "json", "--", "uptime")
        (row,) = refused.data["nodes"]
        assert (refused.code, row["exit_code"], row["stdout"]) == (1, 255, "")
        assert "Host key verification failed" in row["stderr"]
        assert stranger.logins == []
        assert "Host key verification failed" in program("logs", node, "-o", "json").stdout
        assert stranger.logins == []
    trust_figures.record("host-keys", cases=3, cpu_s=time.process_time() - began)
