"""CPU of the program's start, as ratios to an empty Python in the same run. Calls no AWS."""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import Row, is_exceeded, table

HERE = Path(__file__).resolve().parent
IMPORTS = HERE / "startup-imports.txt"
# As a user types it. Each is in the folder of no configuration.
LINES = {
    "--help": 5.0,
    "--version": 5.0,
    "create --help": 8.0,
    "status --help": 8.0,
    "__complete fish list --region us-": 5.0,
    "__complete fish offers --type c7g.": 5.0,
    "__complete fish ssh i-": 5.0,
    "crate": None,
    "list --regin us-east-1": None,
    "create": None,
}
SECTION = "Start: CPU, as a multiple of `python -c pass`"
_RUNS = 15
_SHOWN = 15
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|\s+(\S+)")


def rows(*, runs: int = _RUNS) -> list[Row]:
    """The CPU of each command line as a multiple of `python -c pass`: of the medians of `runs` runs, taken in turn."""
    program = [str(Path(sys.executable).parent / "bacalhau-spot")]
    commands = {"pass": [sys.executable, "-c", "pass"], **{line: [*program, *line.split()] for line in LINES}}
    with tempfile.TemporaryDirectory() as folder:
        environ = _environment(folder)
        for command in commands.values():  # compiles the modules
            _cpu_s(command, environ, folder)
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                taken[name].append(_cpu_s(command, environ, folder))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    empty = medians.pop("pass")
    return [
        Row("`python -c pass`", empty * 1000, "ms", section=SECTION),
        *(
            Row(f"`bacalhau-spot {line}`", medians[line] / empty, "x", limit, section=SECTION)
            for line, limit in LINES.items()
        ),
    ]


def _environment(folder: str) -> dict[str, str]:
    """Without a configuration or AWS settings; modules are compiled, as on a user's machine."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LC_ALL"}}
    return {**kept, "HOME": folder, "AWS_CONFIG_FILE": str(Path(folder) / "none")}


def _cpu_s(command: list[str], environ: dict[str, str], folder: str) -> float:
    """User and system time of a command, which other work on the machine hardly changes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(  # noqa: S603 - our own program
        command,
        check=False,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def imports() -> str:
    """For each command line the number of modules and the slowest imports, from `python -X importtime`."""
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        environ = _environment(folder)
        for line in LINES:
            code = "from bacalhau_spot.cli import main; main()"
            result = subprocess.run(  # noqa: S603 - our own program
                [sys.executable, "-X", "importtime", "-c", code, *line.split()],
                check=False,
                cwd=folder,
                env=environ,
                capture_output=True,
                text=True,
            )
            found = [(int(own), name) for own, _, name in _IMPORT.findall(result.stderr)]
            slowest = sorted(found, reverse=True)[:_SHOWN]
            total_ms = sum(own for own, _ in found) / 1000
            parts.append(f"# bacalhau-spot {line}: {len(found)} modules, {total_ms:.1f} ms")
            parts.extend(f"{own / 1000:8.1f} ms  {name}" for own, name in slowest)
            parts.append("")
    return "\n".join(parts)


def main() -> int:
    """Print the figures, write the imports, and return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=_RUNS)
    runs = parser.parse_args().runs
    IMPORTS.write_text(imports())
    found = rows(runs=runs)
    sys.stdout.write(f"{table(found)}\nimports: {IMPORTS}\n")
    return 1 if is_exceeded(found) else 0


if __name__ == "__main__":
    sys.exit(main())
