"""Bacalhau itself on loopback, when BACALHAU_BIN names its executable."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import tarfile
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROGRAM = os.environ.get("BACALHAU_BIN", "")
WITHOUT = "BACALHAU_BIN does not name a bacalhau executable"
TOKEN = "a\"b\\c$d`e'f"
NODE = "bacalhau-i-0123456789abcdef0"
PATIENCE_S = 40
_PASSED = [name for name in ("PATH", "DOCKER_HOST") if name in os.environ]


def program_archive() -> bytes:
    """The program as its makers publish it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        tar.add(PROGRAM, "bacalhau")
    return out.getvalue()


def configuration_keys(folder: Path) -> set[str]:
    """The keys of Bacalhau's configuration, by the program itself."""
    listed = subprocess.run(
        [PROGRAM, "config", "list", "--output", "json", "--data-dir", str(folder / "data")],
        check=True,
        capture_output=True,
        text=True,
        env={
            "HOME": str(folder),
            "BACALHAU_UPDATECONFIG_INTERVAL": "0s",
            "BACALHAU_DISABLEANALYTICS": "true",
        },
    ).stdout
    return {entry["Key"] for entry in json.loads(listed)}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def ask(port: int, path: str, *, body: object = None) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/{path}",
        data=None if body is None else json.dumps(body).encode(),
        method="GET" if body is None else "PUT",
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        return True


def until(what: str, look: Callable[[], Any], *, seconds: float = PATIENCE_S) -> Any:
    """What `look` finds, once it finds something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if value := look():
                return value
        time.sleep(0.2)
    pytest.fail(f"{what}: not within {seconds} s")


@contextlib.contextmanager
def bacalhau(*arguments: str, folder: Path, log: str, env: dict[str, str] | None = None) -> Iterator[int]:
    with (folder / log).open("wb") as out:
        process = subprocess.Popen(
            [PROGRAM, "serve", *arguments],
            stdout=out,
            stderr=out,
            cwd=folder,
            env={"HOME": str(folder), **{name: os.environ[name] for name in _PASSED}, **(env or {})},
        )
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass
class Orchestrator:
    nats: int
    api: int
    folder: Path

    def node(self) -> dict[str, Any] | None:
        nodes = ask(self.api, "orchestrator/nodes")["Nodes"]
        return next((node for node in nodes if node["Info"]["NodeID"] == NODE), None)

    def connected(self) -> dict[str, Any] | None:
        node = self.node()
        return node if node and node["ConnectionState"]["Status"] == "CONNECTED" else None


@contextlib.contextmanager
def orchestrator(
    folder: Path,
    *,
    tls: dict[str, str] | None = None,
    proxied: bool = False,
    users: list[dict[str, Any]] | None = None,
    api_tls: dict[str, str] | None = None,
    token: str = TOKEN,
    ports: tuple[int, int] | None = None,
) -> Iterator[Orchestrator]:
    """`users`: who may use the API, else everybody; `api_tls`: its certificate, else it speaks plain HTTP.

    `ports`: NATS and API, of an orchestrator that comes back.
    """
    here = Orchestrator(*(ports or (free_port(), free_port())), folder)
    settings: dict[str, Any] = {
        "DataDir": str(folder / "orchestrator"),
        "NameProvider": "hostname",
        "API": {"Host": "127.0.0.1", "Port": here.api},
        "Orchestrator": {
            "Enabled": True,
            "Host": "127.0.0.1",
            "Port": here.nats,
            "SupportReverseProxy": proxied,
        },
        "UpdateConfig": {"Interval": "0s"},
        "DisableAnalytics": True,
    }
    if tls:
        settings["Orchestrator"]["TLS"] = tls
    if users:
        settings["API"]["Auth"] = {"Users": users}
    if api_tls:
        settings["API"]["TLS"] = api_tls
    (folder / "orchestrator.yaml").write_text(json.dumps(settings))
    env = {"BACALHAU_ORCHESTRATOR_AUTH_TOKEN": token}
    with bacalhau(
        "--config", str(folder / "orchestrator.yaml"), folder=folder, log="orchestrator.log", env=env
    ):
        until(
            "the orchestrator answers", lambda: listens(here.api) if api_tls else ask(here.api, "agent/alive")
        )
        yield here


def listening(pid: int) -> set[tuple[str, str]]:
    """Port and address of each socket of a process, as `ss` shows it."""
    shown = subprocess.run(["ss", "-Hltnp"], check=True, capture_output=True, text=True).stdout
    local = (line.split()[3] for line in shown.splitlines() if f"pid={pid}," in line)
    return {(port, address) for address, _, port in (each.rpartition(":") for each in local)}
