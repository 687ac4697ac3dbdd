"""AWS's request-token buckets in ordinary work, and the limiter that keeps below them.

    uv run python benchmarks/token_buckets.py

Without latency, so that calls follow one another as fast as they can. The sandbox's buckets are those that AWS documents, for
each region. First all commands with 30 nodes in each of 30 regions. Then 500 nodes in one region, where `status` reads the
console of each node: with the limiter, without it, and without buckets either.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from clusters import Run, Size, User, first_regions, user
from figures import Row, is_exceeded, table

from aws_spot_sandbox.regions import OPT_IN
from aws_spot_sandbox.state import Settings

REGIONS = 30
NODES = 30 * REGIONS
CROWD = 500
COMMANDS = ("create", "list", "status", "cost", "destroy", "nuke")
OPTIONS = {"create": ["--yes"], "destroy": ["--yes"], "nuke": ["--force"]}
# The program, whose limiter lets every call pass.
WITHOUT = """
from bacalhau_spot.core.backoff import Bucket
from bacalhau_spot.engine.aws_calls import caller
caller._READS = caller._WRITES = Bucket.full(burst=1e9, per_s=1e9)
from bacalhau_spot.cli import main
main()
"""
_EXITS = frozenset({0, 1})  # of `status`, without an orchestrator


@dataclass(frozen=True)
class Mode:
    limiter: bool
    buckets: bool


def life(
    someone: User, *, nodes: int, regions: int, mode: Mode, commands: tuple[str, ...] = COMMANDS
) -> dict[str, Run]:
    """The commands of one cluster's life."""
    names = first_regions(regions)
    size = Size(nodes, names, tuple(name for name in names if name in OPT_IN))
    settings = Settings(
        pending_s=0,
        terminate_s=0,
        throttle=mode.buckets,
        opted_in=list(size.opted_in),
        spot_vcpu_quota={"*": 100_000},  # AWS raises the quota of an account that runs so many
    )
    someone.configures(size, settings)
    someone.is_new()
    program = [sys.executable, *(["-m", "bacalhau_spot"] if mode.limiter else ["-c", WITHOUT])]
    runs: dict[str, Run] = {}
    for command in commands:
        exits = _EXITS if command == "status" else frozenset({0})
        line = [*program, command, "-o", "json", *OPTIONS.get(command, [])]
        runs[command] = someone.runs_program(line, exits=exits)
        someone.ages()
    return runs


def rows() -> list[Row]:
    """The refused calls of ordinary work, and what the limiter costs and prevents in one region."""
    with user() as someone:
        someone.configures(Size(1, first_regions(1)), Settings())
        someone.runs("list")  # compiles modules and cuts models
        return [*_ordinary_rows(someone), *_crowd_rows(someone)]


def _ordinary_rows(someone: User) -> list[Row]:
    runs = life(someone, nodes=NODES, regions=REGIONS, mode=Mode(limiter=True, buckets=True))
    section = f"AWS's token buckets, {NODES} nodes in {REGIONS} regions, no latency"
    return [
        row
        for command, run in runs.items()
        for row in (
            Row(f"`{command}`: calls", run.calls.total(), "calls", section=section),
            Row(f"`{command}`: refused calls", run.refused, "calls", 0, section=section),
        )
    ]


def _crowd_rows(someone: User) -> list[Row]:
    """`create` and `status` in one region, in each mode."""
    modes = {
        "with the limiter": Mode(limiter=True, buckets=True),
        "without it": Mode(limiter=False, buckets=True),
        "without limiter and buckets": Mode(limiter=False, buckets=False),
    }
    section = f"The limiter, `status` of {CROWD} nodes in one region"
    found: list[Row] = []
    for name, mode in modes.items():
        runs = life(someone, nodes=CROWD, regions=1, mode=mode, commands=("create", "status"))
        limit = 0 if mode.limiter else None
        found += [
            Row(f"calls, {name}", runs["status"].calls.total(), "calls", section=section),
            Row(f"refused calls, {name}", runs["status"].refused, "calls", limit, section=section),
            Row(f"time, {name}", runs["status"].wall_s, "s", section=section),
        ]
    return found


def main() -> int:
    """Print the figures, and return 1 if a limit is exceeded."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    found = rows()
    sys.stdout.write(table(found))
    return 1 if is_exceeded(found) else 0


if __name__ == "__main__":
    sys.exit(main())
