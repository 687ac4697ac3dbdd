"""The time of `create` as a multiple of its chain of calls, without the sandbox's processor time.

    uv run python benchmarks/create_chain.py [--runs 7] [--latency 0.08]

One `create` is recorded against the sandbox. Then `create` runs again and again from the same start, and gets the recorded
answers, each after the latency. AWS's own delays are 0 here, which is the hardest case: a fleet that takes seconds is in the time
and in the chain. The sandbox, which answers a round of fifty calls one by one, is measured apart.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from clusters import BARE, CONFIG, ENABLED, LATENCY_S, account, first_regions
from figures import Row, is_exceeded, table
from processes import Process, run_process
from recorded import Recorded

from aws_spot_sandbox.regions import OPT_IN
from aws_spot_sandbox.server import Sandbox
from aws_spot_sandbox.state import Settings, World

REGIONS = (*first_regions(9), "us-west-1")
# Asserted by tests/cli/test_call_chain.py: account, lists, market; lock, template, VPC, attachment, route, fleet, look, release.
CHAIN = 11
SECTION = "`create` with recorded answers: without the sandbox's processor time"
_RUNS = 7


def _run(home: Path, url: str, *arguments: str) -> Process:
    """Raises RuntimeError if it fails."""
    line = [sys.executable, *arguments]
    process = run_process(line, folder=home, environ=account(home, url))
    if process.exit_code:
        raise RuntimeError(f"{arguments}: {process.output[-500:]}")
    return process


def rows(*, runs: int = _RUNS, latency_s: float = LATENCY_S) -> list[Row]:
    """Medians of `runs` runs after the recorded one."""
    sandbox = Sandbox(World(settings=Settings(pending_s=0, opted_in=list(OPT_IN))))
    sandbox.start()
    endpoint = Recorded(sandbox.url, latency_s=latency_s)
    try:
        with tempfile.TemporaryDirectory() as name:
            return _rows(Path(name), sandbox, endpoint, runs=runs, latency_s=latency_s)
    finally:
        endpoint.stop()
        sandbox.stop()


def _rows(root: Path, sandbox: Sandbox, endpoint: Recorded, *, runs: int, latency_s: float) -> list[Row]:
    start = root / "start"
    start.mkdir()
    (start / "config.yaml").write_text(CONFIG.format(nodes=30, regions=", ".join(REGIONS)))
    _run(start, sandbox.url, "-m", "bacalhau_spot", "list")  # compiles modules and cuts the models
    before_s = time.process_time()
    _create(start, root, endpoint)
    sandbox_s = time.process_time() - before_s
    endpoint.recording = False
    taken = [_create(start, root, endpoint) for _ in range(runs)]
    bare_s = statistics.median(_run(start, endpoint.url, "-c", BARE).cpu_s for _ in range(min(runs, 5)))
    if endpoint.unknown:
        raise RuntimeError(f"not recorded: {endpoint.unknown[:3]}")
    wall_s = statistics.median(process.wall_s for process in taken)
    where = f"`create`, 30 nodes in {len(REGIONS)} of {ENABLED} regions"
    found = [
        Row(f"time of {where}, recorded answers", wall_s, "s"),
        Row(
            f"the same, as a multiple of {CHAIN} calls one after the other",
            wall_s / (CHAIN * latency_s),
            "x",
            1.5,
        ),
        Row(
            f"CPU of {where}, to that of a bare boto3 script",
            statistics.median(process.cpu_s for process in taken) / bare_s,
            "x",
            3.0,
        ),
        Row(f"calls of {where}", endpoint.calls, "calls"),
        Row(f"CPU of the sandbox for {where}", sandbox_s, "s"),
    ]
    return [row._replace(section=SECTION) for row in found]


def _create(start: Path, root: Path, endpoint: Recorded) -> Process:
    """In a copy of the folder: each run begins with the same files."""
    folder = root / "run"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(start, folder)
    endpoint.start_over()
    return _run(folder, endpoint.url, "-m", "bacalhau_spot", "create", "--yes", "-o", "json")


def main() -> int:
    """Print the figures, and return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=_RUNS)
    parser.add_argument("--latency", type=float, default=LATENCY_S, help="seconds a call")
    options = parser.parse_args()
    found = rows(runs=options.runs, latency_s=options.latency)
    sys.stdout.write(table(found))
    return 1 if is_exceeded(found) else 0


if __name__ == "__main__":
    sys.exit(main())
