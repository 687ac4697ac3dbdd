"""The programs of the first boot, each alone."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest

from bacalhau_spot.instance import bacalhau_config
from bacalhau_spot.instance.scripts import (
    bacalhau_cli,
    docker,
    download,
    first_boot,
    join_check,
    shell,
    wait_for_runtime,
)
from bacalhau_spot.instance.scripts.console import Console
from bacalhau_spot.instance.scripts.metadata import Metadata
from bacalhau_spot.instance.scripts.shell import CommandFailedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.node_fakes import MetadataServer, RecordedMessages


# --- the console


def test_a_phase_is_one_line_with_prefix_and_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    console = Console(paths=(str(tmp_path / "no" / "console"), str(log)))
    console.say("packages")
    console.say("failed", "two\nlines,  and spaces")
    first, second = log.read_text().splitlines()
    assert first.startswith("bacalhau-spot: 20") and first.endswith("Z packages")
    assert second.endswith("Z failed: two lines, and spaces")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


# --- who this machine is


def test_name_and_labels_come_from_the_metadata(metadata_server: MetadataServer, tmp_path: Path) -> None:
    metadata_server.values = {
        "instance-id": "i-0123456789abcdef0",
        "instance-type": "m6a.large",
        "placement/region": "us-east-1",
        "placement/availability-zone": "us-east-1a",
        "instance-life-cycle": "spot",
    }
    name = first_boot.identify(
        Metadata(metadata_server.url),
        prefix="bacalhau-",
        folder=str(tmp_path),
        job_data=str(tmp_path / "data"),
    )
    assert name == "bacalhau-i-0123456789abcdef0"
    assert (tmp_path / "node.env").read_text() == f"NODE_NAME={name}\n"
    assert json.loads((tmp_path / "node.yaml").read_text()) == {
        "Labels": {
            "instance-id": "i-0123456789abcdef0",
            "instance-type": "m6a.large",
            "region": "us-east-1",
            "zone": "us-east-1a",
            "lifecycle": "spot",
        }
    }
    assert (tmp_path / "data").is_dir()


def test_the_draining_file_is_the_same_on_both_sides() -> None:
    assert bacalhau_cli.DRAINING == bacalhau_config.DRAINING
    assert bacalhau_cli.AGENT.startswith(f"http://127.0.0.1:{bacalhau_config.API_PORT}/")


# --- Bacalhau's program


def archive(content: bytes = b"program", name: str = "bacalhau") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        member = tarfile.TarInfo(f"./{name}")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def sums(data: bytes) -> dict[str, str]:
    return dict.fromkeys(("x86_64", "arm64"), hashlib.sha256(data).hexdigest())


def fetch(url: str, program: Path, *, sha256: dict[str, str] | None = None) -> tuple[str, list[float]]:
    waits: list[float] = []
    digest = download.install_bacalhau(
        url + "/{version}/{arch}",
        version="v1",
        sha256=sha256 or {},
        program=str(program),
        record=str(program.with_name("archive.json")),
        sleep=waits.append,
    )
    return digest, waits


def test_the_program_is_put_in_its_place_and_its_archives_sum_told(
    tmp_path: Path, serve: Callable[..., str]
) -> None:
    data = archive()
    digest, waits = fetch(serve((200, data)), tmp_path / "bacalhau", sha256=sums(data))
    assert digest == hashlib.sha256(data).hexdigest()
    assert (tmp_path / "bacalhau").read_bytes() == b"program"
    assert stat.S_IMODE((tmp_path / "bacalhau").stat().st_mode) == 0o755
    assert waits == []
    assert sorted(file.name for file in tmp_path.iterdir()) == ["archive.json", "bacalhau"]


def test_a_program_that_the_image_has_is_not_fetched_again(tmp_path: Path, serve: Callable[..., str]) -> None:
    """Only if it is there, from the same address, with the checksum of the configuration."""
    data, other = archive(), archive(b"another program")
    url, program = serve((200, data), (200, other), (200, data)), tmp_path / "bacalhau"
    digest, _ = fetch(url, program)
    assert fetch(url, program, sha256=sums(data)) == (digest, [])
    assert fetch(url, program, sha256=sums(other))[0] != digest
    assert program.read_bytes() == b"another program"
    program.unlink()
    fetch(url, program)
    assert program.read_bytes() == b"program"
    program.with_name("archive.json").write_text("{")
    assert fetch(serve((200, other)), program)[0] == hashlib.sha256(other).hexdigest()


def test_trouble_on_the_way_is_waited_out(tmp_path: Path, serve: Callable[..., str]) -> None:
    data = archive()
    _, waits = fetch(serve((503, b""), (200, data[: len(data) // 2]), (200, data)), tmp_path / "bacalhau")
    assert waits == [2, 4]


def test_what_is_not_there_is_not_asked_for_again(tmp_path: Path, serve: Callable[..., str]) -> None:
    with pytest.raises(CommandFailedError, match=r"/v1/a.*64: HTTP 404"):
        fetch(serve((404, b"")), tmp_path / "bacalhau")


def test_nobody_there_is_said_in_the_end(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match="refused"):
        fetch("http://127.0.0.1:9", tmp_path / "bacalhau")


def test_another_sum_is_refused(tmp_path: Path, serve: Callable[..., str]) -> None:
    with pytest.raises(CommandFailedError, match="the configuration has 0000"):
        fetch(
            serve((200, archive())),
            tmp_path / "bacalhau",
            sha256=dict.fromkeys(("x86_64", "arm64"), "0" * 64),
        )
    assert [file.name for file in tmp_path.iterdir()] == []


def test_an_archive_without_the_program_is_refused(tmp_path: Path, serve: Callable[..., str]) -> None:
    with pytest.raises(CommandFailedError, match="holds no program"):
        fetch(serve((200, archive(name="other"))), tmp_path / "bacalhau")


# --- Docker


def test_docker_keeps_its_settings_and_gets_the_slice(tmp_path: Path) -> None:
    file = tmp_path / "docker" / "daemon.json"
    assert docker.configure_docker(str(file))
    logs = {"log-driver": "local", "log-opts": {"max-size": "100m", "max-file": "5"}}
    assert json.loads(file.read_text()) == {"cgroup-parent": "bacalhau-jobs.slice", **logs}
    assert not docker.configure_docker(str(file))
    file.write_text('{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}')
    assert docker.configure_docker(str(file))
    assert json.loads(file.read_text())["runtimes"] == {"nvidia": {"path": "nvidia-container-runtime"}}
    file.write_text('{"log-driver": "journald"}')
    assert docker.configure_docker(str(file))
    assert json.loads(file.read_text()) == {"log-driver": "journald", "cgroup-parent": "bacalhau-jobs.slice"}
    assert not docker.configure_docker(str(file))
    file.write_text("{")
    with pytest.raises(CommandFailedError, match="cannot be read"):
        docker.configure_docker(str(file))


def test_a_gpu_is_found_by_its_maker_and_class(tmp_path: Path) -> None:
    def device(name: str, vendor: str, kind: str) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(vendor + "\n")
        (tmp_path / name / "class").write_text(kind + "\n")

    device("0000:00:03.0", "0x1d0f", "0x030000")  # Amazon's own display
    device("0000:00:04.0", "0x10de", "0x068000")  # an NVIDIA bridge
    assert not wait_for_runtime.has_nvidia(str(tmp_path))
    device("0000:00:1e.0", "0x10de", "0x030200")
    assert wait_for_runtime.has_nvidia(str(tmp_path))


# --- other programs


def test_a_failure_carries_the_last_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shell, "LOG", str(tmp_path / "log"))
    with pytest.raises(CommandFailedError, match=r"^sh ended with 3: E: no such package$"):
        shell.run_command(["sh", "-c", "echo reading; echo 'E: no such package' >&2; exit 3"], timeout_s=10)
    assert "reading\n" in (tmp_path / "log").read_text()
    with pytest.raises(CommandFailedError, match="nonesuch cannot run"):
        shell.run_command(["nonesuch"], timeout_s=10)
    with pytest.raises(CommandFailedError, match="sleep did not end within"):
        shell.run_command(["sleep", "10"], timeout_s=0.05)


# --- the user's own commands


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 0),
        ("  \n", 0),
        ("true\n", 0),
        ("false\ntrue\n", 1),  # not swallowed by what follows
        ("exit 7", 7),
        ("#!/bin/sh\nfalse\nexit 0\n", 0),  # its own interpreter, its own rules
        ("#!/usr/bin/env python3\nimport sys; sys.exit(9)\n", 9),
    ],
)
def test_additional_commands_report_how_they_ended(
    text: str, code: int, tmp_path: Path, messages: RecordedMessages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_boot, "LOG", str(tmp_path / "log"))
    file = tmp_path / "commands"
    file.write_text(text)
    file.chmod(0o700)
    console = Console(paths=())
    monkeypatch.setattr(console, "say", messages.say)
    assert first_boot.additional_commands(console, path=str(file)) == code
    assert messages.phases == (["commands"] if text.strip() else [])


# --- joined


def test_addresses_are_host_and_port() -> None:
    assert join_check.addresses(["nats://a:4222", "tls://b", "c:443", "nats://[2001:db8::1]:4300"]) == [
        ("a", 4222),
        ("b", 4222),
        ("c", 443),
        ("2001:db8::1", 4300),
    ]


def test_ports_are_the_orchestrators() -> None:
    assert join_check.ports(["nats://a:4222", "tls://b", "c:443", "nats://[2001:db8::1]:4300"]) == {
        4222,
        443,
        4300,
    }


def test_a_connection_of_this_process_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert join_check.connections(os.getpid(), {port}) == set()
        with socket.create_connection(("127.0.0.1", port)):
            assert len(join_check.connections(os.getpid(), {port})) == 1
            assert join_check.connections(1, {port}) <= {""} or os.getpid() == 1
            assert join_check.connections(os.getpid(), {port + 1}) == set()


FAILURE = '{"level":"error","error":"nats: Authorization Violation","message":"Connection attempt failed"}'


def test_the_reason_is_bacalhaus_own() -> None:
    assert join_check.last_error("") == ""
    assert (
        join_check.last_error(f'plain\n{FAILURE}\n{{"level":"info","message":"x"}}\n[]\n')
        == "nats: Authorization Violation"
    )


class FakeService(join_check.Service):
    """`held`: when each socket is there, as (socket, from, to)."""

    def __init__(self, *locks: tuple[str, float, float], error: str = "") -> None:
        self.at = 0.0
        self._held = locks
        self._error = error

    def sockets(self, to: set[int]) -> set[str]:
        return {name for name, begin, end in self._held if begin <= self.at < end}

    def error(self) -> str:
        return self._error

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def test_joined_is_a_connection_that_outlasts_a_handshake(messages: RecordedMessages) -> None:
    service = FakeService(("a", 3, 1000))
    assert (
        join_check.wait_for_join({4222}, seconds=60, say=messages.say, service=service)
        >= join_check.HANDSHAKE_S
    )
    assert service.at == 3 + join_check.LASTING_S
    assert messages.lines == []


def test_connections_that_come_and_go_are_no_joining(messages: RecordedMessages) -> None:
    attempts = [(str(n), 10.0 * n, 10.0 * n + 9) for n in range(10)]
    with pytest.raises(CommandFailedError, match="not joined after 60 s: nats: Authorization Violation"):
        join_check.wait_for_join(
            {4222},
            seconds=60,
            say=messages.say,
            service=FakeService(*attempts, error="nats: Authorization Violation"),
        )
    assert messages.lines == [("waiting", "nats: Authorization Violation")]


def test_no_connection_at_all_is_said(messages: RecordedMessages) -> None:
    with pytest.raises(CommandFailedError, match="no lasting connection"):
        join_check.wait_for_join({4222}, seconds=60, say=messages.say, service=FakeService())
