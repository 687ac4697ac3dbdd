"""Keys that are typed into a line that is replaced in place, in a real terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from bacalhau_spot.ui.progress.typed_keys import EchoOff

PROGRAM = """
import sys, termios
from bacalhau_spot.ui.progress.typed_keys import EchoOff
def echo():
    return bool(termios.tcgetattr(0)[3] & termios.ECHO)
keys = EchoOff(sys.stdin)
shown = [echo()]
for step in (keys.start, keys.start, keys.stop, keys.stop):
    step()
    shown.append(echo())
open(sys.argv[1], "w").write(repr(shown))
"""

IN_THE_BACKGROUND = """
import os, sys, termios
from bacalhau_spot.ui.progress.typed_keys import EchoOff
child = os.fork()
if child == 0:
    os.setpgid(0, 0)  # another job of the terminal
    EchoOff(sys.stdin).start()
    os._exit(bool(termios.tcgetattr(0)[3] & termios.ECHO))
_, status = os.waitpid(child, os.WUNTRACED)
open(sys.argv[1], "w").write("stopped" if os.WIFSTOPPED(status) else str(os.WEXITSTATUS(status)))
if os.WIFSTOPPED(status):
    os.kill(child, 9)
"""


def in_a_terminal(program: str, result: Path) -> str:
    """What the program writes into the file, run as the first process of a terminal of its own."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", program, str(result)])
    try:
        while os.read(terminal, 1024):
            pass
    except OSError:  # the end of the terminal
        pass
    os.waitpid(child, 0)
    os.close(terminal)
    return result.read_text()


def test_the_echo_is_off_in_between_and_as_before_at_the_end(tmp_path: Path) -> None:
    assert in_a_terminal(PROGRAM, tmp_path / "r") == "[True, False, False, True, True]"


def test_in_the_background_the_terminal_is_not_touched(tmp_path: Path) -> None:
    """Setting it would stop the process."""
    assert in_a_terminal(IN_THE_BACKGROUND, tmp_path / "r") == "1"


def test_without_a_terminal_it_does_nothing() -> None:
    for stdin in (StringIO(), None):
        keys = EchoOff(stdin)
        keys.start()
        keys.stop()


# A shell starts what it runs in the background with SIGINT ignored; on a terminal it is not.
LOOKING = """
import asyncio, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.runner import Runner
from bacalhau_spot.cli.runtime.reporting import interrupted, print_error
from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.ui.progress.look_line import LookLine
runtime = Runtime.real()
line = LookLine(sys.stdout, width=lambda: 80, clock=runtime.clock, after_s=0.0)
async def look():
    await asyncio.sleep(0.3)
    print("READY", flush=True)
    await asyncio.sleep(60)
with_runner = Runner(runtime, AwsConnection(), api_s=1.0, line=line)
try:
    with with_runner as runner:
        runner.run_readonly(look(), other="the orchestrator")
except KeyboardInterrupt:
    sys.exit(print_error(interrupted(), runtime))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_scan_removes_its_line_and_has_its_own_code(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LOOKING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        for text in process.stdout:
            if "READY" in text:
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, "error: interrupted" in err) == (code, True), err
    assert out.endswith("\x1b[K")
