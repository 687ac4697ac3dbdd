"""The parts that run Bacalhau itself on an instance, with another program in its place.

Source: systemd.service(5), Restart and RestartSec; EC2 User Guide, "Use IMDS"; the programs in instance/scripts.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aws_spot_sandbox_bacalhau import user_data_parser
from aws_spot_sandbox_bacalhau.forwarder import Forwarder
from aws_spot_sandbox_bacalhau.instance_files import SERVICES, InstanceFiles
from aws_spot_sandbox_bacalhau.metadata import MetadataService
from aws_spot_sandbox_bacalhau.programs import Programs
from aws_spot_sandbox_bacalhau.real_node import free_port
from aws_spot_sandbox_bacalhau.units import Service
from bacalhau_spot.instance.scripts.metadata import Metadata
from sandbox_nodes.machines import launch
from sandbox_nodes.orchestrators import Orchestrator

BACALHAU = "bacalhau.service"
# It prints its arguments, and ends when it is told to.
PROGRAM = f"#!{sys.executable}\nimport sys, time\nprint(*sys.argv[1:], flush=True)\ntime.sleep(600)\n"


def until(look: Callable[[], Any]) -> Any:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if value := look():
            return value
        time.sleep(0.05)
    raise AssertionError("nothing within 20 s")


@pytest.fixture
def files(sandbox: Any, tmp_path: Path) -> InstanceFiles:
    """Of a node as it is launched."""
    (instance_id,) = launch(sandbox)
    (machine,) = (found for found in machines(sandbox) if found.id == instance_id)
    made = InstanceFiles(
        tmp_path / "root", "http://127.0.0.1:9", "http://127.1.0.1:1234", docker="", owner="bacalhau-n"
    )
    made.write(user_data_parser.files(str(machine.moto.user_data)))
    (made.root / "etc/bacalhau/node.env").write_text("NODE_NAME=bacalhau-i-1\n")
    return made


def machines(sandbox: Any) -> list[Any]:
    region = sandbox.server._ec2._region("us-east-1")
    return list(region.machines.values())


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    started = Programs(tmp_path / "base")
    yield started
    started.close()


@pytest.fixture
def service(files: InstanceFiles, programs: Programs, tmp_path: Path) -> Iterator[Service]:
    program = tmp_path / "bacalhau"
    program.write_text(PROGRAM)
    program.chmod(0o700)
    made = Service(files.unit(BACALHAU), files, programs, str(program), arguments=("--more",))
    yield made
    made.stop(orderly=False)


def systemctl(files: InstanceFiles, *words: str) -> str:
    command = [str(files.root / "bin/systemctl"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def test_its_files_have_the_paths_and_addresses_of_this_machine(files: InstanceFiles) -> None:
    """The programs, units and the configuration name no path outside the folder."""
    root = str(files.root)
    config = (files.root / "etc/bacalhau/config.yaml").read_text()
    assert f"test ! -e {root}/run/bacalhau-spot/draining" in config
    library = files.root / "usr/local/lib/bacalhau-spot/node"
    assert f'"{root}/dev/console"' in (library / "console.py").read_text()
    assert 'SERVICE = "http://127.0.0.1:9"' in (library / "metadata.py").read_text()
    assert 'AGENT = "http://127.1.0.1:1234/api/v1/agent"' in (library / "bacalhau_cli.py").read_text()
    assert '"label=bacalhau-executor=bacalhau-n"' in (library / "containers.py").read_text()
    assert not (files.root / "etc/ssh").exists()
    checked = subprocess.run(
        [sys.executable, "-m", "compileall", "-q", str(library)], check=False, timeout=60
    )
    assert checked.returncode == 0


def test_the_service_runs_the_units_command(service: Service, files: InstanceFiles) -> None:
    service.follow()
    assert service.process is None  # nobody has enabled it
    systemctl(files, "enable", "--now", BACALHAU)
    service.follow()
    printed = until(lambda: service.log.exists() and service.log.read_text())
    folder = files.root / "etc/bacalhau"
    assert printed.split() == [
        "serve", "--config", f"{folder}/config.yaml", "--config", f"{folder}/node.yaml", "--name", "bacalhau-i-1", "--more",
    ]  # fmt: skip
    shown = systemctl(files, "show", "--property=MainPID", "--value", BACALHAU)
    assert service.process is not None and int(shown) == service.process.pid


def test_a_crash_is_repaired_after_restart_sec(service: Service, files: InstanceFiles) -> None:
    systemctl(files, "enable", "--now", BACALHAU)
    service.follow()
    first = service.process
    assert first is not None
    first.kill()
    first.wait()
    service.follow()
    assert service.process is None
    assert systemctl(files, "show", BACALHAU) == "0\n"
    service._again_at -= service.unit.restart_s
    service.follow()
    assert service.process is not None and service.process.pid != first.pid
    assert service.unit.restart_s == 5


def test_try_restart_starts_another_and_stop_is_final(service: Service, files: InstanceFiles) -> None:
    """As the watchdog and the watcher of EC2's notice use them: both wait for the end."""
    systemctl(files, "try-restart", BACALHAU)
    service.follow()
    assert service.process is None  # one that does not run is not started
    systemctl(files, "enable", "--now", BACALHAU)
    service.follow()
    first = service.process
    for words in (("try-restart", BACALHAU), ("stop", BACALHAU)):
        with subprocess.Popen([str(files.root / "bin/systemctl"), *words]) as command:
            while command.poll() is None:
                service.follow()
                time.sleep(0.02)
            assert command.returncode == 0
        service.follow()
        assert service.process is not first
    assert service.process is None
    assert service.starts == 2
    assert [path.name for path in (files.root / SERVICES).glob(f"{BACALHAU}.[pb]*")] == []


def test_a_stop_waits_for_exec_stop_post(service: Service, files: InstanceFiles, tmp_path: Path) -> None:
    """The removal of containers: the watcher of EC2's notice removes the rest after it, not at the same time."""
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\nsleep 0.3\necho "$@" >> {tmp_path}/asked\n')
    docker.chmod(0o700)
    here = dataclasses.replace(files, docker=str(docker))
    here._programs()
    service.files = here
    systemctl(files, "enable", "--now", BACALHAU)
    service.follow()
    with subprocess.Popen([str(files.root / "bin/systemctl"), "stop", BACALHAU]) as command:
        while command.poll() is None:
            service.follow()
            time.sleep(0.02)
    assert (
        "network prune --force --filter label=bacalhau-executor=bacalhau-n"
        in (tmp_path / "asked").read_text()
    )


def test_nothing_survives_the_sandbox(tmp_path: Path) -> None:
    """Not even if it is killed: another process notices the end of its pipe."""
    base = tmp_path / "base"
    base.mkdir()
    code = (
        "import sys, time; from pathlib import Path; from aws_spot_sandbox_bacalhau.programs import Programs\n"
        "base = Path(sys.argv[1])\n"
        "started = Programs(base).start(['/bin/sleep', '600'], folder=base, log=base / 'log', env={})\n"
        "print(started.pid, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(base)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
    until(lambda: not base.exists())
    until(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_forwarded_port_is_closed_with_its_connections() -> None:
    target = free_port()
    with socket.create_server(("127.0.0.1", target)) as server:
        forwarder = Forwarder("127.1.0.77", port := free_port(), to=target)
        with socket.create_connection(("127.1.0.77", port), timeout=5) as client:
            connection, _ = server.accept()
            client.sendall(b"ping")
            assert connection.recv(10) == b"ping"
            connection.sendall(b"pong")
            assert client.recv(10) == b"pong"
            forwarder.stop()
            assert client.recv(10) == b""
            connection.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.1.0.77", port), timeout=5)


def test_the_metadata_service_is_version_2_with_the_roles_credentials(sandbox: Any) -> None:
    """The product's own client reads it. Without a token nothing is given out; a notice appears with its time."""
    made = Orchestrator.complete(sandbox)
    sandbox.clock.advance(5)
    sandbox.server.settle()
    region = sandbox.server._ec2._region("us-east-1")
    (machine,) = region.machines.values()
    service = MetadataService(region, machine)
    try:
        read = Metadata(service.url).get
        assert read("instance-id") == made.instance_id
        assert read("placement/availability-zone") == "us-east-1a"
        assert read("instance-life-cycle") == "on-demand"
        assert read("spot/instance-action") is None
        assert read("events/recommendations/rebalance") is None
        role = read("iam/security-credentials/")
        assert role == "orchestrator"
        credentials = json.loads(read(f"iam/security-credentials/{role}") or "")
        assert credentials["AccessKeyId"] in sandbox.world.sessions
        machine.notice_at, machine.notice_s = sandbox.clock.now(), 120.0
        assert set(json.loads(read("spot/instance-action") or "")) == {"action", "time"}
        machine.rebalance_at = sandbox.clock.now()
        assert set(json.loads(read("events/recommendations/rebalance") or "")) == {"noticeTime"}
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{service.url}/latest/meta-data/instance-id", timeout=5)
    finally:
        service.stop()
