"""Measures how calls, time and memory of each command grow with nodes and with regions.

    uv run python benchmarks/growth.py [--long] [--json] [--latency 0.08]

The cluster is an hour old for every command but `create`, because AWS's lists omit nothing of it by then. The client's
processor time and peak memory are those of its process; the sandbox's processor time is measured apart. `--long` goes to
2,000 nodes and 30 regions.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from figures import Row

from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT, OPT_IN
from aws_spot_sandbox.server import Sandbox
from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Settings, World

if TYPE_CHECKING:
    from collections.abc import Iterable

CONFIG = """\
nodes: {nodes}
regions: [{regions}]
instance_types: [t3.medium, t3a.medium]
ssh_cidrs: [192.0.2.0/24]
orchestrator: none
bacalhau: {{verify_archive: false}}
"""
COMMANDS = ("create", "list", "status", "destroy")
ASKED_FIRST = frozenset({"create", "destroy"})
# Pairs of nodes and regions.
SHORT = ((10, 5), (100, 5), (300, 5), (34, 1), (34, 10), (34, 17))
LONG = ((10, 20), (100, 20), (500, 20), (1000, 20), (2000, 20), (60, 1), (60, 10), (60, 20), (60, 30))
# 30 nodes in each of 30 regions, with AWS's token buckets.
THROTTLED = ((900, 30),)
MEMORY_LIMIT_MB = 300.0
AGE_S = 3600.0
LOOK_S = 0.02  # between two readings of the memory
THROTTLING_CODES = frozenset({"RequestLimitExceeded", "Throttling"})


@dataclass(frozen=True)
class Run:
    """One command: wall and processor seconds, peak memory, and the outcomes of its calls."""

    wall_s: float
    client_s: float
    sandbox_s: float
    peak_mb: float
    calls: int
    throttled: int


def peak_memory_kb(pid: int) -> int:
    """The program's own (proc(5), VmHWM): `ru_maxrss` includes that of the process that started it. 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except ProcessLookupError:
        return 0
    lines = (line.split() for line in status.splitlines())
    return next((int(words[1]) for words in lines if words[:1] == ["VmHWM:"]), 0)


def run(command: str, folder: Path, sandbox: Sandbox, *options: str) -> Run:
    """Raises RuntimeError if the command fails. `status` without an orchestrator may exit with 1."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": sandbox.url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_CONFIG_FILE": str(folder / "none"),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    line = [sys.executable, "-m", "bacalhau_spot", command, "-o", "json"]
    line += [*options, *(["--yes"] if command in ASKED_FIRST else [])]
    first, sandbox_s, began = len(sandbox.world.calls), time.process_time(), time.monotonic()
    with (folder / "out").open("w") as out:
        process = subprocess.Popen(line, cwd=folder, env=environ, stdout=out, stderr=subprocess.DEVNULL)  # noqa: S603 - ourselves
        peak_kb, ended = 0, 0
        while not ended:
            peak_kb = max(peak_kb, peak_memory_kb(process.pid))
            time.sleep(LOOK_S)
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
    wall_s = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in ({0, 1} if command == "status" else {0}):
        raise RuntimeError(
            f"{command}: exit code {process.returncode}: {(folder / 'out').read_text()[-500:]}"
        )
    outcomes = Counter(outcome for _, _, outcome in sandbox.world.calls[first:])
    return Run(
        wall_s=wall_s,
        client_s=usage.ru_utime + usage.ru_stime,
        sandbox_s=time.process_time() - sandbox_s,
        peak_mb=peak_kb / 1024,
        calls=outcomes.total(),
        throttled=sum(outcomes[code] for code in THROTTLING_CODES),
    )


def life(nodes: int, regions: int, *, latency_s: float, throttle: bool, sandbox: Sandbox) -> dict[str, Run]:
    """A cluster from its creation to its deletion. All regions with nodes are enabled."""
    names = (*ENABLED_BY_DEFAULT, *OPT_IN)[:regions]
    settings = Settings(
        latency_s=latency_s,
        pending_s=0,
        terminate_s=0,
        throttle=throttle,
        opted_in=[name for name in names if name in OPT_IN],
        # AWS raises the quota of an account that runs so many.
        spot_vcpu_quota={"*": 100_000},
    )
    sandbox.reset(World(settings=settings))
    runs: dict[str, Run] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(CONFIG.format(nodes=nodes, regions=", ".join(names)))
        for command in COMMANDS:
            before_s = AGE_S if command == "create" else 0.0
            sandbox.world.now = lambda before_s=before_s: time.time() - before_s  # type: ignore[misc]
            runs[command] = run(command, folder, sandbox)
    return runs


def rows_of(nodes: int, regions: int, runs: dict[str, Run]) -> list[Row]:
    return [
        row
        for command, one in runs.items()
        for row in (
            Row(f"{command}, {nodes} nodes in {regions} regions: calls", one.calls, "calls"),
            Row(f"{command}, {nodes} nodes in {regions} regions: time", round(one.wall_s, 2), "s"),
            Row(f"{command}, {nodes} nodes in {regions} regions: CPU", round(one.client_s, 2), "s"),
            Row(
                f"{command}, {nodes} nodes in {regions} regions: CPU of the sandbox",
                round(one.sandbox_s, 2),
                "s",
            ),
            Row(
                f"{command}, {nodes} nodes in {regions} regions: peak memory",
                round(one.peak_mb),
                "MB",
                MEMORY_LIMIT_MB,
            ),
            Row(f"{command}, {nodes} nodes in {regions} regions: throttled", one.throttled, "calls", 0),
        )
    ]


def rows(sizes: Iterable[tuple[int, int]], *, throttle: bool = False) -> list[Row]:
    """Of clusters of these numbers of nodes and regions, without latency."""
    sandbox = Sandbox(World())
    sandbox.start()
    try:
        return [
            row
            for nodes, regions in sizes
            for row in rows_of(
                nodes, regions, life(nodes, regions, latency_s=0.0, throttle=throttle, sandbox=sandbox)
            )
        ]
    finally:
        sandbox.stop()


def bars(points: list[tuple[str, float]], *, width: int = 40) -> list[str]:
    """A horizontal bar for each value, relative to the largest."""
    largest = max((value for _, value in points), default=0.0) or 1.0
    return [f"{label:>24} {'#' * round(value / largest * width)} {value:g}" for label, value in points]


def plot(measured: dict[tuple[int, int], dict[str, Run]]) -> None:
    for command in COMMANDS:
        for title, value in (
            ("calls", lambda one: float(one.calls)),
            ("CPU of the client, s", lambda one: round(one.client_s, 2)),
            ("CPU of the sandbox, s", lambda one: round(one.sandbox_s, 2)),
            ("peak memory, MB", lambda one: float(round(one.peak_mb))),
        ):
            points = [
                (f"{nodes} in {regions} regions", value(runs[command]))
                for (nodes, regions), runs in measured.items()
            ]
            print(f"\n{command}: {title}", *bars(points), sep="\n")  # noqa: T201 - its purpose


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--long", action="store_true", help="to 2,000 nodes and 30 regions")
    options.add_argument("--json", action="store_true", help="the rows as JSON")
    options.add_argument("--latency", type=float, default=0.0, help="seconds a call")
    options.add_argument("--throttle", action="store_true", help="with AWS's token buckets")
    options.add_argument("--only", default="", help="nodes:regions, instead of the list")
    chosen = options.parse_args()
    sandbox = Sandbox(World())
    sandbox.start()
    sizes = LONG if chosen.long else SHORT
    if chosen.only:
        nodes, _, regions = chosen.only.partition(":")
        sizes = ((int(nodes), int(regions)),)
    measured: dict[tuple[int, int], dict[str, Run]] = {}
    for nodes, regions in sizes:
        measured[nodes, regions] = life(
            nodes, regions, latency_s=chosen.latency, throttle=chosen.throttle, sandbox=sandbox
        )
    sandbox.stop()
    found = [row for (nodes, regions), runs in measured.items() for row in rows_of(nodes, regions, runs)]
    if chosen.json:
        print(json.dumps([row._asdict() for row in found], indent=1))  # noqa: T201 - its purpose
        return
    plot(measured)
    for row in found:
        if row.is_exceeded and row.limit is not None:
            print(f"above the limit: {row.name}: {row.value:g} {row.unit}, {row.limit:g} allowed")  # noqa: T201 - likewise


if __name__ == "__main__":
    main()
