"""Faults by a proxy that is not ours, mitmproxy, between the real program and the sandbox: the same promises hold.

Runs when MITMDUMP names its executable: `uv tool install mitmproxy` installs it beside this environment, which it is too large
for. Everything is on loopback, in real time.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aws_spot_sandbox.state import Settings, World
from support.cli_runner import CliRunner
from support.storms import machines
from support.trust_figures import FULL, record
from support.trust_stage import MISTAKES

MITMDUMP = os.environ.get("MITMDUMP", "")
pytestmark = pytest.mark.skipif(not MITMDUMP, reason="MITMDUMP does not name mitmproxy's mitmdump")

CONFIG = """\
nodes: 4
regions: [us-west-1, eu-west-1]
instance_types: [t3.medium, t3a.medium]
ssh_cidrs: [192.0.2.0/24]
timeouts: {api_s: 12}
bacalhau:
  orchestrators: ["nats://192.0.2.1:4222"]
  verify_archive: false
"""
# Run by mitmproxy. The file names the action, the fault, and the number of calls that still get it.
ADDON = """\
import json
import os

FILE = os.environ["FAULT_FILE"]


def _fault(flow, when):
    with open(FILE) as file:
        order = json.load(file)
    content = (flow.request.raw_content or b"").decode(errors="replace") + str(flow.request.headers)
    if order["count"] <= 0 or order["action"] not in content or (order["fault"] == "lost before") != (when == "before"):
        return None
    order["count"] -= 1
    with open(FILE, "w") as file:
        json.dump(order, file)
    return order["fault"]


def request(flow):
    if _fault(flow, "before"):
        flow.kill()


def response(flow):
    fault = _fault(flow, "after")
    if fault == "lost after":
        flow.kill()
    elif fault in ("500", "502", "503"):
        flow.response.status_code = int(fault)
        flow.response.content = b"<html>upstream error</html>"
    elif fault == "empty":
        flow.response.content = b""
    elif fault == "cut":
        flow.response.content = flow.response.content[: len(flow.response.content) // 2]
    elif fault == "page":
        flow.response.content = b"<html><body>Sign in</body></html>"
        flow.response.headers["Content-Type"] = "text/html"
"""
FAULTS = ("lost before", "lost after", "500", "502", "503", "empty", "cut", "page")
ACTIONS = {
    "create": (
        "Action=DescribeRegions",
        "Action=GetCallerIdentity",
        "Action=DescribeTags",
        "Action=CreateLaunchTemplate&",
        "Action=CreateVpc&",
        "Action=CreateSubnet",
        "Action=CreateFleet",
        "Action=DescribeInstances&",
    ),
    "destroy": (
        "Action=DescribeInstances&",
        "Action=DeleteFleets",
        "Action=DeleteSubnet",
        "Action=DeleteVpc",
    ),
}
# A call that always fails ends its command after the retries' real time: a few are enough.
CASES = [
    (command, action, fault, count)
    for command, actions in ACTIONS.items()
    for number, action in enumerate(actions)
    for fault in FAULTS
    for count in ((1, 1000) if number % 4 == 0 else (1,))
]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass
class Injector:
    """mitmproxy in front of a sandbox."""

    folder: Path
    url: str = ""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def _file(self) -> Path:
        return self.folder / "fault.json"

    def order(self, action: str, fault: str, *, count: int) -> None:
        self._file.write_text(json.dumps({"action": action, "fault": fault, "count": count}))

    def left(self) -> int:
        return int(json.loads(self._file.read_text())["count"])

    def start(self, upstream: str) -> None:
        self.order("", "", count=0)
        addon, port = self.folder / "addon.py", _free_port()
        addon.write_text(ADDON)
        options = {"keep_host_header": "true", "connection_strategy": "lazy", "confdir": str(self.folder)}
        chosen = [word for name, value in options.items() for word in ("--set", f"{name}={value}")]
        where = ["--mode", f"reverse:{upstream}", "--listen-host", "127.0.0.1", "--listen-port", str(port)]
        self._process = subprocess.Popen(
            [MITMDUMP, "--quiet", *where, *chosen, "-s", str(addon)],
            env={**os.environ, "FAULT_FILE": str(self._file)},
        )
        _await_port(port, self._process)
        self.url = f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)


@pytest.fixture(scope="module")
def injector(sandbox_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Injector]:
    made = Injector(tmp_path_factory.mktemp("injector"))
    made.start(sandbox_server.url)
    yield made
    made.stop()


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """The port is asked until it answers: mitmproxy says nothing when it listens."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, "mitmproxy has ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("mitmproxy does not listen")


def _run(program: CliRunner, endpoint: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bacalhau_spot", *words],
        cwd=program.folder,
        env={
            **os.environ,
            **program.environ,
            "AWS_ENDPOINT_URL": endpoint,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "XDG_STATE_HOME": str(program.folder),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(("command", "action", "fault", "count"), CASES if FULL else CASES[::29])
def test_a_fault_on_the_way(
    sandbox: Any, program: CliRunner, injector: Injector, command: str, action: str, fault: str, count: int
) -> None:
    # Real time for once: the program is another process with a clock of its own.
    sandbox.server.reset(World(settings=Settings(pending_s=0.2, terminate_s=0.2)))
    (program.folder / "config.yaml").write_text(CONFIG)
    before = sandbox.leftovers()
    if command == "destroy":
        assert _run(program, sandbox.url, "create", "--yes").returncode == 0
    injector.order(action, fault, count=count)
    ended = _run(program, injector.url, command, "--yes")
    assert injector.left() < count, "the call has not been made"
    injector.order("", "", count=0)
    said = ended.stdout + ended.stderr
    assert not any(mistake in said for mistake in MISTAKES), said
    assert ended.returncode in (0, 1, 2, 4, 5), said
    assert len(machines(sandbox)) <= 4, "more nodes than asked for"
    if command == "create" and ended.returncode == 0:
        assert len(machines(sandbox)) == 4, said
    if count == 1:
        assert ended.returncode == 0, said
    last = _run(program, sandbox.url, "destroy", "--yes")
    assert last.returncode == 0, last.stdout + last.stderr
    assert sandbox.leftovers() == before
    record("faults by mitmproxy", cases=1, groups={command: 1})
