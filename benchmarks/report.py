"""All figures of speed beside their limits, in one run.

    uv run python benchmarks/report.py [--quick] [--json FILE] [--record]

Returns 1 if a limit is exceeded, or a figure with a limit could not be measured. `--quick`: one run instead of several, without
the growth. `--record` writes the table into README.md. The boot of a machine and the interruption of jobs have benchmarks of
their own, which need a virtual machine and Bacalhau.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import commands
import create_chain
import growth
import older_tools
import startup
import token_buckets
from figures import Row, is_exceeded, markdown, table

if TYPE_CHECKING:
    from collections.abc import Callable

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- last run: begin -->", "<!-- last run: end -->"
VERSION = 1


def sections(*, quick: bool) -> dict[str, Callable[[], list[Row]]]:
    """The measurements, in the order of the report."""
    if quick:
        return {
            "start": lambda: startup.rows(runs=3),
            "commands": lambda: commands.rows(runs=1),
            "create": lambda: create_chain.rows(runs=1),
            "amauo": lambda: older_tools.rows(runs=1),
        }
    return {
        "start": startup.rows,
        "commands": commands.rows,
        "create": create_chain.rows,
        "amauo": older_tools.rows,
        "growth": growth.rows,
        "token buckets": token_buckets.rows,
    }


def machine() -> dict[str, str | int | float]:
    """On which the figures were measured."""
    models = [line for line in _cpuinfo() if line.startswith("model name")]
    return {
        "processor": models[0].partition(":")[2].strip() if models else platform.machine(),
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 1),
    }


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def summary(rows: list[Row]) -> str:
    """How many limits are met, and each that is not."""
    limited = [row for row in rows if row.limit is not None]
    missed = [row for row in limited if row.is_exceeded]
    lines = [f"{len(limited) - len(missed)} of {len(limited)} limits are met."]
    lines += [f"  {row.verdict}: {row.name} ({row.section})" for row in missed]
    return "\n".join(lines)


def record(rows: list[Row], about: dict[str, str | int | float], took_s: float) -> None:
    """Replace the table of the last run in README.md."""
    today = dt.datetime.now(tz=dt.UTC).strftime("%-d %B %Y")
    intro = (
        f"{today}, {about['cores']} cores ({about['processor']}), Python {about['python']}, load {about['load']} at the "
        f"start, {took_s / 60:.0f} minutes."
    )
    before, _, rest = README.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    text = f"{before}{BEGIN}\n\n{intro}\n\n{markdown(rows)}\n\n{END}{after}"
    README.write_text(text, "utf-8")


def main() -> int:
    """Print the figures as they come."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one run instead of several, without the growth")
    parser.add_argument(
        "--only", nargs="+", metavar="SECTION", help=f"of: {', '.join(sections(quick=False))}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures as JSON")
    parser.add_argument("--record", action="store_true", help="write the table into README.md")
    options = parser.parse_args()
    about, began = machine(), time.monotonic()
    rows: list[Row] = []
    for name, measure in sections(quick=options.quick).items():
        if options.only and name not in options.only:
            continue
        found = measure()
        sys.stdout.write(table(found))
        sys.stdout.flush()
        rows += found
    took_s = time.monotonic() - began
    sys.stdout.write(f"\n{summary(rows)}\n")
    if options.json:
        document = {
            "version": VERSION,
            "machine": about,
            "seconds": round(took_s),
            "rows": [_as_json(row) for row in rows],
        }
        options.json.write_text(json.dumps(document, indent=1))
    if options.record:
        record(rows, about, took_s)
    return 1 if is_exceeded(rows) else 0


def _as_json(row: Row) -> dict[str, object]:
    return {**row._asdict(), "verdict": row.verdict}


if __name__ == "__main__":
    sys.exit(main())
