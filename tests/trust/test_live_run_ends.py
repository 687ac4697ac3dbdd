"""A live run that ends in the middle, by Ctrl-C or by SIGKILL, leaves nothing in the account: real processes, in real time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aws_spot_sandbox import process
from support.live.rehearsal import PYTEST, environment
from support.trust_figures import FULL, record

pytestmark = pytest.mark.skipif(not FULL, reason="real processes in real time: `make trust`")
ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 400


@pytest.fixture
def sandbox_folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "sandbox"
    folder.mkdir()
    yield folder
    process.stop(state_dir=folder)


def until(what: str, look: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < end, what
        time.sleep(1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_nothing_is_left_after_a_run_that_ended_by(
    sandbox_folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """While its nodes start. After Ctrl-C the run cleans up itself, after SIGKILL its guardian does."""
    here = process.ensure_running(state_dir=sandbox_folder)
    environ = environment(tmp_path, here.url, here.access_key_id, here.secret_access_key)
    folder = tmp_path / "run"
    with (tmp_path / "output").open("wb") as out:
        run = subprocess.Popen(
            [sys.executable, "-m", "pytest", *PYTEST],
            cwd=ROOT, env=environ | {"LIVE_FOLDER": str(folder)}, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        until("its instances", lambda: run.poll() is not None or has_instances(sandbox_folder))
        assert run.poll() is None, (tmp_path / "output").read_text()
        run.send_signal(number)
        run.wait(PATIENCE_S)
        until("an empty account", lambda: remains(sandbox_folder) == [])
    finally:
        run.kill()
    log = folder / "guardian.log"
    if number is signal.SIGKILL:
        until("the end of the guardian", lambda: "exit code 0" in log.read_text())
    else:
        assert (folder / "report.md").exists() and not log.exists()
    record("live runs that end early", cases=1, groups={number.name: 1})


def has_instances(folder: Path) -> bool:
    return sum(" instance i-" in line for line in remains(folder)) > 1


def remains(folder: Path) -> list[str]:
    return process.leftovers(state_dir=folder)
