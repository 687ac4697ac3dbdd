"""A cluster in a sandbox of this process, and the user who runs commands on it. All benchmarks of commands share it.

The sandbox's processor time is that of this process, and is measured apart.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from processes import Process, run_process

from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT, OPT_IN
from aws_spot_sandbox.server import Sandbox
from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Settings, World

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = """\
nodes: {nodes}
regions: [{regions}]
instance_types: [t3.medium, t3a.medium]
ssh_cidrs: [192.0.2.0/24]
orchestrator: none
bacalhau: {{verify_archive: false}}
"""
ENABLED = len(ENABLED_BY_DEFAULT) + len(OPT_IN)
# The cluster is that old after `create`: AWS's lists omit nothing of it, so that no command waits for them.
AGE_S = 3600.0
LATENCY_S = 0.08
# The imports and the client of any program that calls EC2, without a call.
BARE = "import boto3; boto3.client('ec2', region_name='us-east-1')"
_ASKED_FIRST = frozenset({"create", "destroy"})
# Its nodes have not joined: this cluster has no orchestrator.
_MAY_FAIL = frozenset({"status"})
_GOOD, _GOOD_OR_FAILED = frozenset({0}), frozenset({0, 1})
_REFUSED = frozenset({"RequestLimitExceeded", "Throttling"})


@dataclass(frozen=True)
class Size:
    """Of a cluster, in an account with `enabled` regions."""

    nodes: int
    regions: tuple[str, ...]
    opted_in: tuple[str, ...] = ()

    @property
    def enabled(self) -> int:
        return len(ENABLED_BY_DEFAULT) + len(self.opted_in)

    @property
    def label(self) -> str:
        return f"{self.nodes} nodes, {len(self.regions)} of {self.enabled} regions"


def first_regions(number: int) -> tuple[str, ...]:
    return (*ENABLED_BY_DEFAULT, *OPT_IN)[:number]


def account(home: Path, url: str) -> dict[str, str]:
    """The environment variables of a user with the account of this endpoint."""
    return {
        "HOME": str(home),
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_CONFIG_FILE": str(home / "none"),
    }


@dataclass(frozen=True)
class Run:
    """One command. `calls`: by region; `refused`: for a token bucket; `sandbox_s`: processor time of the sandbox."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    sandbox_s: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    refused: int = 0


@dataclass(frozen=True)
class User:
    """With a home of his own, whose configuration and cached files are kept."""

    home: Path
    sandbox: Sandbox

    def configures(self, size: Size, settings: Settings) -> None:
        """A new account with nothing in it."""
        self.sandbox.reset(World(settings=settings))
        (self.home / "config.yaml").write_text(
            CONFIG.format(nodes=size.nodes, regions=", ".join(size.regions))
        )

    def runs(self, command: str, *options: str) -> Run:
        """One of our commands. Raises RuntimeError if it fails."""
        asked = ["--yes"] if command in _ASKED_FIRST else []
        return self.runs_program(
            [sys.executable, "-m", "bacalhau_spot", command, "-o", "json", *options, *asked],
            exits=_GOOD_OR_FAILED if command in _MAY_FAIL else _GOOD,
        )

    def runs_program(
        self, line: list[str], *, exits: frozenset[int] = _GOOD, environ: dict[str, str] | None = None
    ) -> Run:
        """Any program that calls AWS. `exits`: its good exit codes. `environ`: further variables."""
        world = self.sandbox.world
        first, sandbox_s = len(world.calls), time.process_time()
        process = run_process(
            line, folder=self.home, environ=account(self.home, self.sandbox.url) | (environ or {})
        )
        if process.exit_code not in exits:
            raise RuntimeError(_failure(line, process))
        calls = world.calls[first:]
        return Run(
            wall_s=process.wall_s,
            cpu_s=process.cpu_s,
            peak_mb=process.peak_mb,
            sandbox_s=time.process_time() - sandbox_s,
            calls=Counter(region for region, _, _ in calls),
            refused=sum(outcome in _REFUSED for _, _, outcome in calls),
        )

    def existing(self, kind: str) -> int:
        """How many resources of a kind the account has, without those that AWS made: "instance", "vpc"."""
        return sum(thing.kind == kind and not thing.default for thing in self.sandbox.things())

    def ages(self) -> None:
        """The cluster is an hour old from now on."""
        self.sandbox.world.now = time.time

    def is_new(self) -> None:
        self.sandbox.world.now = lambda: time.time() - AGE_S


def _failure(line: list[str], process: Process) -> str:
    return f"{' '.join(line)}: exit code {process.exit_code}: {process.output[-800:]}"


@contextlib.contextmanager
def user() -> Iterator[User]:
    """With an empty home, and a sandbox until the end."""
    sandbox = Sandbox(World())
    sandbox.start()
    try:
        with tempfile.TemporaryDirectory() as home:
            yield User(Path(home), sandbox)
    finally:
        sandbox.stop()
