"""CPU and memory of the way to AWS, as ratios to a bare boto3 script in the same run.

    uv run python benchmarks/aws_client.py [--runs 7] [--latency 0.08]

The bare script imports boto3 and makes one EC2 client, without a call. The sandbox is in this process, so that its CPU
does not count. The first run of each command, which compiles modules and cuts the service models, does not count either.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from figures import Row, is_exceeded, table

from aws_spot_sandbox.regions import OPT_IN
from aws_spot_sandbox.server import Sandbox
from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Settings, World

BARE = "import boto3; boto3.client('ec2', region_name='us-east-1')"
CONFIG = """\
nodes: {nodes}
regions: [{regions}]
instance_types: [t3.medium, t3a.medium]
ssh_cidrs: [192.0.2.0/24]
orchestrator: none
bacalhau: {{verify_archive: false}}
"""
FOUR = ("us-west-1", "us-east-2", "eu-west-1", "ap-southeast-1")
TEN = (*FOUR, "us-east-1", "us-west-2", "eu-west-2", "eu-central-1", "ap-southeast-2", "ap-northeast-1")
# Starts a command and reports its CPU and its peak memory. A process inherits the peak of its parent, which is large here.
LAUNCHER = """
import json, os, sys
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
json.dump([status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024], sys.stderr)
"""
_RUNS = 7
_LATENCY_S = 0.08


@dataclass(frozen=True)
class Cluster:
    """One account with one cluster. `limits`: of CPU, by command."""

    enabled: int
    nodes: int
    regions: tuple[str, ...]
    opted_in: tuple[str, ...]
    limits: dict[str, float | None]

    @property
    def label(self) -> str:
        return f"{self.nodes} nodes in {len(self.regions)} of {self.enabled} regions"


CLUSTERS = (
    Cluster(17, 12, FOUR, (), {"create": None, "list": 1.5}),
    Cluster(38, 30, TEN, OPT_IN, {"create": 3.0, "list": None}),
)
MEMORY_LIMIT_MB = 120.0


@dataclass
class _User:
    """A user with a home of his own, whose modules are compiled and whose files are kept."""

    home: Path
    url: str

    def run(self, *command: str) -> tuple[float, float]:
        """CPU in seconds and peak memory in MB. Ends the program if the command fails."""
        environ = {
            **{name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LC_ALL"}},
            "HOME": str(self.home),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_CONFIG_FILE": str(self.home / "none"),
        }
        result = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-S", "-c", LAUNCHER, sys.executable, *command],
            check=True,
            cwd=self.home,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        status, cpu_s, memory_mb = json.loads(result.stderr.splitlines()[-1])
        if status:
            sys.exit(f"{' '.join(command)} failed:\n{result.stdout}\n{result.stderr}")
        return cpu_s, memory_mb


def rows(*, runs: int = _RUNS, latency_s: float = _LATENCY_S) -> list[Row]:
    """The medians of `runs` runs, taken in turn, as multiples of the bare script's; and peak memory."""
    sandbox = Sandbox(World())
    sandbox.start()
    try:
        with tempfile.TemporaryDirectory() as home:
            user = _User(Path(home), sandbox.url)
            return [row for cluster in CLUSTERS for row in _of(cluster, sandbox, user, runs, latency_s)]
    finally:
        sandbox.stop()


def _of(cluster: Cluster, sandbox: Sandbox, user: _User, runs: int, latency_s: float) -> list[Row]:
    (user.home / "config.yaml").write_text(
        CONFIG.format(nodes=cluster.nodes, regions=", ".join(cluster.regions))
    )
    taken: dict[str, list[tuple[float, float]]] = {"bare": [], "create": [], "list": []}
    for _ in range(runs + 1):
        settings = Settings(latency_s=latency_s, pending_s=0, terminate_s=0, opted_in=list(cluster.opted_in))
        sandbox.reset(World(settings=settings))
        taken["bare"].append(user.run("-c", BARE))
        taken["create"].append(user.run("-m", "bacalhau_spot", "create", "--yes", "-o", "json"))
        taken["list"].append(user.run("-m", "bacalhau_spot", "list", "-o", "json"))
    cpu_s = {name: statistics.median(cpu for cpu, _ in found[1:]) for name, found in taken.items()}
    found = [Row(f"CPU of a bare boto3 script ({cluster.enabled} regions)", cpu_s["bare"], "s", None)]
    for command, limit in cluster.limits.items():
        memory_mb = max(memory for _, memory in taken[command][1:])
        found += [
            Row(f"CPU of `{command}`, {cluster.label}", cpu_s[command] / cpu_s["bare"], "x", limit),
            Row(f"peak memory of `{command}`, {cluster.label}", memory_mb, "MB", MEMORY_LIMIT_MB),
        ]
    return found


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
