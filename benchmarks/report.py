"""All figures of speed in one run: start, way to AWS, calls and time of each command, growth.

    uv run python benchmarks/report.py [--long]

Prints each figure beside its limit and returns 1 if one is exceeded. `--long`: growth to 2,000 nodes and 30 regions. The boot
of a machine and the interruption of jobs have benchmarks of their own, which need a virtual machine and Bacalhau.
"""

from __future__ import annotations

import argparse
import sys

import aws_client
import commands
import growth
import startup
from figures import is_exceeded, table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="growth to 2,000 nodes and 30 regions")
    options = parser.parse_args()
    sections = {
        "Start": startup.rows,
        "The way to AWS": aws_client.rows,
        "Calls and time": commands.rows,
        "Growth": lambda: growth.rows(growth.LONG if options.long else growth.SHORT),
        "AWS's token buckets": lambda: growth.rows(growth.THROTTLED, throttle=True),
    }
    exceeded = False
    for title, measure in sections.items():
        rows = measure()
        exceeded |= is_exceeded(rows)
        sys.stdout.write(f"\n## {title}\n\n{table(rows)}")
        sys.stdout.flush()
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
