"""Time, processor time, memory and calls of each command on a cluster, at 80 ms a call.

    uv run python benchmarks/commands.py [--runs 5]

The unit of processor time is a script that imports boto3 and makes one EC2 client, without a call, in the same run. Round
trips are those that a command waits for: the difference between two latencies, in whole ones. A command's chain is the calls
that must follow one another, each with the answer of the one before.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clusters import BARE, LATENCY_S, Run, Size, User, first_regions, user
from create_chain import CHAIN
from figures import Row, is_exceeded, table

from aws_spot_sandbox.regions import OPT_IN
from aws_spot_sandbox.state import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 5
SLOW_RUNS = 2
SLOW_S = LATENCY_S + 0.4
MEMORY_MB = 120.0
# Global services and the list of regions answer here, besides EC2.
HOME_REGION = "us-east-1"


@dataclass(frozen=True)
class Bound:
    """The limits of a command; None: it has none.

    `chain`: calls that must follow one another. `times`: of the chain's time with AWS's own delays; `cpu`: of the bare script's;
    `calls`: in a region with nodes, `empty`: in one without; `trips`: round trips it waits for; `delayed_s`: with AWS's delays.
    """

    command: tuple[str, ...]
    chain: int | None = None
    times: float | None = None
    seconds: float | None = None
    delayed_s: float | None = None
    cpu: float | None = None
    calls: int | None = None
    empty: int | None = 1
    trips: int | None = None

    @property
    def name(self) -> str:
        return self.command[0]


@dataclass(frozen=True)
class Delays:
    """AWS's own. A new fleet's, an instance's until it runs, and one's until it is terminated."""

    fleet_s: float = 0.0
    pending_s: float = 0.0
    terminate_s: float = 0.0

    def of(self, command: str) -> float:
        return {"create": self.fleet_s + self.pending_s, "destroy": self.terminate_s}.get(command, 0.0)


@dataclass(frozen=True)
class Case:
    """A cluster, and the limits of its commands in the order of its life."""

    size: Size
    bounds: tuple[Bound, ...]


CREATE = Bound(("create",), chain=CHAIN, times=1.5, cpu=3.0)
LIST = Bound(("list",), trips=2)
SMALL = Case(
    Size(12, ("us-west-1", "us-east-2", "eu-west-1", "ap-southeast-1")),
    (Bound(("create",), cpu=3.0), replace(LIST, cpu=1.5)),
)
LARGE = Case(
    Size(30, (*first_regions(9), "us-west-1"), OPT_IN),
    (
        CREATE,
        LIST,
        Bound(("status",)),
        Bound(("destroy",), seconds=4.0, delayed_s=24.6, calls=30, empty=3),
        Bound(("nuke", "--force"), seconds=4.0, empty=3),
    ),
)
DELAYS = Delays(fleet_s=3.0, pending_s=5.0, terminate_s=20.0)
NONE = Delays()


@dataclass(frozen=True)
class Life:
    """A cluster's commands, and the bare script's processor time, from one run."""

    runs: dict[str, Run]
    bare_s: float


def life(user: User, case: Case, *, latency_s: float = LATENCY_S, delays: Delays = NONE) -> Life:
    """From `create` to `nuke`, which finds nothing left. The bare script runs before and after, for their mean."""
    settings = Settings(
        latency_s=latency_s,
        fleet_s=delays.fleet_s,
        pending_s=delays.pending_s,
        terminate_s=delays.terminate_s,
        opted_in=list(case.size.opted_in),
    )
    user.configures(case.size, settings)
    user.is_new()
    bare = [_bare_s(user)]
    runs: dict[str, Run] = {}
    for bound in case.bounds:
        runs[bound.name] = user.runs(*bound.command)
        user.ages()
    bare.append(_bare_s(user))
    return Life(runs, statistics.mean(bare))


def _bare_s(user: User) -> float:
    return user.runs_program([sys.executable, "-c", BARE]).cpu_s


def rows(*, runs: int = RUNS) -> list[Row]:
    """The medians of `runs` lives of each cluster. The first life, which compiles modules and cuts models, does not count."""
    found: list[Row] = []
    for case in (SMALL, LARGE):
        with user() as someone:
            life(someone, case, latency_s=0.0)
            lives = [life(someone, case) for _ in range(runs)]
            slow = [life(someone, case, latency_s=SLOW_S) for _ in range(min(runs, SLOW_RUNS))]
            found += _rows(case, lives, slow)
            if case is LARGE:
                found += _delayed_rows(case, [life(someone, case, delays=DELAYS) for _ in slow])
    return found


def _rows(case: Case, lives: list[Life], slow: list[Life]) -> list[Row]:
    section = f"{case.size.label}, {LATENCY_S * 1000:.0f} ms a call"
    bare_s = statistics.median(one.bare_s for one in lives)
    found = [Row("CPU of a script that imports boto3 and makes one client", bare_s, "s", section=section)]
    for bound in case.bounds:
        measured = _of_command(case, bound, lives, slow)
        found += [
            row._replace(name=f"`{bound.name}`: {row.name}", section=section)
            for row in measured
            if row.value is not None
        ]
    return found


def _of_command(case: Case, bound: Bound, lives: list[Life], slow: list[Life]) -> list[Row]:
    def median(figure: Callable[[Run], float], of: list[Life] = lives) -> float:
        return statistics.median(figure(one.runs[bound.name]) for one in of)

    ratios = [one.runs[bound.name].cpu_s / one.bare_s for one in lives]
    wall_s = median(lambda run: run.wall_s)
    trips = (median(lambda run: run.wall_s, slow) - wall_s) / (SLOW_S - LATENCY_S)
    own = max(one.runs[bound.name].calls[region] for one in lives for region in case.size.regions)
    return [
        Row("time", wall_s, "s", bound.seconds),
        Row(
            "time, as a multiple of its chain of calls",
            wall_s / (bound.chain * LATENCY_S) if bound.chain else None,
            "x",
        ),  # the limit is that with AWS's delays, and of `create_chain.py`: here the sandbox shares the processor
        Row("round trips that it waits for", float(round(trips)), "", bound.trips),
        Row("CPU, as a multiple of the script's", statistics.median(ratios), "x", bound.cpu),
        Row("peak memory", median(lambda run: run.peak_mb), "MB", MEMORY_MB),
        Row("calls", median(lambda run: run.calls.total()), "calls"),
        Row("calls in the busiest region with nodes", own, "calls", bound.calls),
        Row("calls in an empty region", _most_in_empty(case, bound, lives), "calls", bound.empty),
    ]


def _most_in_empty(case: Case, bound: Bound, lives: list[Life]) -> int:
    known = {*case.size.regions, "", HOME_REGION}
    counts = (one.runs[bound.name].calls for one in lives)
    return max((calls[region] for calls in counts for region in calls if region not in known), default=0)


def _delayed_rows(case: Case, lives: list[Life]) -> list[Row]:
    section = (
        f"The same, with {DELAYS.fleet_s:.0f} s a fleet, {DELAYS.pending_s:.0f} s pending, "
        f"{DELAYS.terminate_s:.0f} s terminating"
    )
    found: list[Row] = []
    for bound in case.bounds:
        if delay_s := DELAYS.of(bound.name):
            wall_s = statistics.median(one.runs[bound.name].wall_s for one in lives)
            found.append(Row(f"`{bound.name}`: time", wall_s, "s", bound.delayed_s, section=section))
            if bound.chain:
                times = wall_s / (bound.chain * LATENCY_S + delay_s)
                name = f"`{bound.name}`: time, as a multiple of its chain of calls and delays"
                found.append(Row(name, times, "x", bound.times, section=section))
    return found


def main() -> int:
    """Print the figures, and return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    found = rows(runs=parser.parse_args().runs)
    sys.stdout.write(table(found))
    return 1 if is_exceeded(found) else 0


if __name__ == "__main__":
    sys.exit(main())
