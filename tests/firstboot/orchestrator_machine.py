"""The machine of a managed orchestrator in a virtual machine, until it answers, with Bacalhau itself."""

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

from bacalhau_spot.core.model import Arch, BacalhauSpec, ClusterSpec, Secret, Timeouts
from bacalhau_spot.core.orchestrator.nats_check import NatsStatus
from bacalhau_spot.core.tags import orchestrator_parameter
from bacalhau_spot.instance.orchestrator_data import orchestrator_cloud_config
from bacalhau_spot.orchestrator.certificates import new_credentials
from bacalhau_spot.orchestrator.nats_probe import probe_nats
from firstboot.image import image
from firstboot.machine import Machine, boot
from firstboot.metadata_server import Ec2
from firstboot.parameter_store import HOST as SSM
from firstboot.parameter_store import ParameterStore
from support.node_specs import FULL
from support.real_bacalhau import free_port, program_archive, until
from support.real_orchestrator import BUCKET, HOST, ManagedOrchestrator

BOOT_S = 1800  # a busy machine; on a quiet one a tenth of it
CREDENTIALS = new_credentials(HOST)
ROLE = {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "secret", "Token": "session"}
AGENT = Path(__file__).with_name("orchestrator_agent.py")


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
    program = program_archive()
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


def blank_volume(folder: Path) -> Path:
    """A new EBS volume."""
    volume = folder / "volume"
    with volume.open("wb") as out:
        out.truncate(1 << 30)
    return volume
