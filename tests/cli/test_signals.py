"""Real signals to the real program: Ctrl-C and SIGKILL in the middle of a create, at several moments.

The sandbox is in this process and sends the signal itself, at the n-th change that it is asked for: no test waits for time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from support.cli_runner import CliRunner
from support.long_tests import sample

CHANGES = ("ec2:Create", "ec2:Attach", "ec2:Authorize")


class Tripwire:
    """Sends a signal to a process when the sandbox is asked for its n-th change."""

    def __init__(self, world: Any, *, at: int, number: signal.Signals) -> None:
        self.world = world
        self.at = at
        self.number = number
        self.process: subprocess.Popen[str] | None = None
        self._seen = 0
        # The sandbox answers many calls at a time, and a second signal means something else.
        self._lock = threading.Lock()
        world.calls = _Watched(self)

    def saw(self, action: str) -> None:
        with self._lock:
            self._seen += action.startswith(CHANGES)
            if self._seen == self.at and self.process is not None:
                self.process.send_signal(self.number)
                self.at = -1


class _Watched(list[tuple[str, str, str]]):
    def __init__(self, wire: Tripwire) -> None:
        super().__init__(wire.world.calls)
        self._wire = wire

    def append(self, item: tuple[str, str, str]) -> None:
        super().append(item)
        self._wire.saw(item[1])


def start(program: CliRunner, *argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bacalhau_spot", *argv],
        cwd=program.folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "XDG_STATE_HOME": str(program.folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def slow(sandbox: Any) -> Any:
    """Real time for once: the program is another process with a clock of its own."""
    sandbox.world.settings.pending_s = 0.5
    sandbox.world.settings.terminate_s = 0.5
    return sandbox


def interrupted(sandbox: Any, program: CliRunner, *, at: int, number: signal.Signals) -> tuple[int, str, str]:
    # Another process fetches the archive itself, and there is none on this machine.
    config = program.folder / "config.yaml"
    config.write_text(config.read_text() + "  verify_archive: false\n")
    wire = Tripwire(sandbox.world, at=at, number=number)
    process = start(program, "create", "--yes")
    wire.process = process
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("at", sample([2, 7, 15, 21], every=2))
def test_ctrl_c(slow: Any, program: CliRunner, at: int) -> None:
    """Exit 130; calls in flight finish, nothing new begins; the receipt says what exists and how to remove it."""
    program.configure(nodes=4, regions="[us-west-1, eu-west-1]")
    before = slow.leftovers()
    code, out, err = interrupted(slow, program, at=at, number=signal.SIGINT)
    assert code == 130, err
    assert "stopping: waiting for calls in flight" in err
    assert "to remove everything: bacalhau-spot destroy" in out
    assert "Traceback" not in err

    resources = set(slow.leftovers()) - set(before)
    listed = program("list", "-o", "json")
    shown = {instance["id"] for instance in listed.data["instances"]} | {
        other["id"] for other in listed.data["others"]
    }
    top = {
        line.split()[2]
        for line in resources
        if line.split()[1] in {"vpc", "subnet", "igw", "lt", "instance", "fleet"}
    }
    assert top <= shown, "list shows what there is"
    assert program("destroy", "--yes").code == 0
    assert slow.leftovers() == before


@pytest.mark.parametrize("at", sample([9, 2, 16, 21], every=2))
def test_sigkill(slow: Any, program: CliRunner, at: int) -> None:
    """Nobody says anything any more; list shows what there is, and destroy removes it."""
    program.configure(nodes=4, regions="[us-west-1, eu-west-1]")
    before = slow.leftovers()
    code, _, _ = interrupted(slow, program, at=at, number=signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert program("list").code == 0
    assert program("destroy", "--yes").code == 0
    assert slow.leftovers() == before


def test_ctrl_c_while_the_lock_is_taken(slow: Any, program: CliRunner) -> None:
    """The call in flight creates the lock, which is deleted again."""
    program.configure(nodes=1, regions="[us-west-1]")
    before = slow.leftovers()
    code, _, err = interrupted(slow, program, at=1, number=signal.SIGINT)
    assert code == 130 and "nothing was changed" in err
    assert slow.leftovers() == before


def test_ctrl_c_before_anything_is_made(slow: Any, program: CliRunner) -> None:
    """While it only looks, it ends at once and says that nothing was changed."""
    slow.world.settings.faults = [{"match": "DescribeRegions", "code": "RequestLimitExceeded", "status": 503}]
    process = start(program, "create", "--yes")
    assert process.stderr is not None
    while "RequestLimitExceeded" not in str(slow.world.calls):
        if process.poll() is not None:
            pytest.fail(process.stderr.read())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing was changed" in err
    assert not any(action.startswith(CHANGES) for _, action, _ in slow.world.calls)


def test_the_module_runs(tmp_path: Path) -> None:
    """`python -m bacalhau_spot` is the program too."""
    result = subprocess.run(
        [sys.executable, "-m", "bacalhau_spot", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stdout.strip()
