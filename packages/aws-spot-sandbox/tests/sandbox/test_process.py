"""Folders that the sandbox cannot use, and one that does not answer. middleware/test_process.py has the other cases."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from aws_spot_sandbox import __version__, admin_client, process, running_mark
from aws_spot_sandbox.endpoint_file import AddressFile
from aws_spot_sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a program that accepts connections, and answers nothing. Nothing may be started in its place."""
    monkeypatch.setattr(admin_client, "_TIMEOUT_S", 0.05)
    monkeypatch.setattr(process, "_start", lambda *_: pytest.fail("a second sandbox was started"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        AddressFile(os.getpid(), url, __version__).write(tmp_path)
        yield url


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """No traceback: the folder, the reason, and what to do."""
    in_the_way = tmp_path / "state"
    in_the_way.write_text("")
    with pytest.raises(SandboxError, match="cannot keep its files in") as refused:
        process.ensure_running(state_dir=in_the_way / "bacalhau-spot")
    assert str(in_the_way) in refused.value.message
    assert refused.value.why == "Not a directory"
    assert "XDG_STATE_HOME" in refused.value.hint


def test_a_sandbox_that_does_not_answer_is_not_replaced(tmp_path: Path, silent: str) -> None:
    """Its process is suspended, or busy: a second sandbox would hide the cluster in the first one."""
    with running_mark.hold(tmp_path):
        for call in (process.ensure_running, process.status, process.stop, process.reset, process.leftovers):
            with pytest.raises(SandboxError, match=f"does not answer .process {os.getpid()}.") as refused:
                call(state_dir=tmp_path)
            assert refused.value.why == f"{silent}: timed out"
            assert f"`kill -CONT {os.getpid()}`" in refused.value.hint
            assert f"`kill -9 {os.getpid()}`" in refused.value.hint


@pytest.mark.usefixtures("silent")
def test_another_program_with_the_pid_and_the_port_is_not_the_sandbox(tmp_path: Path) -> None:
    """After a crash: the file is stale, whatever runs now."""
    assert process.status(state_dir=tmp_path) is None
    running_mark.hold(tmp_path).close()  # the mark that the crashed one had
    assert process.status(state_dir=tmp_path) is None
    assert process.stop(state_dir=tmp_path) is False


def test_a_sandbox_that_is_starting_is_not_the_one_in_an_old_file(tmp_path: Path, silent: str) -> None:
    """The new process has the mark, and the file still has the pid of the one before."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    AddressFile(ended.pid, silent, __version__).write(tmp_path)
    with running_mark.hold(tmp_path):
        assert process.status(state_dir=tmp_path) is None


def test_a_refused_connection_means_that_none_runs(tmp_path: Path, silent: str) -> None:
    AddressFile(os.getpid(), "http://127.0.0.1:9", __version__).write(tmp_path)
    with running_mark.hold(tmp_path):
        assert process.status(state_dir=tmp_path) is None
