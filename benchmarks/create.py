"""Times create, list and destroy with 80 ms per call, relative to the time of their chain of dependent calls.

    uv run python benchmarks/create.py [--latency 0.08] [--runs 3]

The necessary time is the longest chain of dependent calls times the latency. The result is the ratio of both within one run,
so that it holds on a slower machine, too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from aws_spot_sandbox.server import Sandbox
from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Settings, World

# Calls in a row, each needing the answer of the one before, without polls.
CHAINS = {
    # who, where, what is there, which types, prices; template, VPC, gateway, attach, route, version, fleet, look
    "create": 13,
    "list": 3,
    # who, where, lock, instances, index, kinds, VPC of the gateway; fleet, look, index; detach, gateway, index, VPC, index;
    # unlock
    "destroy": 16,
}
# The cluster is that old before it is destroyed: AWS's lists omit nothing of it, so that nothing is waited for.
AGE_S = 3600.0

CONFIG = """\
nodes: {nodes}
regions: [us-west-1, us-east-2, eu-west-1, ap-southeast-1]
instance_types: [t3.medium, t3a.medium]
ssh_cidrs: [192.0.2.0/24]
orchestrator: none
bacalhau: {{verify_archive: false}}
"""


def run(command: str, folder: Path, url: str) -> float:
    """Seconds that one command takes as a process of its own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_CONFIG_FILE": str(folder / "none"),
    }
    line = [
        sys.executable,
        "-m",
        "bacalhau_spot",
        command,
        "-o",
        "json",
        *(["--yes"] if command != "list" else []),
    ]
    began = time.monotonic()
    done = subprocess.run(line, cwd=folder, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
    took = time.monotonic() - began
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}: {json.loads(done.stdout)['errors']}")
    return took


def calls_by_region(world: World, start: int) -> Counter[str]:
    return Counter(region for region, action, _ in world.calls[start:] if action != "ec2:DescribeInstances")


def life(nodes: int, latency_s: float, sandbox: Sandbox) -> tuple[dict[str, float], Counter[str]]:
    """Seconds per command, and calls per region of the create, of one cluster's life."""
    sandbox.reset(World(settings=Settings(latency_s=latency_s, pending_s=0, terminate_s=0)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(CONFIG.format(nodes=nodes))
        sandbox.world.now = lambda: time.time() - AGE_S
        took = {"create": run("create", folder, sandbox.url)}
        sandbox.world.now = time.time
        calls = calls_by_region(sandbox.world, 0)
        took |= {command: run(command, folder, sandbox.url) for command in ("list", "destroy")}
    return took, calls


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--latency", type=float, default=0.08, help="seconds a call")
    options.add_argument("--runs", type=int, default=3)
    chosen = options.parse_args()
    sandbox = Sandbox(World())
    sandbox.start()
    print("| nodes | command | seconds | necessary | ratio | calls in the busiest region |")  # noqa: T201 - its purpose
    print("|---|---|---|---|---|---|")  # noqa: T201 - likewise
    for nodes in (12, 40, 200):
        lives = [life(nodes, chosen.latency, sandbox) for _ in range(chosen.runs)]
        for command, chain in CHAINS.items():
            seconds = statistics.median(took[command] for took, _ in lives)
            need = chain * chosen.latency
            most = str(max(lives[0][1].values())) if command == "create" else ""
            print(f"| {nodes} | {command} | {seconds:.2f} | {need:.2f} | {seconds / need:.2f} | {most} |")  # noqa: T201 - likewise
    sandbox.stop()


if __name__ == "__main__":
    main()
