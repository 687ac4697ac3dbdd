"""Times a job's way to another node, and a lost node's way back, each with the node's programs and without them.

    BACALHAU_BIN=/path/to/bacalhau uv run python benchmarks/interruption.py        # eleven minutes

Each case has an orchestrator and three nodes on loopback, from rendered user data, and a batch job that runs on one of them.
The watcher and the watchdog are the node's own programs with their own intervals; in place of systemd, this file stops and
restarts Bacalhau. All cases run at once: most of the time is waiting.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests")]  # the program on loopback is the tests'

from bacalhau_spot.instance.scripts import join_check, watchdog  # noqa: E402 -- likewise
from bacalhau_spot.instance.scripts.bacalhau_cli import BacalhauCli  # noqa: E402 -- likewise
from bacalhau_spot.instance.scripts.interruption_watcher import (  # noqa: E402 -- likewise
    InterruptionWatcher,
    WatchClock,
)
from bacalhau_spot.instance.scripts.metadata import Metadata  # noqa: E402 -- likewise
from support.node_fakes import MetadataServer  # noqa: E402 -- likewise
from support.real_bacalhau import PROGRAM, WITHOUT, Orchestrator, ask, orchestrator, until  # noqa: E402 -- likewise
from support.real_node import Compute, compute  # noqa: E402 -- likewise
from support.wasm_jobs import sleeping, wasm_job  # noqa: E402 -- found through the line above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOTICE_S = 120
RESTART_S = 5  # RestartSec of bacalhau.service
PATIENCE_S = 600.0
HOUR_S = 3600
OTHER = "another"  # than the nodes' token


@dataclass
class Node:
    """A node whose Bacalhau can end and start again."""

    folder: Path
    port: int
    name: str
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def start(self) -> None:
        self.compute: Compute = self._running.enter_context(compute(self.folder, self.port, name=self.name))

    def stop(self) -> None:
        self._running.close()

    def kill(self) -> None:
        os.kill(self.compute.pid, signal.SIGKILL)

    def cli(self) -> BacalhauCli:
        return BacalhauCli(
            draining=str(self.folder / "draining"), agent=f"http://127.0.0.1:{self.compute.api}/api/v1/agent"
        )


class WatchedNode(BacalhauCli):
    """What the watcher does with a node, without systemd and containers."""

    def __init__(self, node: Node) -> None:
        agent = f"http://127.0.0.1:{node.compute.api}/api/v1/agent"
        super().__init__(draining=str(node.folder / "draining"), agent=agent)
        self._node = node

    def stop_bacalhau(self) -> str:
        self._node.stop()
        return ""

    def stop_containers(self) -> str:
        return ""


class WatchedService(watchdog.WatchedBacalhau):
    """What the watchdog looks at and restarts."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def pid(self) -> int:
        return self._node.compute.pid

    def expected(self) -> bool:
        return True

    def restart(self) -> str:
        self._node.stop()
        self._node.start()
        return ""


@contextlib.contextmanager
def three_nodes(folder: Path, port: int) -> Iterator[list[Node]]:
    nodes = [Node(folder / name, port, f"bacalhau-{name}") for name in ("a", "b", "c")]
    with contextlib.ExitStack() as stack:
        for node in nodes:
            node.folder.mkdir()
            node.start()
            stack.callback(node.stop)
        yield nodes


@contextlib.contextmanager
def working(folder: Path) -> Iterator[tuple[Node, list[Node]]]:
    """The node that runs a job, and the others."""
    with orchestrator(folder) as server, three_nodes(folder, server.nats) as nodes:
        until("all nodes are connected", lambda: connected(server) == len(nodes), seconds=PATIENCE_S)
        ask(server.api, "orchestrator/jobs", body={"Job": wasm_job("work", sleeping(HOUR_S))})
        until("the job runs", lambda: any(runs(node) for node in nodes), seconds=PATIENCE_S)
        busy = next(node for node in nodes if runs(node))
        yield busy, [node for node in nodes if node is not busy]


def connected(server: Orchestrator) -> int:
    nodes = ask(server.api, "orchestrator/nodes")["Nodes"]
    return sum(
        node["Info"]["NodeType"] == "Compute" and node["ConnectionState"]["Status"] == "CONNECTED"
        for node in nodes
    )


def runs(node: Node) -> bool:
    return bool(node.cli().running())


def moved(lose: Callable[[Node], None]) -> Callable[[Path], float]:
    """Seconds from the begin of a loss until the job runs on another node, or on the same one again."""

    def measure(folder: Path) -> float:
        with working(folder) as (busy, others):
            first = busy.cli().running() or frozenset()
            began = time.monotonic()
            threading.Thread(target=lose, args=(busy,), daemon=True).start()

            def elsewhere() -> bool:
                return any(runs(node) for node in others) or bool((busy.cli().running() or first) - first)

            until("the job runs again", elsewhere, seconds=PATIENCE_S)
            return time.monotonic() - began

    return measure


def watched(grace_s: int) -> Callable[[Node], None]:
    """The notice appears just after a look of the watcher: the worst case."""

    def lose(node: Node) -> None:
        ends = dt.datetime.now(tz=dt.UTC) + dt.timedelta(seconds=NOTICE_S)
        notice = {"action": "terminate", "time": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
        server = MetadataServer()
        publish = threading.Timer(0.2, server.values.update, [{"spot/instance-action": json.dumps(notice)}])
        publish.start()
        InterruptionWatcher(
            Metadata(server.url),
            WatchedNode(node),
            WatchClock(),
            lambda *_: None,
            grace_s,
            str(node.folder / "interruption.json"),
        ).run()
        server.close()

    return lose


def orderly_shutdown(node: Node) -> None:
    time.sleep(NOTICE_S)
    node.stop()


def power_off(node: Node) -> None:
    time.sleep(NOTICE_S)
    node.kill()


def crash(node: Node) -> None:
    node.kill()


def crash_and_restart(node: Node) -> None:
    node.kill()
    time.sleep(RESTART_S)
    node.start()


def refused(*, guarded: bool) -> Callable[[Path], float]:
    """Seconds from the return of the right token until the node is connected; PATIENCE_S: not within this time."""

    def measure(folder: Path) -> float:
        with contextlib.ExitStack() as stack:
            with orchestrator(folder) as server:
                node = Node(folder, server.nats, "bacalhau-a")
                node.start()
                stack.callback(node.stop)
                until("the node is connected", lambda: connected(server) == 1, seconds=PATIENCE_S)
                ports = (server.nats, server.api)
            if guarded:
                stop = threading.Event()
                stack.callback(stop.set)
                threading.Thread(target=guard, args=(node, stop), daemon=True).start()
            log = folder / "node.log"
            with orchestrator(folder, token=OTHER, ports=ports):
                until(
                    "it gives up",
                    lambda: "failed to cleanup existing components" in log.read_text(),
                    seconds=PATIENCE_S,
                )
            with orchestrator(folder, ports=ports):
                began = time.monotonic()
                while time.monotonic() - began < PATIENCE_S:
                    if join_check.connections(node.compute.pid, {ports[0]}):
                        break
                    time.sleep(0.5)
                return time.monotonic() - began

    return measure


def guard(node: Node, stop: threading.Event) -> None:
    dog = watchdog.Watchdog([f"nats://127.0.0.1:{node.port}"], WatchedService(node), say=lambda *_: None)
    while not stop.wait(watchdog.CHECK_INTERVAL_S):
        dog.check()


CASES = {
    "notice, grace_s 0": moved(watched(0)),
    "notice, grace_s 75": moved(watched(75)),
    "notice, no watcher, orderly shutdown": moved(orderly_shutdown),
    "notice, no watcher, power off": moved(power_off),
    "kill -9, restarted after 5 s": moved(crash_and_restart),
    "kill -9, not restarted": moved(crash),
    "refused token, watchdog": refused(guarded=True),
    "refused token, no watchdog": refused(guarded=False),
}
# Each case relative to the one without the node's programs.
BASELINES = {
    "notice, grace_s 0": "notice, no watcher, orderly shutdown",
    "notice, grace_s 75": "notice, no watcher, orderly shutdown",
    "kill -9, restarted after 5 s": "kill -9, not restarted",
    "refused token, watchdog": "refused token, no watchdog",
}


def main() -> None:
    if not PROGRAM:
        raise SystemExit(WITHOUT)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(CASES)) as pool:

        def run(number: int, case: str) -> float:
            here = Path(folder, str(number))
            here.mkdir()
            time.sleep(10 * number)  # not all starts at once
            seconds = round(CASES[case](here), 1)
            print(f"{case}: {seconds} s", file=sys.stderr, flush=True)  # noqa: T201 -- its purpose
            return seconds

        waiting = {case: pool.submit(run, number, case) for number, case in enumerate(CASES)}
        found = {case: each.result() for case, each in waiting.items()}
    ratios = {case: round(found[case] / found[other], 2) for case, other in BASELINES.items()}
    print(json.dumps({"seconds": found, "ratios": ratios}, indent=1))  # noqa: T201 -- likewise


if __name__ == "__main__":
    main()
