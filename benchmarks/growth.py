"""Measures how calls, time and memory of each command grow with nodes and with regions.

    uv run python benchmarks/growth.py [--long] [--plot benchmarks/growth.svg]

The cluster is an hour old for every command but `create`, because AWS's lists omit nothing of it by then. There is no latency:
the time is processor time of the client and of the sandbox, which are measured apart. `watch` is `status --watch` of the
largest cluster, ended by Ctrl-C after 90 seconds. `--long` measures nine sizes, to 2,000 nodes and 30 regions, instead of four.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from clusters import Run, Size, User, first_regions, user
from figures import Row, is_exceeded, table

from aws_spot_sandbox.regions import OPT_IN
from aws_spot_sandbox.state import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

COMMANDS = ("create", "list", "status", "watch", "destroy")
# Numbers of nodes, in this number of regions; and numbers of regions, with this number of nodes.
REGIONS, NODES = 20, 60
SHORT = ((10, REGIONS), (2000, REGIONS), (NODES, 1), (NODES, 30))
LONG = (
    *((nodes, REGIONS) for nodes in (10, 100, 500, 1000, 2000)),
    *((NODES, regions) for regions in (1, 10, 20, 30)),
)
LARGEST = (2000, REGIONS)
MEMORY_MB = 300.0
WATCH_S = 90
MEASURES: dict[str, tuple[str, Callable[[Run], float]]] = {
    "calls": ("calls", lambda run: run.calls.total()),
    "CPU of the client": ("s", lambda run: run.cpu_s),
    "CPU of the sandbox": ("s", lambda run: run.sandbox_s),
    "peak memory of the client": ("MB", lambda run: run.peak_mb),
}

Measured = dict[tuple[int, int], dict[str, Run]]


def life(
    someone: User,
    nodes: int,
    regions: int,
) -> dict[str, Run]:
    """A cluster from its creation to its deletion. All regions with nodes are enabled."""
    names = first_regions(regions)
    size = Size(nodes, names, tuple(name for name in names if name in OPT_IN))
    settings = Settings(
        pending_s=0,
        terminate_s=0,
        opted_in=list(size.opted_in),
        spot_vcpu_quota={"*": 100_000},  # AWS raises the quota of an account that runs so many
    )
    someone.configures(size, settings)
    someone.is_new()
    runs: dict[str, Run] = {}
    for command in COMMANDS:
        if command != "watch":
            runs[command] = someone.runs(command)
        elif (nodes, regions) == LARGEST:
            runs[command] = _watch(someone)
        someone.ages()
    return runs


def _watch(someone: User) -> Run:
    """For a while. Ctrl-C is a good end."""
    timeout = shutil.which("timeout")
    if timeout is None:
        raise RuntimeError("the program `timeout` is not installed")
    watch = [sys.executable, "-m", "bacalhau_spot", "status", "--watch", "--interval", "2", "-o", "ndjson"]
    line = [timeout, "--preserve-status", "--signal=INT", str(WATCH_S), *watch]
    return someone.runs_program(line, exits=frozenset({0, 1, 130}))


def measure(sizes: Iterable[tuple[int, int]], *, say: Callable[[str], None] = lambda _: None) -> Measured:
    found: Measured = {}
    with user() as someone:
        someone.configures(Size(1, first_regions(1)), Settings())
        someone.runs("list")  # compiles modules and cuts models, as on the first day
        for nodes, regions in sizes:
            found[nodes, regions] = life(someone, nodes, regions)
            say(f"{nodes} nodes in {regions} regions")
    return found


def rows(sizes: Iterable[tuple[int, int]] = SHORT) -> list[Row]:
    """The largest cluster's figures, and the growth with nodes and regions."""
    measured = measure(sizes)
    return all_rows({LARGEST: measured[LARGEST]}) + slope_rows(measured)


def slope_rows(measured: Measured) -> list[Row]:
    """What each further node and region costs: the slope of the line through all sizes."""
    found: list[Row] = []
    by_node = {nodes: runs for (nodes, regions), runs in measured.items() if regions == REGIONS}
    by_region = {regions: runs for (nodes, regions), runs in measured.items() if nodes == NODES}
    for per, factor, sizes in (("100 nodes", 100, by_node), ("region", 1, by_region)):
        section = f"Growth with each further {per}"
        for command in COMMANDS:
            if command == "watch":  # its checks depend on their time
                continue
            for name, (unit, figure) in MEASURES.items():
                slope = _slope({size: figure(runs[command]) for size, runs in sizes.items()}) * factor
                found.append(Row(f"`{command}`: {name}", slope, unit, section=section))
    return found


def _slope(points: dict[int, float]) -> float:
    return statistics.linear_regression(list(points), list(points.values())).slope


def in_words(measured: Measured) -> str:
    """The slopes, a sentence for each command."""
    by_name = {(row.section, row.name): row for row in slope_rows(measured)}
    lines = []
    for command in COMMANDS:
        if command == "watch":
            continue
        parts = []
        for per in ("100 nodes", "region"):
            found = [by_name[f"Growth with each further {per}", f"`{command}`: {name}"] for name in MEASURES]
            calls, client, sandbox, memory = (row.value or 0.0 for row in found)
            parts.append(
                f"{per}: {calls:.1f} calls, {client:.2f} s of CPU ({sandbox:.2f} s of the sandbox), {memory:.1f} MB"
            )
        lines.append(f"- `{command}`, for each further {'; for each further '.join(parts)}.")
    return "\n".join(lines)


def plot(measured: Measured, path: Path) -> None:
    """Small multiples: a column for nodes and one for regions, a row for each measure, a colour for each command."""
    import altair  # noqa: ICN001, PLC0415 - an extra

    points = [
        {
            "axis": axis,
            "size": size,
            "command": command,
            "measure": f"{name}, {unit}",
            "value": figure(runs[command]),
        }
        for (nodes, regions), runs in measured.items()
        for axis, size, is_on in (
            (f"nodes, in {REGIONS} regions", nodes, regions == REGIONS),
            (f"regions, with {NODES} nodes", regions, nodes == NODES),
        )
        if is_on
        for command in COMMANDS
        if command != "watch"
        for name, (unit, figure) in MEASURES.items()
    ]
    chart = altair.Chart.from_dict(_chart(points))
    chart.save(str(path))


def _chart(points: list[dict[str, object]]) -> dict[str, object]:
    """Of Vega-Lite."""

    def quantitative(field: str) -> dict[str, object]:
        return {"field": field, "type": "quantitative", "title": None}

    def nominal(field: str, **more: object) -> dict[str, object]:
        return {"field": field, "type": "nominal", "title": None, **more}

    return {
        "data": {"values": points},
        "width": 260,
        "height": 110,
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": quantitative("size"),
            "y": quantitative("value"),
            "color": nominal("command", sort=list(COMMANDS)),
            "column": nominal("axis"),
            "row": nominal("measure", sort=[f"{name}, {unit}" for name, (unit, _) in MEASURES.items()]),
        },
        "resolve": {"scale": {"x": "independent", "y": "independent"}},
    }


def main() -> int:
    """Print the figures, draw the picture, and return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="nine sizes instead of four")
    parser.add_argument("--plot", type=Path, help="a picture: .svg or .png")
    parser.add_argument("--data", type=Path, help="all figures as JSON, by size and command")
    parser.add_argument("--only", help="nodes:regions, instead of all sizes")
    options = parser.parse_args()
    sizes = LONG if options.long else SHORT
    if options.only:
        nodes, _, regions = options.only.partition(":")
        sizes = ((int(nodes), int(regions)),)
    measured = measure(sizes, say=lambda text: print(text, file=sys.stderr, flush=True))  # noqa: T201 - progress
    found = all_rows(measured)
    sys.stdout.write(table(found))
    if not options.only:
        sys.stdout.write(f"\n{in_words(measured)}\n")
    if options.data:
        options.data.write_text(json.dumps([row._asdict() for row in found], indent=1))
    if options.plot:
        plot(measured, options.plot)
    return 1 if is_exceeded(found) else 0


def all_rows(measured: Measured) -> list[Row]:
    return [
        Row(
            f"`{command}`: {name}",
            figure(run),
            unit,
            MEMORY_MB if unit == "MB" else None,
            section=f"{nodes:,} nodes in {regions} regions",
        )
        for (nodes, regions), runs in measured.items()
        for command, run in runs.items()
        for name, (unit, figure) in MEASURES.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
