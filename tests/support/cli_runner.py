"""The program, called as a user calls it, in this process: the command line in, exit code and both streams out."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from io import StringIO
from math import inf
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bacalhau_spot.cli import run
from bacalhau_spot.cli.runtime import fact_sources
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.core.model import BacalhauSpec
from bacalhau_spot.core.orchestrator.nats_check import NatsCheck, NatsStatus
from bacalhau_spot.engine.aws_calls.clock import Clock, RealClock
from support import planted_secrets

CONFIG = """\
nodes: {nodes}
regions: {regions}
instance_types: [t3.medium, t3a.medium]
ssh_cidrs: [192.0.2.0/24]
bacalhau:
  orchestrators: ["nats://192.0.2.1:4222"]
"""
# AWS's public file of interruptions is not on this machine.
NOWHERE_ELSE = {"BACALHAU_SPOT_ADVISOR_URL": ""}
FOUR_REGIONS = "[us-east-1, us-west-2, eu-west-1, ap-southeast-1]"


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


async def _accepted(_bacalhau: BacalhauSpec, *, addresses: Sequence[str]) -> tuple[NatsCheck, ...]:
    return tuple(NatsCheck(address, NatsStatus.ACCEPTED) for address in addresses)


@dataclass(frozen=True)
class CliResult:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def envelope(self) -> dict[str, Any]:
        row: dict[str, Any] = json.loads(self.stdout)
        return row

    @property
    def data(self) -> dict[str, Any]:
        row: dict[str, Any] = self.envelope["data"]
        return row


@dataclass
class CliRunner:
    """One user's surroundings: a folder with a configuration, an environment, a clock."""

    folder: Path
    environ: dict[str, str] = field(default_factory=lambda: dict(NOWHERE_ELSE))
    clock: Clock = field(default_factory=RealClock)
    runs: int = 0
    host: str = field(default_factory=socket.gethostname)
    look_line_after_s: float = inf  # tests with a terminal read everything that is written on it
    asks_orchestrator: bool = (
        False  # `create` connects to the configured address, which is nobody's unless a test sets it
    )

    def configure(self, *, nodes: int = 12, regions: str = FOUR_REGIONS, more: str = "") -> Path:
        path = self.folder / "config.yaml"
        path.write_text(CONFIG.format(nodes=nodes, regions=regions) + more)
        return path

    def __call__(self, *argv: str, answers: str | None = None) -> CliResult:
        """Run one command line. `answers`: what somebody types, on a terminal; None: nobody is there."""
        self.runs += 1
        stdin = StringIO() if answers is None else Terminal(answers)
        stdout, stderr = StringIO(), StringIO() if answers is None else Terminal()
        runtime = Runtime(
            environ=self.environ,
            cwd=self.folder,
            home=self.folder,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            clock=self.clock,
            jitter=lambda: 0.5,
            run_id=f"run-{self.runs}",
            host=self.host,
            look_line_after_s=self.look_line_after_s,
        )
        with (
            nullcontext()
            if self.asks_orchestrator
            else patch.object(fact_sources, "probe_orchestrators", _accepted)
        ):
            code = run(list(argv), runtime=runtime)
        result = CliResult(code=code, stdout=stdout.getvalue(), stderr=stderr.getvalue())
        if argv[:1] != ("sandbox",) and argv[:2] != ("config", "upgrade"):
            # The one tells how to reach it, with keys that open nothing else; the other prints the user's own file.
            # `env` prints the key of the orchestrator's API, on stdout alone, and no other secret.
            key = (planted_secrets.API_KEY,) if argv[:1] == ("env",) else ()
            planted_secrets.check(result.stdout, where=" ".join(argv), allowed=key)
            planted_secrets.check(result.stderr, where=" ".join(argv))
        return result
