"""Times a machine from power-on to a joined node, relative to the setup of the older tools.

    uv run python benchmarks/first_boot.py        # as root, a quarter of an hour; see docs/nodes.md for what it needs

Both boot the same image in the same virtual machine and start the same stand-in for Bacalhau. This file contains the older
setup as its steps: package lists and upgrade, prerequisites, Docker with its recommended packages and compose plugin, a
service, a reboot. Two steps that cannot run here are omitted, in its favor: Docker from a third-party repository with its key,
and the download of an image that contains Docker. A node has joined when the orchestrator has its connection.

    BACALHAU_BIN=… uv run python benchmarks/first_boot.py --way orchestrator

times the machine of a managed orchestrator, with Bacalhau itself, until NATS and the API answer: on a blank volume, and on the
volume of the first machine.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import gzip
import hashlib
import io
import json
import socket
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests")]  # the virtual machine is the tests'

from bacalhau_spot.core.model import Arch, BacalhauSpec, ClusterSpec, Naming, RegionSpec  # noqa: E402 -- likewise
from bacalhau_spot.instance.user_data import render  # noqa: E402 -- likewise
from firstboot.image import image, missing  # noqa: E402 -- likewise
from firstboot.machine import boot  # noqa: E402 -- likewise
from firstboot.metadata_server import Ec2  # noqa: E402 -- likewise
from firstboot.orchestrator_machine import CREDENTIALS, blank_volume, booted  # noqa: E402 -- likewise
from support.real_bacalhau import PROGRAM, WITHOUT  # noqa: E402 -- found through the line above

if TYPE_CHECKING:
    from collections.abc import Iterator

STANDIN = (ROOT / "tests/firstboot/fake_orchestrator.py").read_bytes()
PATIENCE_S = 1800

OLDER = """\
#cloud-config
package_update: true
package_upgrade: true
packages: [apt-transport-https, ca-certificates, curl, gnupg, lsb-release, git, python3]
write_files:
  - path: /etc/node/config.yaml
    content: |
      API: {{Host: 127.0.0.1, Port: 1234}}
      Compute: {{Orchestrators: ["nats://169.254.169.254:{port}"]}}
      JobAdmissionControl: {{ProbeExec: "true"}}
  - path: /usr/local/bin/bacalhau
    permissions: "0755"
    encoding: b64
    content: {program}
  - path: /etc/systemd/system/node.service
    content: |
      [Unit]
      After=docker.service
      Requires=docker.service
      [Service]
      ExecStart=/usr/local/bin/bacalhau serve --config /etc/node/config.yaml
      Restart=always
      [Install]
      WantedBy=multi-user.target
runcmd:
  - apt-get update
  - apt-get install -y docker.io docker-cli docker-compose
  - systemctl enable docker node
power_state: {{mode: reboot, message: setup complete, timeout: 30, condition: true}}
"""


class Orchestrator:
    """Notes when a connection comes, and keeps it."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.joined = threading.Event()
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._kept.append(self._server.accept()[0])
                self.joined.set()

    def close(self) -> None:
        for each in (self._server, *self._kept):
            each.close()


def archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        member = tarfile.TarInfo("bacalhau")
        member.size = len(STANDIN)
        tar.addfile(member, io.BytesIO(STANDIN))
    return out.getvalue()


def ours(port: int, program: bytes) -> bytes:
    spec = ClusterSpec(
        name="benchmark",
        naming=Naming(),
        regions=(RegionSpec("us-east-1"),),
        nodes=1,
        bacalhau=BacalhauSpec(
            orchestrators=(f"nats://169.254.169.254:{port}",),
            download_url="http://169.254.169.254/test/program",
            sha256=((Arch.X86_64, hashlib.sha256(program).hexdigest()),),
        ),
    )
    return render(spec, region="us-east-1")


def older(port: int) -> bytes:
    return gzip.compress(
        OLDER.format(port=port, program=base64.b64encode(STANDIN).decode()).encode(), mtime=0
    )


@contextlib.contextmanager
def orchestrator() -> Iterator[Orchestrator]:
    there = Orchestrator()
    yield there
    there.close()


def measure(way: str, folder: Path) -> float:
    """Seconds from power-on to joined."""
    program = archive()
    with orchestrator() as there:
        ec2 = Ec2(ours(there.port, program) if way == "ours" else older(there.port))
        ec2.served["program"] = program
        console = folder / f"{way}.console"
        try:
            with boot(image(), console, reboots=way != "ours") as machine:
                began = time.monotonic()
                while not there.joined.wait(1):
                    if machine.process.poll() is not None or time.monotonic() - began > PATIENCE_S:
                        raise SystemExit(f"{way}: did not join\n{machine.console()[-4000:]}")
                return time.monotonic() - began
        finally:
            ec2.close()


def measure_orchestrator(folder: Path) -> dict[str, float]:
    """Seconds from power-on to the answers of NATS and the API."""
    volume, value = blank_volume(folder), CREDENTIALS.to_json().reveal()
    found = {}
    for disk in ("blank volume", "existing volume"):
        with booted(folder, volume, value=value, console=folder / "console") as machine:
            found[disk] = round(machine.seconds, 1)
        (folder / "console").unlink()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--way", choices=["ours", "older", "orchestrator"], help="default: ours and older")
    chosen = parser.parse_args().way
    if why := missing():
        raise SystemExit(why)
    if chosen == "orchestrator" and not PROGRAM:
        raise SystemExit(WITHOUT)
    image()
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        if chosen == "orchestrator":
            print(json.dumps(measure_orchestrator(Path(folder))))  # noqa: T201 -- its purpose
            return
        for way in [chosen] if chosen else ["ours", "older"]:
            found[way] = round(measure(way, Path(folder)), 1)
            print(f"{way}: {found[way]} s", file=sys.stderr, flush=True)  # noqa: T201 -- likewise
    if len(found) > 1:
        found["ratio"] = round(found["older"] / found["ours"], 2)
    print(json.dumps(found))  # noqa: T201 -- likewise


if __name__ == "__main__":
    main()
