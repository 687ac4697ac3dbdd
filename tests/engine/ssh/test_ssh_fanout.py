"""A program for each node: what it said, how it ended, and that none is left behind."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from bacalhau_spot.core.ssh.ssh_results import CommandResult
from bacalhau_spot.engine.ssh import ssh_fanout
from support.health import node

PATH = {"PATH": os.environ["PATH"]}


def ran(*scripts: str, at_once: int = 4, timeout_s: float = 20) -> tuple[CommandResult, ...]:
    jobs = [(node(number), ("sh", "-c", script)) for number, script in enumerate(scripts, start=1)]
    return asyncio.run(ssh_fanout.run_all(jobs, environ=PATH, at_once=at_once, timeout_s=timeout_s))


def ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_each_has_its_own_words_and_end() -> None:
    """In the nodes' order; whatever bytes they write; nothing to read from."""
    first, second, third = ran("echo one; exit 3", "printf '\\377' >&2", "cat; echo done")
    assert (first.code, first.stdout, first.succeeded) == (3, "one\n", False)
    assert (second.code, second.stderr) == (0, "\N{REPLACEMENT CHARACTER}")
    assert (third.code, third.stdout) == (0, "done\n")


def test_some_at_a_time(tmp_path: Path) -> None:
    """Two at most: each notes how many are at work when it begins."""
    script = f"cd {tmp_path}; : > $$.on; ls *.on | wc -l; sleep 0.1; rm $$.on"
    assert max(int(result.stdout) for result in ran(*[script] * 6, at_once=2)) <= 2


def test_one_that_is_too_slow_is_ended(tmp_path: Path) -> None:
    """With what it said until then; the others are not held up by it."""
    slow, quick = ran(f"echo $$ > {tmp_path}/pid; echo begun; exec sleep 60", "echo quick", timeout_s=1)
    assert (slow.code, slow.stdout) == (None, "begun\n")
    assert quick.code == 0
    assert ended(int((tmp_path / "pid").read_text()))


def test_an_end_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The beginning is kept, the rest read and forgotten, so that the program can end."""
    monkeypatch.setattr(ssh_fanout, "MAX_BYTES", 1000)
    (result,) = ran("yes | head -c 300000")
    assert (result.code, len(result.stdout), result.truncated) == (0, 1000, True)


def test_a_program_that_cannot_be_begun() -> None:
    """Is one node's failure, and keeps no other from running."""
    jobs = [(node(1), ("/nowhere/ssh",)), (node(2), ("sh", "-c", "echo well"))]
    first, second = asyncio.run(ssh_fanout.run_all(jobs, environ=PATH, at_once=2, timeout_s=20))
    assert (first.code, first.stderr) == (126, "/nowhere/ssh: No such file or directory\n")
    assert second.stdout == "well\n"


def test_cancelling_ends_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C leaves none behind: not one of several, not even those that do not want to end."""
    monkeypatch.setattr(ssh_fanout, "_GRACE_S", 0.2)

    def begun() -> list[int]:
        return [int(path.name) for path in tmp_path.iterdir()]

    hold = f"echo $$ > {tmp_path}/$$; while :; do sleep 0.05; done"

    async def run() -> None:
        scripts = [hold, *[f"trap '' TERM; {hold}"] * 2]
        jobs = [(node(number), ("sh", "-c", script)) for number, script in enumerate(scripts)]
        task = asyncio.ensure_future(ssh_fanout.run_all(jobs, environ=PATH, at_once=3, timeout_s=60))
        while len(begun()) < 3:  # noqa: ASYNC110 - it is other processes that say so
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert all(ended(pid) for pid in begun())
