"""The time of `create` as a multiple of its chain of calls, without the sandbox's processor time.

    uv run python benchmarks/create_chain.py [--runs 7] [--latency 0.08]

One `create` is recorded against the sandbox. Then `create` runs again and again from the same start, and gets the recorded
answers, each after the latency. AWS's own delays are 0 here, which is the hardest case: a fleet that takes seconds is in the time
and in the chain. The sandbox, which answers a round of fifty calls one by one, is measured apart.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from figures import Row, is_exceeded, table
from recorded import Recorded

from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT, OPT_IN
from aws_spot_sandbox.server import Sandbox
from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Settings, World

CONFIG = """\
nodes: 30
regions: [{regions}]
instance_types: [t3.medium, t3a.medium]
ssh_cidrs: [192.0.2.0/24]
orchestrator: none
bacalhau: {{verify_archive: false}}
"""
REGIONS = (*ENABLED_BY_DEFAULT[:9], "us-west-1")
# Asserted by tests/cli/test_call_chain.py: account, lists, market; lock, template, VPC, attachment, route, fleet, look, release.
CHAIN = 11
BARE = "import boto3; boto3.client('ec2', region_name='us-east-1')"
SECTION = "`create` with recorded answers: without the sandbox's processor time"
_RUNS = 7
_LATENCY_S = 0.08


@dataclass(frozen=True)
class _Program:
    folder: Path
    url: str

    def run(self, *arguments: str) -> tuple[float, float]:
        """Wall and processor seconds. Raises RuntimeError if it fails."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_CONFIG_FILE": str(self.folder / "none"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        began = time.monotonic()
        with (self.folder / "out").open("w") as out:
            process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, *arguments], cwd=self.folder, env=environ, stdout=out, stderr=out
            )
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{arguments}: {(self.folder / 'out').read_text()[-500:]}")
        return time.monotonic() - began, usage.ru_utime + usage.ru_stime


def rows(*, runs: int = _RUNS, latency_s: float = _LATENCY_S) -> list[Row]:
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
    (start / "config.yaml").write_text(CONFIG.format(regions=", ".join(REGIONS)))
    _Program(start, sandbox.url).run("-m", "bacalhau_spot", "list")  # compiles modules and cuts the models
    before_s = time.process_time()
    _create(start, root, endpoint)
    sandbox_s = time.process_time() - before_s
    endpoint.recording = False
    taken = [_create(start, root, endpoint) for _ in range(runs)]
    bare_s = statistics.median(_Program(start, endpoint.url).run("-c", BARE)[1] for _ in range(min(runs, 5)))
    if endpoint.unknown:
        raise RuntimeError(f"not recorded: {endpoint.unknown[:3]}")
    wall_s = statistics.median(wall for wall, _ in taken)
    where = f"`create`, 30 nodes in {len(REGIONS)} of {len(ENABLED_BY_DEFAULT) + len(OPT_IN)} regions"
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
            statistics.median(cpu for _, cpu in taken) / bare_s,
            "x",
            3.0,
        ),
        Row(f"calls of {where}", endpoint.calls, "calls"),
        Row(f"CPU of the sandbox for {where}", sandbox_s, "s"),
    ]
    return [row._replace(section=SECTION) for row in found]


def _create(start: Path, root: Path, endpoint: Recorded) -> tuple[float, float]:
    """In a copy of the folder: each run begins with the same files."""
    folder = root / "run"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(start, folder)
    endpoint.start_over()
    return _Program(folder, endpoint.url).run("-m", "bacalhau_spot", "create", "--yes", "-o", "json")


def main() -> int:
    """Print the figures, and return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=_RUNS)
    parser.add_argument("--latency", type=float, default=_LATENCY_S, help="seconds a call")
    options = parser.parse_args()
    found = rows(runs=options.runs, latency_s=options.latency)
    sys.stdout.write(table(found))
    return 1 if is_exceeded(found) else 0


if __name__ == "__main__":
    sys.exit(main())
