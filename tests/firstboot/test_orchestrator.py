"""The machine of a managed orchestrator boots with Bacalhau itself: on a blank volume, and on the volume of a terminated one.

BACALHAU_BIN=/path/to/bacalhau uv run pytest tests/firstboot/test_orchestrator.py -m firstboot -n 0
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import gzip
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.core.model import Arch, BacalhauSpec, ClusterSpec, Secret, Timeouts
from bacalhau_spot.core.orchestrator.nats_check import NatsStatus
from bacalhau_spot.core.tags import orchestrator_parameter
from bacalhau_spot.instance.orchestrator_data import orchestrator_cloud_config
from bacalhau_spot.orchestrator.certificates import new_credentials, renewed
from bacalhau_spot.orchestrator.nats_probe import probe_nats
from firstboot.image import image, missing
from firstboot.machine import Machine, boot
from firstboot.metadata_server import Ec2
from firstboot.parameter_store import HOST as SSM
from firstboot.parameter_store import ParameterStore
from firstboot.test_real_node import archive
from support.node_specs import FULL
from support.real_bacalhau import PROGRAM, WITHOUT, free_port, until
from support.real_orchestrator import BUCKET, HOST, ManagedOrchestrator

pytestmark = [
    pytest.mark.firstboot,
    pytest.mark.skipif(not PROGRAM, reason=WITHOUT),
    pytest.mark.skipif(bool(missing()), reason=missing() or "can run"),
]
BOOT_S = 900
CREDENTIALS = new_credentials(HOST)
ROLE = {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "secret", "Token": "session"}
AGENT = Path(__file__).with_name("orchestrator_agent.py")
JOB = {
    "Name": "queued",
    "Namespace": "default",
    "Type": "batch",
    "Count": 1,
    "Tasks": [
        {
            "Name": "main",
            "Engine": {"Type": "docker", "Params": {"Image": "busybox"}},
            "Timeouts": {"QueueTimeout": 86400},
        }
    ],
}


def spec(program: bytes) -> ClusterSpec:
    return dataclasses.replace(
        FULL,
        username="operator",
        bacalhau=BacalhauSpec(
            download_url="http://169.254.169.254/test/program",
            sha256=((Arch.X86_64, hashlib.sha256(program).hexdigest()),),
        ),
        timeouts=Timeouts(join_s=BOOT_S),
    )


def user_data(cluster: ClusterSpec, store: ParameterStore) -> bytes:
    """The rendered user data. In addition, the machine finds and trusts the stand-in of SSM, and looks around itself."""

    def file(path: str, text: str) -> str:
        return f"echo {base64.b64encode(text.encode()).decode()} | base64 -d > {path}"

    commands = (
        f"echo 169.254.169.254 {SSM} >> /etc/hosts",
        file("/usr/local/share/ca-certificates/test.crt", store.ca_pem) + " && update-ca-certificates",
        file("/root/agent.py", AGENT.read_text("utf-8")),
        "systemd-run --no-block python3 /root/agent.py",
    )
    text = orchestrator_cloud_config(cluster, region="us-east-1", bucket=BUCKET)
    return gzip.compress(
        f"{text}\nbootcmd: {json.dumps([['sh', '-c', line] for line in commands])}\n".encode()
    )


class Boot:
    """A boot until the machine has reported."""

    def __init__(self, ec2: Ec2, machine: Machine, here: ManagedOrchestrator) -> None:
        self.machine = machine
        self.here = here
        machine.wait_for("answers", seconds=BOOT_S)
        self.seconds = time.monotonic() - machine.began
        self.report: dict[str, Any] = until("the report", lambda: ec2.noted.get("report"), seconds=120)
        self.phases = machine.phases()

    def nats_status(self, token: Secret) -> NatsStatus:
        return asyncio.run(probe_nats(self.here.nats_address, self.here.spec(token))).status


@contextlib.contextmanager
def booted(folder: Path, volume: Path, *, value: str, console: Path) -> Iterator[Boot]:
    program = archive()
    cluster = spec(program)
    store = ParameterStore(folder, orchestrator_parameter(cluster.naming), value)
    ec2 = Ec2(user_data(cluster, store))
    ec2.served["program"] = program
    ec2.values["meta-data/iam/security-credentials/bacalhau-orchestrator"] = json.dumps(ROLE).encode()
    ec2.values["meta-data/services/domain"] = b"amazonaws.com"
    here = ManagedOrchestrator(CREDENTIALS, free_port(), free_port(), pid=0)
    forwarded = {f"{HOST}:{here.nats}": 4222, f"{HOST}:{here.api}": 1234}
    try:
        with boot(image(), console, volume=volume, forwarded=forwarded) as machine:
            yield Boot(ec2, machine, here)
    finally:
        ec2.close()
        store.close()
        if kept := os.environ.get("BACALHAU_SPOT_CONSOLE"):
            Path(f"{kept}.{console.name}").write_bytes(console.read_bytes())


def blank(folder: Path) -> Path:
    volume = folder / "volume"
    with volume.open("wb") as out:
        out.truncate(1 << 30)
    return volume


def test_a_blank_volume_is_formatted_once_and_a_new_machine_continues_with_its_data(tmp_path: Path) -> None:
    volume = blank(tmp_path)
    value = CREDENTIALS.to_json().reveal()
    with booted(tmp_path, volume, value=value, console=tmp_path / "first") as first:
        print(f"answers after {first.seconds:.1f} s")  # noqa: T201 -- for the benchmark
        assert [phase for phase, _ in first.phases if phase != "waiting"] == [
            "download",
            "volume",
            "credentials",
            "start",
            "answers",
        ]
        details = dict(first.phases)
        assert (
            "/dev/nvme0n1 is mounted" in details["credentials"]
            and "new file system" in details["credentials"]
        )
        assert details["answers"] == "NATS on port 4222, the API on 1234"
        _check_machine(first.report)
        for secret in (CREDENTIALS.token, CREDENTIALS.operator_key, CREDENTIALS.tool_key):
            assert secret.reveal() not in first.machine.console()

        # From outside, as nodes and operators come.
        assert first.nats_status(CREDENTIALS.token) is NatsStatus.ACCEPTED
        assert first.nats_status(Secret("another")) is NatsStatus.TOKEN_REFUSED
        status, answer = first.here.ask("orchestrator/jobs", key=CREDENTIALS.operator_key, body={"Job": JOB})
        assert status == 200, answer
        assert first.here.ask("orchestrator/jobs", key=CREDENTIALS.tool_key, body={"Job": JOB})[0] == 403
        job_id = answer["JobID"]

    # The machine has ended without an orderly shutdown. Another one gets its volume, and a renewed certificate.
    value = renewed(CREDENTIALS, HOST).to_json().reveal()
    with booted(tmp_path, volume, value=value, console=tmp_path / "second") as second:
        print(f"answers after {second.seconds:.1f} s")  # noqa: T201 -- likewise
        assert "existing data" in dict(second.phases)["credentials"]
        status, found = second.here.ask(f"orchestrator/jobs/{job_id}", key=CREDENTIALS.operator_key)
        assert (status, found["Job"]["Name"]) == (200, "queued")


def _check_machine(report: dict[str, Any]) -> None:
    assert set(report["active"].values()) <= {"active", "inactive"}  # the boot's program has ended
    assert report["active"]["orchestrator.service"] == "active"
    assert report["active"]["orchestrator-credentials.timer"] == "active"
    assert report["enabled"]["orchestrator-boot.service"] == "enabled"
    assert report["enabled"]["orchestrator-credentials.timer"] == "enabled"
    assert report["failed"] == ""
    assert report["process"].split()[0] == "_bacalh+" or report["process"].startswith("_bacalhau")
    folder = "run/bacalhau-orchestrator"
    assert report["files"].pop(folder) == ["0o700", "_bacalhau"]
    assert set(report["files"]) == {
        f"{folder}/{name}" for name in ("ca.pem", "server.pem", "server.key", "sha256", "credentials.yaml")
    }
    assert set(map(tuple, report["files"].values())) == {("0o600", "_bacalhau")}
    assert report["data"] == ["0o700", "_bacalhau"]
    assert report["mount"].split() == ["/dev/nvme0n1", "ext4"]
    assert "0 errors" in report["fstab"] or "Success" in report["fstab"]
    ports = {line.split()[3].rpartition(":")[2] for line in report["listening"].splitlines()}
    assert ports - {"53"} == {"22", "1234", "4222"}
    assert report["seen"] == []
    assert report["journal_has_secret"] is False
    assert "passwordauthentication no" in report["sshd"]
    assert "QEMU NVMe" in report["nvme"]  # the Identify command is understood
    assert report["refresh"] == ""
