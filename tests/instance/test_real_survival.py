"""A node's programs with Bacalhau itself: its open ports, its queue, its lost connections, and its containers.

Runs when BACALHAU_BIN names the program; with containers where a Docker daemon answers.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bacalhau_spot.instance import bacalhau_config
from bacalhau_spot.instance.scripts import containers, join_check, notice_file, watchdog
from bacalhau_spot.instance.scripts.bacalhau_cli import BacalhauCli
from support import image_registry
from support.clock import FakeClock
from support.real_bacalhau import PROGRAM, WITHOUT, Orchestrator, ask, listening, orchestrator, until
from support.real_node import Compute, compute
from support.wasm_jobs import sleeping, wasm_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.node_fakes import RecordedMessages

pytestmark = pytest.mark.skipif(not PROGRAM, reason=WITHOUT)
PAGE = Path(bacalhau_config.__file__).parents[3] / "docs" / "nodes.md"
ANY_PORT = 20000, 32000


# --- ports


def documented() -> set[tuple[str, str]]:
    """Port and address of Bacalhau's rows in the table of docs/nodes.md."""
    section = PAGE.read_text("utf-8").partition("## Ports\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\S+) \| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)
    return {(port, address.strip()) for port, address, service in rows if "Bacalhau" in service}


def test_a_node_listens_on_the_ports_of_the_page_and_no_other(tmp_path: Path) -> None:
    """Only the API's port is another one here, since several nodes share this machine."""
    with orchestrator(tmp_path) as server, compute(tmp_path, server.nats) as node:
        until("the node is connected", server.connected)
        api = str(bacalhau_config.API_PORT)
        found = {(api if port == str(node.api) else port, address) for port, address in listening(node.pid)}
        assert found == documented()
        offered = ask(node.api, "agent/node")["ComputeNodeInfo"]["Publishers"]
        assert sorted(offered) == ["noop", "s3managed"]


# --- the queue


def submit(server: Orchestrator, job: dict[str, Any]) -> str:
    return str(ask(server.api, "orchestrator/jobs", body={"Job": job})["JobID"])


def test_running_work_is_told_apart_from_queued_work(tmp_path: Path) -> None:
    """A second job that needs the same CPU waits on the node, and starts there once the first has ended."""
    with orchestrator(tmp_path) as server, compute(tmp_path, server.nats) as node:
        until("the node is connected", server.connected)
        bacalhau = BacalhauCli(agent=f"http://127.0.0.1:{node.api}/api/v1/agent")
        assert (bacalhau.running(), bacalhau.unfinished()) == (frozenset(), 0)
        half = {"CPU": str(0.7 * (os.cpu_count() or 1))}
        for name in ("first", "second"):
            submit(server, wasm_job(name, sleeping(6), Resources=half))
        until("both are on the node", lambda: bacalhau.unfinished() == 2)
        first = bacalhau.running()
        assert first is not None and len(first) == 1
        until("the second runs", lambda: bacalhau.running() not in (first, frozenset(), None))


# --- a lost connection


class RealBacalhau(watchdog.WatchedBacalhau):
    """The service without systemd, and with a clock that the test moves."""

    def __init__(self, folder: Path, port: int) -> None:
        self.clock = FakeClock(0)
        self._folder = folder
        self._port = port
        self._running = contextlib.ExitStack()
        self.start()

    def start(self) -> None:
        self.node: Compute = self._running.enter_context(compute(self._folder, self._port))

    def stop(self) -> None:
        self._running.close()

    def pid(self) -> int:
        return self.node.pid

    def sockets(self, to: set[int]) -> set[str]:
        return join_check.connections(self.node.pid, to)

    def expected(self) -> bool:
        return True

    def restart(self) -> str:
        self.stop()
        self.start()
        return ""

    def now(self) -> float:
        return self.clock.now()


@contextlib.contextmanager
def refused_once(folder: Path) -> Iterator[tuple[Orchestrator, RealBacalhau]]:
    """A node whose token was refused while the orchestrator had another one, and the orchestrator with the right one."""
    with orchestrator(folder) as server:
        bacalhau = RealBacalhau(folder, server.nats)
        try:
            until("the node is connected", server.connected)
        except BaseException:
            bacalhau.stop()
            raise
        ports = (server.nats, server.api)
    try:
        with orchestrator(folder, token="another", ports=ports):
            log = folder / "node.log"
            until("it gives up", lambda: "failed to cleanup existing components" in log.read_text())
        with orchestrator(folder, ports=ports) as server:
            yield server, bacalhau
    finally:
        bacalhau.stop()


def test_a_refused_node_never_returns_alone_and_the_watchdog_heals_it(
    tmp_path: Path, messages: RecordedMessages
) -> None:
    with refused_once(tmp_path) as (server, bacalhau):
        guard = watchdog.Watchdog([f"nats://127.0.0.1:{server.nats}"], bacalhau, say=messages.say)
        stuck = bacalhau.node.pid
        for _ in range(10):  # its process and API are fine, and it does not even try
            assert join_check.connections(stuck, {server.nats}) == set()
            assert ask(bacalhau.node.api, "agent/alive")
            time.sleep(1)
        guard.check()
        while bacalhau.node.pid == stuck:
            bacalhau.clock.advance(watchdog.CHECK_INTERVAL_S)
            assert bacalhau.clock.now() < 360
            guard.check()
        assert bacalhau.clock.now() >= watchdog.LOST_S
        until("the node is connected", server.connected)
        guard.check()
        guard.check()
        assert messages.phases == ["restarting", "joined"]


def test_while_the_orchestrator_is_away_the_watchdog_waits(
    tmp_path: Path, messages: RecordedMessages
) -> None:
    with contextlib.ExitStack() as end:
        with orchestrator(tmp_path) as server:
            bacalhau = RealBacalhau(tmp_path, server.nats)
            end.callback(bacalhau.stop)
            until("the node is connected", server.connected)
            guard = watchdog.Watchdog([f"nats://127.0.0.1:{server.nats}"], bacalhau, say=messages.say)
            guard.check()
        first = bacalhau.node.pid
        until("it has lost it", lambda: not join_check.connections(first, {server.nats}))
        for _ in range(60):
            guard.check()
            bacalhau.clock.advance(watchdog.CHECK_INTERVAL_S)
        assert bacalhau.node.pid == first
        assert messages.lines == []


# --- containers


def docker_job(image: str, name: str, *command: str, kind: str = "batch", **more: Any) -> dict[str, Any]:
    engine = {"Image": image, "Entrypoint": ["/bin/busybox"], "Parameters": command or ("sleep", "600")}
    task = {
        "Name": "main",
        "Engine": {"Type": "docker", "Params": engine},
        "Network": {"Type": "None"},
        **more,
    }
    return {"Name": name, "Namespace": "default", "Type": kind, "Count": 1, "Tasks": [task]}


def running_containers(job: str = "") -> list[str]:
    """Ids of Bacalhau's containers; of one job's."""
    command = ["docker", "ps", "--no-trunc", "--filter", "label=bacalhau-executor"]
    command += ["--format", '{{.ID}} {{.Label "bacalhau-jobID"}}']
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.split()[0] for line in shown.splitlines() if line.endswith(job)]


needs_docker = pytest.mark.skipif(
    bool(image_registry.missing()), reason=image_registry.missing() or "can run"
)


@needs_docker
def test_after_a_crash_only_services_run_on_and_after_a_stop_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with contextlib.ExitStack() as stack:
        stack.callback(containers.remove_containers)
        image = stack.enter_context(image_registry.registry())
        server = stack.enter_context(orchestrator(tmp_path))
        node = stack.enter_context(compute(tmp_path, server.nats))
        until("the node is connected", server.connected)
        batch, service = (submit(server, docker_job(image, kind, kind=kind)) for kind in ("batch", "service"))
        until("both run", lambda: running_containers(batch) and running_containers(service))
        (served,) = running_containers(service)
        (worked,) = running_containers(batch)

        os.kill(node.pid, signal.SIGKILL)
        until("it has ended", lambda: not Path(f"/proc/{node.pid}/exe").exists())
        assert running_containers(batch) == [worked]  # nobody ends it, and nobody counts it
        assert containers.remove_containers(keep_services=True) == 1
        assert (running_containers(batch), running_containers(service)) == ([], [served])

        with compute(tmp_path, server.nats) as again:
            until("the batch job runs again", lambda: running_containers(batch), seconds=90)
            assert running_containers(service) == [served]
            agent = BacalhauCli(agent=f"http://127.0.0.1:{again.api}/api/v1/agent")
            until("Bacalhau counts both", lambda: agent.unfinished() == 2)
        assert len(running_containers()) == 2
        assert containers.remove_containers() == 2
        assert running_containers() == []


@needs_docker
def test_a_job_that_mounts_the_folder_reads_the_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/nodes.md describes it: it waits for the file, and finds it whole."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with (
        image_registry.registry() as image,
        orchestrator(tmp_path) as server,
        compute(tmp_path, server.nats),
    ):
        until("the node is connected", server.connected)
        folder = tmp_path / "bacalhau_data"
        mount = {
            "Source": {"Type": "localDirectory", "Params": {"SourcePath": str(folder)}},
            "Target": "/bacalhau_data",
        }
        script = (
            "cd /bacalhau_data; until busybox cat interruption.json 2>/dev/null; do busybox sleep 0.2; done"
        )
        job = submit(server, docker_job(image, "waits", "sh", "-c", script, InputSources=[mount]))
        until("it runs", lambda: running_containers(job))
        notice_file.write_notice(
            action="terminate", at=120, noticed_at=3, stops_at=78, path=str(folder / "interruption.json")
        )

        def printed() -> str:
            rows = ask(server.api, f"orchestrator/jobs/{job}/executions")["Items"]
            return "".join((row.get("RunOutput") or {}).get("Stdout") or "" for row in rows)

        assert json.loads(until("it has printed the notice", printed)) == {
            "action": "terminate",
            "time": "1970-01-01T00:02:00Z",
            "noticed_at": "1970-01-01T00:00:03Z",
            "seconds_left": 117,
            "stops_at": "1970-01-01T00:01:18Z",
        }
