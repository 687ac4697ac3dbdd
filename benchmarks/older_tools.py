"""An earlier tool for the same task, amauo, against the same endpoint in the same run.

    uv run python benchmarks/older_tools.py [--runs 3]

It is installed from the package index into a folder of its own, and removed at the end. Its `create` uses one zone and one
instance type, and does not wait until an instance runs; its `list` reads a local file; its `destroy` leaves the networks. The
two scripts that preceded it were never published as packages.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from clusters import LATENCY_S, Run, Size, User, first_regions, user
from figures import Row, is_exceeded, table

from aws_spot_sandbox.regions import OPT_IN
from aws_spot_sandbox.state import Settings

RUNS = 3
VERSION = "3.0.27"
PACKAGE = f"amauo=={VERSION}"
SIZE = Size(30, (*first_regions(9), "us-west-1"), OPT_IN)
COMMANDS = ("create", "list", "destroy")
SECTION = f"amauo {VERSION}, {SIZE.label}, {LATENCY_S * 1000:.0f} ms a call"
PATIENCE_S = 300
_ARCHIVES = Path("/tmp/amauo-deployment-*.tar.gz")  # noqa: S108 - where its `create` leaves a file
# Without a private key it does not connect to its instances.
CONFIG = """\
aws: {{total_instances: {nodes}, username: ubuntu, public_ssh_key_path: key.pub, instance_storage_gb: 20,
      use_dedicated_vpc: true}}
regions: [{regions}]
"""
_REGION = "{{{name}: {{machine_type: t3.medium, image: auto}}}}"


class NotInstallableError(Exception):
    """The last line of the installer."""


def installed(folder: Path) -> Path:
    """The program, in an environment of its own. Raises NotInstallableError."""
    uv = shutil.which("uv")
    if uv is None:
        raise NotInstallableError("uv is not installed")
    environment = folder / "environment"
    for line in (
        [uv, "venv", "--quiet", str(environment)],
        [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(environment), PACKAGE],
    ):
        done = subprocess.run(  # noqa: S603 - the installer
            line, check=False, capture_output=True, text=True, timeout=PATIENCE_S, cwd=folder
        )
        if done.returncode:
            raise NotInstallableError((done.stderr.strip().splitlines() or ["no reason given"])[-1].strip())
    return environment / "bin" / "amauo"


def configures(someone: User) -> None:
    """An empty account, and the files that both tools want."""
    settings = Settings(latency_s=LATENCY_S, pending_s=0, terminate_s=0, opted_in=list(SIZE.opted_in))
    someone.configures(SIZE, settings)
    regions = ", ".join(_REGION.format(name=name) for name in SIZE.regions)
    (someone.home / "older.yaml").write_text(CONFIG.format(nodes=SIZE.nodes, regions=regions))
    (someone.home / "key.pub").write_text(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1vdEFLZXlCdXRBVGVzdFdpdGhvdXRBUGFpciEh test\n"
    )
    (someone.home / "deployment").mkdir(exist_ok=True)
    (someone.home / "deployment" / "setup.sh").write_text("true\n")
    (someone.home / "instances.json").unlink(missing_ok=True)


def life_of_older(someone: User, program: Path) -> tuple[dict[str, Run], int, int]:
    """Its commands, the instances after `create`, and the networks that are left after `destroy`."""
    configures(someone)
    runs: dict[str, Run] = {}
    launched = 0
    before = set(_ARCHIVES.parent.glob(_ARCHIVES.name))
    for command in COMMANDS:
        line = [str(program), "-c", "older.yaml", command]
        runs[command] = someone.runs_program(line, environ={"AWS_DEFAULT_REGION": SIZE.regions[0]})
        if command == "create":
            launched = someone.existing("instance")
    for archive in set(_ARCHIVES.parent.glob(_ARCHIVES.name)) - before:
        archive.unlink()
    return runs, launched, someone.existing("vpc")


def life_of_newer(someone: User) -> dict[str, Run]:
    configures(someone)
    someone.is_new()
    runs: dict[str, Run] = {}
    for command in COMMANDS:
        runs[command] = someone.runs(command)
        someone.ages()
    return runs


def rows(*, runs: int = RUNS) -> list[Row]:
    """Medians of `runs` lives of both tools, in turn. One row with the reason if it cannot be installed."""
    with tempfile.TemporaryDirectory() as name, user() as someone:
        try:
            program = installed(Path(name))
        except NotInstallableError as why:
            return [Row("amauo", None, "", note=f"not installable here: {why}", section=SECTION)]
        life_of_newer(someone)
        pairs = [(life_of_older(someone, program), life_of_newer(someone)) for _ in range(runs)]
    found = [row for command in COMMANDS for row in _rows(command, [(old[0], new) for old, new in pairs])]
    launched, left = pairs[-1][0][1:]
    if launched != SIZE.nodes:
        found.insert(0, Row("amauo's `create`: instances", launched, "", note=f"of {SIZE.nodes}"))
    found.append(Row("networks that amauo's `destroy` leaves", left, ""))
    return [row._replace(section=SECTION) for row in found]


def _rows(command: str, pairs: list[tuple[dict[str, Run], dict[str, Run]]]) -> list[Row]:
    """Its own figures, and bacalhau-spot's as multiples of them."""
    older = [old[command] for old, _ in pairs]
    newer = [new[command] for _, new in pairs]
    both = list(zip(newer, older, strict=True))
    return [
        Row(f"amauo's `{command}`: time", statistics.median(run.wall_s for run in older), "s"),
        Row("    bacalhau-spot's", statistics.median(new.wall_s / old.wall_s for new, old in both), "x"),
        Row(f"amauo's `{command}`: CPU", statistics.median(run.cpu_s for run in older), "s"),
        Row("    bacalhau-spot's", statistics.median(new.cpu_s / old.cpu_s for new, old in both), "x"),
        Row(f"amauo's `{command}`: peak memory", statistics.median(run.peak_mb for run in older), "MB"),
        Row("    bacalhau-spot's", statistics.median(new.peak_mb / old.peak_mb for new, old in both), "x"),
        Row(f"amauo's `{command}`: calls", statistics.median(run.calls.total() for run in older), "calls"),
        Row("    bacalhau-spot's", statistics.median(run.calls.total() for run in newer), "calls"),
    ]


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    found = rows(runs=parser.parse_args().runs)
    sys.stdout.write(table(found))
    return 1 if is_exceeded(found) else 0


if __name__ == "__main__":
    sys.exit(main())
