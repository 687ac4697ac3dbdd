"""Time and calls of each command in an account with all 38 regions, at 80 ms a call: 30 nodes in 10 of them.

    uv run python benchmarks/commands.py [--runs 3] [--latency 0.08]

A bound on time is a multiple of the calls that must follow one another; AWS's own delays are 0 here. The sandbox is in this
process, so that both share the cores of the machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from figures import Row, is_exceeded, table
from growth import CONFIG, Run, run

from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT, OPT_IN
from aws_spot_sandbox.server import Sandbox
from aws_spot_sandbox.state import Settings, World

NODES = 30
REGIONS = (*ENABLED_BY_DEFAULT[:9], "us-west-1")
ENABLED = len(ENABLED_BY_DEFAULT) + len(OPT_IN)
EMPTY = ENABLED - len(REGIONS)
_RUNS = 3
_LATENCY_S = 0.08
AGE_S = 3600.0


@dataclass(frozen=True)
class Bound:
    """`chain`: calls that must follow one another; `pause_s`: seconds that the command waits for AWS's lists on purpose.

    `calls`: the most in a region with nodes; `empty`: in one without.
    """

    command: tuple[str, ...]
    chain: int
    times: float | None
    pause_s: float = 0.0
    calls: int | None = None
    empty: int | None = None


# The chains: identity, regions, lists, types, prices; template, VPC, gateway, attachment, route, version, fleet, look.
# destroy: identity, regions, lock, index, kinds, one deletion and one look for each rank of the order, the final scan.
BOUNDS = (
    Bound(("create",), chain=13, times=1.5, empty=1),
    Bound(("list",), chain=3, times=None, empty=1),
    Bound(("destroy",), chain=17, times=None, pause_s=3.0, calls=30, empty=3),
    Bound(("nuke", "--force"), chain=4, times=None, pause_s=0.0, empty=3),
)


def rows(*, runs: int = _RUNS, latency_s: float = _LATENCY_S) -> list[Row]:
    """The medians of `runs` lives of one cluster. `nuke` finds nothing left."""
    sandbox = Sandbox(World())
    sandbox.start()
    try:
        lives = [_life(sandbox, latency_s) for _ in range(runs)]
    finally:
        sandbox.stop()
    return [row for bound in BOUNDS for row in _rows(bound, lives, latency_s)]


def _life(sandbox: Sandbox, latency_s: float) -> dict[str, tuple[Run, Counter[str]]]:
    settings = Settings(latency_s=latency_s, pending_s=0, terminate_s=0, opted_in=list(OPT_IN))
    sandbox.reset(World(settings=settings))
    taken: dict[str, tuple[Run, Counter[str]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(CONFIG.format(nodes=NODES, regions=", ".join(REGIONS)))
        run("list", folder, sandbox)  # cuts the models, as on the first day
        for bound in BOUNDS:
            # An hour old after `create`: AWS's lists omit nothing by then.
            before_s = AGE_S if bound.command[0] == "create" else 0.0
            sandbox.world.now = lambda before_s=before_s: time.time() - before_s  # type: ignore[misc]
            first = len(sandbox.world.calls)
            done = run(bound.command[0], folder, sandbox, *bound.command[1:])
            calls = Counter(region for region, _, _ in sandbox.world.calls[first:])
            taken[bound.command[0]] = done, calls
    return taken


def _rows(bound: Bound, lives: list[dict[str, tuple[Run, Counter[str]]]], latency_s: float) -> list[Row]:
    name = bound.command[0]
    where = f"`{name}`, {NODES} nodes in {len(REGIONS)} of {ENABLED} regions"
    need_s = bound.chain * latency_s + bound.pause_s
    wall_s = statistics.median(life[name][0].wall_s for life in lives)
    calls = [life[name][1] for life in lives]
    own = max(count[region] for count in calls for region in REGIONS)
    empty = max(
        (
            number
            for count in calls
            for region, number in count.items()
            if region not in {*REGIONS, "", "us-east-1"}
        ),
        default=0,
    )
    return [
        Row(f"time of {where}", wall_s, "s", None),
        Row(f"time of {where}, as a multiple of its chain of calls", wall_s / need_s, "x", bound.times),
        Row(f"calls of {where}", statistics.median(count.total() for count in calls), "calls", None),
        Row(f"calls of {where}, in the busiest of these regions", own, "calls", bound.calls),
        Row(f"calls of {where}, in an empty region at most", empty, "calls", bound.empty),
    ]


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
