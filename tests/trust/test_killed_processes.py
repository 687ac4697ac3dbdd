"""SIGKILL to the real program, at calls of every kind: the copies of the other tests say the same as real processes."""

from __future__ import annotations

import random
import signal
import subprocess
from typing import Any

import pytest

from aws_spot_sandbox.state import Settings, World
from cli.test_signals import Tripwire, start
from support.cli_runner import CliRunner
from support.process_copies import cpu_s
from support.storms import machines
from support.trust_figures import FULL, SEED, record

CONFIG = """\
nodes: 6
regions: [us-west-1, eu-west-1]
instance_types: [t3.medium, t3a.medium]
ssh_cidrs: [192.0.2.0/24]
bacalhau:
  orchestrators: ["nats://192.0.2.1:4222"]
  verify_archive: false
"""
# Changes of each command; the k-th is chosen by the seed.
MOST = {"create": 22, "destroy": 20}
CASES = [(command, number) for command in MOST for number in range(10 if FULL else 0)]


def _ends(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out + err


class AnyChange(Tripwire):
    """At the n-th call that changes something, whatever it is."""

    def saw(self, action: str) -> None:
        name = action.partition(":")[2]
        super().saw("" if name.startswith(("Describe", "Get", "List")) else "ec2:Create")


@pytest.mark.parametrize(("command", "number"), CASES)
def test_sigkill_at_any_change(sandbox: Any, program: CliRunner, command: str, number: int) -> None:
    # Real time for once: the program is another process with a clock of its own.
    sandbox.server.reset(
        World(settings=Settings(pending_s=0.2, terminate_s=0.2, read_lag_s=2.0 * (number % 2)))
    )
    (program.folder / "config.yaml").write_text(CONFIG)
    began_s, before = cpu_s(), sandbox.leftovers()
    if command == "destroy":
        assert _ends(start(program, "create", "--yes"))[0] == 0
    at = random.Random(f"{SEED} {command} {number}").randint(1, MOST[command])
    wire = AnyChange(sandbox.world, at=at, number=signal.SIGKILL)
    wire.process = start(program, command, "--yes")
    code, said = _ends(wire.process)
    assert code in (0, -signal.SIGKILL), said
    assert _ends(start(program, "list"))[0] == 0
    if command == "create":
        code, said = _ends(start(program, "create", "--yes"))
        assert code == 0, said
        assert len(machines(sandbox)) == 6
    code, said = _ends(start(program, "destroy", "--yes"))
    assert code == 0, said
    assert sandbox.leftovers() == before
    record("killed processes", cases=1, cpu_s=round(cpu_s() - began_s, 1), groups={command: 1})
