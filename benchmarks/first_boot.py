"""Times a machine from power-on to a joined node: plain, baked, and with the setup of the older tools.

    BACALHAU_BIN=… uv run python benchmarks/first_boot.py [--way plain] [--runs 3]   # as root; docs/nodes.md: what it needs

All boot the same image in the same virtual machine and start the same stand-in for Bacalhau. With BACALHAU_BIN, the archive that
a node downloads is as large as Bacalhau's. `baked` boots the disk that the machine of `image bake` has left; it is made once, and
kept in the image's folder. The console's phases separate the stages.

This file contains the older setup as its steps: package lists and upgrade, prerequisites, Docker with its recommended packages
and compose plugin, a service, a reboot. Two steps that cannot run here are omitted, in its favor: Docker from a third-party
repository with its key, and the download of an image that contains Docker. A node has joined when the orchestrator has its
connection.

    BACALHAU_BIN=… uv run python benchmarks/first_boot.py --way orchestrator

times the machine of a managed orchestrator, with Bacalhau itself, until NATS and the API answer: on a blank volume, and on the
volume of the first machine.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests")]  # the virtual machine is the tests'

from boot_stages import STAGES, FirstBoot, Moment, follow  # noqa: E402 -- likewise

from bacalhau_spot.core.model import Arch, BacalhauSpec, ClusterSpec, Naming, RegionSpec  # noqa: E402 -- likewise
from bacalhau_spot.instance.image_data import render_image  # noqa: E402 -- likewise
from bacalhau_spot.instance.user_data import render  # noqa: E402 -- likewise
from firstboot.image import image, missing  # noqa: E402 -- likewise
from firstboot.machine import boot  # noqa: E402 -- likewise
from firstboot.metadata_server import Ec2  # noqa: E402 -- likewise
from firstboot.orchestrator_machine import CREDENTIALS, blank_volume, booted  # noqa: E402 -- likewise
from support.real_bacalhau import PROGRAM, WITHOUT  # noqa: E402 -- found through the line above

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstboot.image import Image

STANDIN = (ROOT / "tests/firstboot/fake_orchestrator.py").read_bytes()
PATIENCE_S = 3600
WAYS = ("plain", "baked", "older")

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
    """With the stand-in and, if BACALHAU_BIN names it, Bacalhau's own program, so that it is as large as a release."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        programs = {"release": Path(PROGRAM).read_bytes() if PROGRAM else b"", "bacalhau": STANDIN}
        for name, content in programs.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(out.getvalue(), compresslevel=1, mtime=0)


def cluster(port: int, program: bytes) -> ClusterSpec:
    return ClusterSpec(
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


def older(port: int) -> bytes:
    return gzip.compress(
        OLDER.format(port=port, program=base64.b64encode(STANDIN).decode()).encode(), mtime=0
    )


@contextlib.contextmanager
def orchestrator() -> Iterator[Orchestrator]:
    there = Orchestrator()
    yield there
    there.close()


@contextlib.contextmanager
def metadata(user_data: bytes, program: bytes) -> Iterator[None]:
    ec2 = Ec2(user_data)
    ec2.served["program"] = program
    try:
        yield
    finally:
        ec2.close()


def measure(way: str, folder: Path) -> FirstBoot:
    """From power-on to joined."""
    program = archive()
    disk = baked(folder, program) if way == "baked" else image()
    with orchestrator() as there:
        user_data = (
            older(there.port) if way == "older" else render(cluster(there.port, program), region="us-east-1")
        )
        with (
            metadata(user_data, program),
            boot(disk, folder / f"{way}.console", reboots=way == "older") as machine,
        ):
            return follow(machine, there.joined, patience_s=PATIENCE_S)


def baked(folder: Path, program: bytes) -> Image:
    """The image after `image bake`, from the cache if nothing has changed."""
    user_data = render_image(cluster(0, program))
    disk = image().disk.with_name(f"baked-{hashlib.sha256(user_data).hexdigest()[:12]}")
    made = dataclasses.replace(image(), disk=disk)
    if disk.exists():
        return made
    copy = disk.with_suffix(".new")
    subprocess.run(["cp", "--sparse=always", str(image().disk), str(copy)], check=True)  # noqa: S603, S607 -- ours
    console = folder / "bake.console"
    with (
        metadata(user_data, program),
        boot(dataclasses.replace(made, disk=copy), console, keeps_disk=True) as machine,
    ):
        machine.wait_for("baked", seconds=PATIENCE_S)
        machine.process.wait(PATIENCE_S)  # until it has powered off
        say(f"baked in {time.monotonic() - machine.began:.0f} s")
    copy.rename(disk)
    return made


def measure_orchestrator(folder: Path) -> dict[str, float]:
    """Seconds from power-on to the answers of NATS and the API."""
    volume, value = blank_volume(folder), CREDENTIALS.to_json().reveal()
    found = {}
    for disk in ("blank volume", "existing volume"):
        with booted(folder, volume, value=value, console=folder / "console") as machine:
            found[disk] = round(machine.seconds, 1)
        (folder / "console").unlink()
    return found


def report(measured: dict[str, list[FirstBoot]]) -> str:
    """The medians of each way, as a table in Markdown: seconds and processor time, and both as a part of the first way's."""
    lines = [
        "| | " + " | ".join(f"{way}: s | {way}: CPU, s" for way in measured) + " |",
        f"|---|{'---|---|' * len(measured)}",
    ]
    wholes = [_median([boot.joined for boot in boots]) for boots in measured.values()]
    lines.append(_line("from power-on to joined", wholes))
    for stage in STAGES.values():
        parts = [
            _median([boot.stages[stage] for boot in boots]) if stage in boots[0].stages else None
            for boots in measured.values()
        ]
        lines.append(_line(stage, parts))
    first = wholes[0]
    ratios = [Moment(whole.wall_s / first.wall_s, whole.cpu_s / first.cpu_s) for whole in wholes]
    return "\n".join([*lines, _line("as a part of the first", ratios, digits=2)])


def _median(moments: list[Moment]) -> Moment:
    return Moment(
        statistics.median(each.wall_s for each in moments), statistics.median(each.cpu_s for each in moments)
    )


def _line(name: str, moments: list[Moment | None] | list[Moment], *, digits: int = 1) -> str:
    cells = [f"{each.wall_s:.{digits}f} | {each.cpu_s:.{digits}f}" if each else " | " for each in moments]
    return f"| {name} | {' | '.join(cells)} |"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 -- progress of a long run


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--way", choices=[*WAYS, "orchestrator"], help="default: all but the orchestrator")
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    if why := missing():
        raise SystemExit(why)
    if options.way == "orchestrator" and not PROGRAM:
        raise SystemExit(WITHOUT)
    measured: dict[str, list[FirstBoot]] = {}
    with tempfile.TemporaryDirectory() as folder:
        if options.way == "orchestrator":
            print(json.dumps(measure_orchestrator(Path(folder))))  # noqa: T201 -- its purpose
            return
        for _ in range(options.runs):
            for way in [options.way] if options.way else WAYS:
                done = measure(way, Path(folder))
                measured.setdefault(way, []).append(done)
                say(f"{way}: {json.dumps(dataclasses.asdict(done))}")
    print(report(measured))  # noqa: T201 -- likewise


if __name__ == "__main__":
    main()
