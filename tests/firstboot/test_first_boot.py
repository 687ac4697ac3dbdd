"""A machine boots with nothing but what we render, joins, and leaves when EC2 wants it back. Minutes, not seconds:

uv run pytest tests/firstboot -m firstboot -n 0
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import hashlib
import io
import json
import os
import socket
import tarfile
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bacalhau_spot.core.model import (
    Arch,
    BacalhauSpec,
    ClusterSpec,
    InstanceSpec,
    Naming,
    NodeFile,
    RegionSpec,
    Secret,
)
from bacalhau_spot.instance.user_data import render
from firstboot.image import image, missing
from firstboot.machine import Machine, boot
from firstboot.metadata_server import INSTANCE, Ec2
from support.node_specs import PUBLIC_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.firstboot, pytest.mark.skipif(bool(missing()), reason=missing() or "can run")]

HERE = Path(__file__).parent
TOKEN = "a\"b\\c$d`e'f-very-secret"
BOOT_S = 900
NAME = f"bacalhau-{INSTANCE}"


def archive(program: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        member = tarfile.TarInfo("bacalhau")
        member.size, member.mode = len(program), 0o755
        tar.addfile(member, io.BytesIO(program))
    return out.getvalue()


@contextlib.contextmanager
def orchestrator() -> Iterator[int]:
    """Takes connections and keeps them."""
    sockets: list[socket.socket] = []

    def accept(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                sockets.append(server.accept()[0])

    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=accept, args=(server,), daemon=True).start()
    yield server.getsockname()[1]
    for each in (server, *sockets):
        each.close()


def spec(port: int, program: bytes) -> ClusterSpec:
    digest = hashlib.sha256(program).hexdigest()
    return ClusterSpec(
        name="first boot",
        naming=Naming(),
        regions=(RegionSpec("us-east-1"),),
        nodes=1,
        username="operator",  # Debian has a group of this name
        public_key=PUBLIC_KEY,
        max_price_usd_per_hour=Decimal("0.05"),
        bacalhau=BacalhauSpec(
            orchestrators=(f"nats://169.254.169.254:{port}",),
            token=Secret(TOKEN),
            download_url="http://169.254.169.254/test/bacalhau_{version}_{arch}.tar.gz",
            sha256=((Arch.X86_64, digest),),
            labels=(("team", "data"),),
        ),
        instance=InstanceSpec(
            additional_commands=(HERE / "guest_agent.py").read_text("utf-8"),
            files=(NodeFile("/home/operator/own.txt", 'mine: "ü" $HOME ${x}\n', mode="0640"),),
        ),
    )


class Boot:
    """One boot, from power-on to the end of the interruption, looked at by all tests of this file."""

    def __init__(self, ec2: Ec2, machine: Machine) -> None:
        self.ec2 = ec2
        self.machine = machine
        self.user_data = b""
        self.joined_after = 0.0
        self.interrupted_after = 0.0

    def note(self, name: str) -> Any:
        return self.ec2.noted[name]


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boot]:
    program = archive((HERE / "fake_orchestrator.py").read_bytes())
    console = tmp_path_factory.mktemp("firstboot") / "console"
    with orchestrator() as port:
        user_data = render(spec(port, program), region="us-east-1")
        ec2 = Ec2(user_data)
        ec2.served["bacalhau_v1.9.3_amd64.tar.gz"] = program
        try:
            with boot(image(), console) as machine:
                machine_boot = Boot(ec2, machine)
                machine.wait_for("joined", seconds=BOOT_S)
                machine_boot.joined_after = time.monotonic() - machine.began
                _interrupt(machine_boot)
                yield machine_boot
        finally:
            ec2.close()
            if console_path := os.environ.get("BACALHAU_SPOT_CONSOLE"):
                Path(console_path).write_bytes(console.read_bytes())


def _interrupt(booted: Boot) -> None:
    ends = dt.datetime.now(tz=dt.UTC) + dt.timedelta(seconds=120)
    booted.ec2.values["meta-data/events/recommendations/rebalance"] = (
        b'{"noticeTime": "2026-01-01T00:00:00Z"}'
    )
    booted.machine.wait_for("rebalance", seconds=60)
    notice = {"action": "terminate", "time": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
    booted.ec2.values["meta-data/spot/instance-action"] = json.dumps(notice).encode()
    began = time.monotonic()
    booted.machine.wait_for("stopped", seconds=150)
    booted.interrupted_after = time.monotonic() - began


def test_every_phase_is_on_the_console_in_order(booted: Boot) -> None:
    phases = [phase for phase, _ in booted.machine.phases()]
    assert phases == [
        "packages",
        "docker",
        "download",
        "start",
        "commands",
        "failed",  # the test's own commands end with 5
        "joined",
        "rebalance",
        "interrupted",
        "stopping",
        "stopped",
    ]
    phase_details = dict(booted.machine.phases())
    assert phase_details["start"].startswith(f"{NAME}, Bacalhau v1.9.3, archive sha256 ")
    assert phase_details["failed"].startswith("additional_commands ended with 5")
    assert phase_details["joined"].endswith("engines docker wasm")


def test_bacalhau_is_started_with_what_was_configured(booted: Boot) -> None:
    started = booted.note("started")
    assert started["arguments"] == [
        *(
            "serve",
            "--config",
            "/etc/bacalhau/config.yaml",
            "--config",
            "/etc/bacalhau/node.yaml",
            "--name",
            NAME,
        )
    ]
    assert started["token"] == TOKEN
    assert started["folder"] == started["home"] == "/var/lib/bacalhau"
    assert started["docker"] is True
    assert started["probe"] == 0
    assert started["config"]["Labels"] == {
        "team": "data",
        "provider": "aws",
        "region": "us-east-1",
        "cluster": "first-boot",
        "instance-id": INSTANCE,
        "instance-type": "m6a.large",
        "zone": "us-east-1a",
        "lifecycle": "spot",
    }
    assert started["config"]["API"] == {"Host": "127.0.0.1", "Port": 1234}


def test_services_run_and_stay(booted: Boot) -> None:
    report = booted.note("report")
    assert set(report["active"].values()) == {"active"}
    assert set(report["enabled"].values()) == {"enabled"}
    assert report["failed"][1] == ""
    assert report["cgroup"] == [0, "systemd 2"]


def test_files_belong_to_whom_they_should(booted: Boot) -> None:
    assert booted.note("report")["files"] == {
        "/etc/bacalhau/config.yaml": ["0o600", "root"],
        "/etc/bacalhau/node.yaml": ["0o644", "root"],
        "/etc/bacalhau/node.env": ["0o644", "root"],
        "/etc/bacalhau/token.env": ["0o600", "root"],
        "/etc/bacalhau-spot/node.json": ["0o644", "root"],
        "/etc/bacalhau-spot/additional_commands": ["0o700", "root"],
        "/home/operator/own.txt": ["0o640", "root"],
        "/usr/local/bin/bacalhau": ["0o755", "root"],
        "/var/lib/bacalhau": ["0o700", "root"],
        "/var/log/bacalhau-spot.log": ["0o600", "root"],
    }


def test_the_token_is_seen_nowhere_else(booted: Boot) -> None:
    report = booted.note("report")
    assert report["token_seen"] == []
    assert report["journal_has_token"] is False
    assert TOKEN not in booted.machine.console()
    assert "very-secret" not in booted.machine.console()


def test_one_user_with_the_key_and_sudo(booted: Boot) -> None:
    report = booted.note("report")
    assert PUBLIC_KEY in report["keys"]
    assert (report["sudo"][0], report["sudo"][1].splitlines()[-1]) == (0, "0")
    assert report["password"][1].split()[1] == "L"
    settings = dict(line.split(" ", 1) for line in report["sshd"].splitlines() if " " in line)
    assert settings["passwordauthentication"] == settings["kbdinteractiveauthentication"] == "no"
    assert settings["permitrootlogin"] == "no"


def test_only_ssh_listens_beyond_the_machine(booted: Boot) -> None:
    lines = booted.note("report")["listening"][1].splitlines()
    open_to_all = {line.split()[3] for line in lines if not line.split()[3].startswith(("127.", "[::1]"))}
    assert {address.rpartition(":")[2] for address in open_to_all} == {"22"}


@pytest.mark.parametrize("network", ["bridge", "host"])
def test_containers_cannot_read_the_metadata_and_can_reach_the_rest(booted: Boot, network: str) -> None:
    of_metadata, of_the_rest = booted.note("report")["containers"][network]
    assert of_metadata != 0
    assert of_the_rest == 0
    assert booted.note("report")["containers"]["netcat"][0] != 0


def test_the_interruption_cordons_waits_and_leaves_in_time(booted: Boot) -> None:
    phases = dict(booted.machine.phases())
    assert phases["interrupted"].startswith("terminate in ")
    assert phases["stopping"] == "unfinished executions: 0"
    assert booted.note("left") == {"draining": True}
    assert booted.interrupted_after < 90


def test_user_data_is_what_ec2_takes(booted: Boot) -> None:
    assert len(booted.ec2.values["user-data"]) <= 16384
    assert gzip.decompress(booted.ec2.values["user-data"]).startswith(b"#cloud-config\n")
