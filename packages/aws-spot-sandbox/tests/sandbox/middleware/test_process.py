"""The sandbox as a process: shared by all commands, located by its file, and stopped on request."""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from aws_spot_sandbox import admin_client, process
from aws_spot_sandbox.endpoint_file import NAME, AddressFile
from aws_spot_sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEADLINE_S = 30


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    process.stop(state_dir=folder)


def wait_until_gone(state_dir: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while process.status(state_dir=state_dir) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_life_of_a_sandbox(state_dir: Path) -> None:
    """Concurrent commands start one sandbox; a later command finds it; it can be configured and stopped."""
    assert process.status(state_dir=state_dir) is None
    assert process.stop(state_dir=state_dir) is False
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(process.ensure_running, state_dir=state_dir, latency_s=0.0) for _ in range(2)]
        first, second = (future.result() for future in futures)
    assert first == second == process.ensure_running(state_dir=state_dir)
    assert first.url.startswith("http://127.0.0.1:")
    assert first.account_id == "000000000000"

    status = process.status(state_dir=state_dir)
    assert status is not None
    assert status["settings"]["latency_s"] == 0.0
    assert status["settings"]["pending_s"] == 1.5
    assert (state_dir / NAME).stat().st_mode & 0o777 == 0o600
    assert os.getsid(status["pid"]) == status["pid"] != os.getsid(0)

    after = process.change(["pending_s=3", 'capacity={"us-east-1a": 0}'], state_dir=state_dir)
    assert (after["pending_s"], after["capacity"]) == (3.0, {"us-east-1a": 0})
    with pytest.raises(SandboxError, match="unknown switch 'pending'"):
        process.change(["pending=3"], state_dir=state_dir)
    with pytest.raises(SandboxError, match="sets nothing"):
        process.change(["pending_s"], state_dir=state_dir)
    with pytest.raises(SandboxError, match="no instance i-0"):
        process.interrupt("i-0", notice_s=1, state_dir=state_dir)
    with pytest.raises(SandboxError, match="no instance i-0"):
        process.recommend_rebalance("i-0", state_dir=state_dir)
    assert process.interrupt_some(3, notice_s=1, state_dir=state_dir) == []
    assert process.leftovers(state_dir=state_dir) == []

    assert process.stop(state_dir=state_dir) is True
    assert process.status(state_dir=state_dir) is None
    assert not (state_dir / NAME).exists()


def test_it_ends_when_nobody_calls(state_dir: Path) -> None:
    """An unused sandbox stops, and the next command starts a new one."""
    first = process.ensure_running(state_dir=state_dir, idle_s=0.0)
    deadline = time.monotonic() + DEADLINE_S
    while (state_dir / NAME).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(admin_client.Unreachable):
        admin_client.ask(first.url, "GET", "ping")


def test_a_suspended_sandbox_is_not_replaced(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the cluster: the next command says that it does not answer, and finds it again when it goes on."""
    first = process.ensure_running(state_dir=state_dir)
    file = AddressFile.read(state_dir)
    assert file is not None
    pid = file.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        monkeypatch.setattr(admin_client, "_TIMEOUT_S", 0.2)
        with pytest.raises(SandboxError, match=f"does not answer .process {pid}."):
            process.ensure_running(state_dir=state_dir)
    finally:
        os.kill(pid, signal.SIGCONT)
    monkeypatch.undo()
    assert process.ensure_running(state_dir=state_dir) == first
    os.kill(pid, signal.SIGKILL)
    wait_until_gone(state_dir)


def test_another_version_is_not_used(state_dir: Path) -> None:
    """Command and sandbox must have the same version; the message says what to do, and stopping still works."""
    audit = process.memory_dir(state_dir) / "audit.jsonl"
    audit.parent.mkdir(parents=True)
    audit.write_text("of the one before")
    process.ensure_running(state_dir=state_dir)
    assert not audit.exists(), (
        "a new sandbox is not taken for the one before, whose account has the same number"
    )
    content = json.loads((state_dir / NAME).read_text())
    (state_dir / NAME).write_text(json.dumps({**content, "version": "0.0.1"}))
    with pytest.raises(SandboxError, match=r"is of version 0\.0\.1") as refused:
        process.ensure_running(state_dir=state_dir)
    assert refused.value.code == "Restart"
    assert process.stop(state_dir=state_dir) is True


def test_what_does_not_start_shows_its_log(state_dir: Path) -> None:
    """The reason is in the message, not only in the log."""
    with pytest.raises(SandboxError, match="did not start") as refused:
        process.ensure_running(state_dir=state_dir, no_such_switch=1)
    assert "no_such_switch" in "\n".join(refused.value.details)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[1]",
        '{"pid": 1, "url": "http://127.0.0.1:9", "version": "0.1.0"}',
        '{"pid": 1, "url": "http://192.0.2.1:80", "version": "0.1.0"}',
    ],
)
def test_a_stale_file_means_that_none_runs(tmp_path: Path, content: str) -> None:
    """After a crash or restart: only a process that answers as the sandbox counts, and no other is signalled."""
    (tmp_path / NAME).write_text(content)
    assert process.status(state_dir=tmp_path) is None
    assert process.stop(state_dir=tmp_path) is False


def test_a_reused_port_is_not_the_sandbox(tmp_path: Path, sandbox: Any) -> None:
    """Another process answers at the address: it is not signalled."""
    AddressFile(os.getpid() + 1, sandbox.url, "0.1.0").write(tmp_path)
    assert process.status(state_dir=tmp_path) is None
    assert process.stop(state_dir=tmp_path) is False
    with pytest.raises(SandboxError, match="no sandbox is running"):
        process.change(["latency_s=1"], state_dir=tmp_path)
    assert admin_client.ask(sandbox.url, "GET", "ping")
