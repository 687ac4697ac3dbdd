"""The process that deletes everything when a live run no longer can: it outlives the run, whatever ends that."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from support.live import guardian
from support.live.guardian import Guardian

# In place of `nuke`: leaves a mark.
MARK = [sys.executable, "-S", "-c", "import sys; open(sys.argv[1], 'a').write('ran ')"]


def start(folder: Path, *, within_s: float = 60.0) -> Guardian:
    return Guardian(folder, within_s=within_s, environ=os.environ, options=[*MARK, str(folder / "mark")])


def test_it_changes_nothing_after_a_clean_end(tmp_path: Path) -> None:
    watcher = start(tmp_path)
    watcher.release()
    assert watcher.wait(30) == 0
    assert not (tmp_path / "mark").exists()


def test_it_cleans_up_when_the_run_says_so(tmp_path: Path) -> None:
    watcher = start(tmp_path)
    watcher.call()
    assert watcher.wait(30) == 0
    assert (tmp_path / "mark").read_text() == "ran "


def test_it_cleans_up_after_a_run_that_was_killed_and_no_ctrl_c_reaches_it(tmp_path: Path) -> None:
    """SIGKILL: the run can do nothing any more. The guardian ignores the signals of a terminal."""
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(f"""
            import os, sys, time
            from pathlib import Path
            from support.live.guardian import Guardian
            watcher = Guardian(Path({str(tmp_path)!r}), within_s=60, environ=os.environ,
                               options=[*{MARK!r}, {str(tmp_path / "mark")!r}])
            print(watcher.pid, flush=True)
            time.sleep(60)
        """)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert run.stdout is not None
    pid = int(run.stdout.readline())
    assert os.getsid(pid) == pid, "a session of its own"
    wait_for_handlers(pid)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        os.kill(pid, number)
    run.kill()
    run.wait(30)
    wait_until_gone(pid)
    assert (tmp_path / "mark").read_text() == "ran "


def wait_for_handlers(pid: int) -> None:
    """Until it ignores SIGTERM (proc(5), SigIgn)."""
    bit = 1 << (signal.SIGTERM - 1)
    while not int(Path(f"/proc/{pid}/status").read_text().partition("SigIgn:\t")[2].split()[0], 16) & bit:
        os.sched_yield()


def wait_until_gone(pid: int) -> None:
    """It is no child of this process: a process descriptor becomes readable at its end (pidfd_open(2))."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ready, _, _ = select.select([descriptor], [], [], 60)
    os.close(descriptor)
    assert ready, "the guardian did not end"


def test_it_cleans_up_after_its_time(tmp_path: Path) -> None:
    """A run that hangs."""
    watcher = start(tmp_path, within_s=0.0)
    assert watcher.wait(30) == 0
    assert (tmp_path / "mark").read_text() == "ran "


def test_it_repeats_the_cleanup_until_it_succeeds(tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    script = f'echo x >>{tries}; test "$(wc -l <{tries})" -ge 3'
    pauses: list[float] = []
    code = guardian.clean_up(["sh", "-c", script], log=tmp_path / "log", sleep=pauses.append)
    assert (code, len(pauses), tries.read_text()) == (0, 2, "x\nx\nx\n")
    assert (tmp_path / "log").read_text().count("attempt") == 3


def test_it_gives_up_at_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guardian, "ATTEMPTS", 2)
    assert guardian.clean_up(["false"], log=tmp_path / "log", sleep=lambda _: None) == 1


def test_the_command_is_nuke_with_the_configuration_of_the_run(tmp_path: Path) -> None:
    words = guardian.nuke_command(tmp_path)
    assert words[1:5] == ["-m", "bacalhau_spot", "nuke", "--force"]
    assert words[words.index("--config") + 1] == str(tmp_path / "config.yaml")
