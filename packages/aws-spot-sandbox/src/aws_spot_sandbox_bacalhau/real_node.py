"""A compute node that runs: Bacalhau itself and the node's own programs, with the files of the instance's user data.

The packages, Docker and the archive of the first boot are this machine's. From the start of Bacalhau on, the instance's own
programs do all: labels and name, the wait for the join, the watcher of EC2's notice, the watchdog, the removal of containers.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from aws_spot_sandbox.ec2 import instances
from aws_spot_sandbox_bacalhau import boot, network, user_data_parser
from aws_spot_sandbox_bacalhau.instance_files import CONSOLE, LIBRARY, POWEROFF, SERVICES, InstanceFiles
from aws_spot_sandbox_bacalhau.metadata import MetadataService
from aws_spot_sandbox_bacalhau.programs import environment
from aws_spot_sandbox_bacalhau.units import Service

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox_bacalhau.boot import Line
    from aws_spot_sandbox_bacalhau.programs import Programs
    from aws_spot_sandbox_bacalhau.user_data_parser import Given

BACALHAU = "bacalhau.service"
_API_PORT = 1234
_UNITS = (BACALHAU, "bacalhau-spot-watch.service", "bacalhau-spot-watchdog.service")
_BOOT = """
import json, sys
from pathlib import Path
from node import first_boot
from node.console import Console
from node.metadata import Metadata
from node.shell import CommandFailedError, run_command
facts, console = json.loads(Path(first_boot.FACTS).read_text("utf-8")), Console()
try:
    name = first_boot.identify(Metadata(), prefix=facts["name_prefix"])
    run_command(["systemctl", "enable", "--now", "bacalhau-spot-watch.service"], timeout_s=60)
    console.say("start", f"{name}, Bacalhau {facts['version']}, archive sha256 {sys.argv[1]}")
    services = ["bacalhau.service", "bacalhau-spot-watchdog.service"]
    run_command(["systemctl", "enable", "--now", *services], timeout_s=900)
    sys.exit(0 if first_boot.finish(facts, console) else 1)
except CommandFailedError as why:
    console.say("failed", f"{console.phase}: {why}")
    sys.exit(1)
"""
# Those before it are simulated.
_BEFORE = frozenset({"packages", "docker", "download"})
_LINE = re.compile(r"bacalhau-spot: (\S+) ([a-z]+)(?:: (.*))?")


@dataclass
class RealNode:
    """Callers hold the region's lock."""

    region: Region
    machine: Machine
    about: Given
    program: str
    programs: Programs
    ended: bool = False
    services: tuple[Service, ...] = ()
    _metadata: MetadataService | None = None
    _first_boot: subprocess.Popen[bytes] | None = None
    _root: Path | None = field(default=None)

    @property
    def name(self) -> str:
        return boot.name(self.machine, self.about)

    def start(self) -> None:
        self._metadata = MetadataService(self.region, self.machine)
        root = self._root = self.programs.base / self.machine.id
        host, port = _api_address(network.public_address(self.machine))
        files = InstanceFiles(
            root=root,
            metadata=self._metadata.url,
            agent=f"http://{host}:{port}",
            docker=shutil.which("docker") or "",
            owner=f"bacalhau-{self.name}",
        )
        files.write(user_data_parser.files(str(self.machine.moto.user_data)))
        (root / "etc/bacalhau-spot/additional_commands").write_text(
            ""
        )  # the user's, as root, for another machine
        if self.about.parameter:
            value = (self.machine.token or "").replace("\\", "\\\\").replace('"', '\\"')
            (root / "etc/bacalhau/token.env").write_text(f'BACALHAU_COMPUTE_AUTH_TOKEN="{value}"\n')
        here = root / "etc/bacalhau/here.yaml"
        here.write_text(json.dumps({"API": {"Host": host, "Port": port}}))
        self.services = tuple(
            Service(
                files.unit(name),
                files,
                self.programs,
                self.program,
                arguments=("--config", str(here)) if name == BACALHAU else (),
            )
            for name in _UNITS
        )
        digest = self.about.sums.get("x86_64") or "unknown"
        self._first_boot = self.programs.start(
            [sys.executable, "-c", _BOOT, digest],
            folder=root / LIBRARY,
            log=root / "var/log/bacalhau-spot.log",
            env={"PATH": f"{root}/bin:{environment().get('PATH', '')}"},
        )

    def follow(self) -> None:
        if self._root is not None and not self.ended and (self._root / SERVICES / POWEROFF).exists():
            instances.shut_down_from_inside(self.region, self.machine)
        if not self.ended:
            for service in self.services:
                service.follow()

    def end(self, *, orderly: bool) -> None:
        self.ended = True
        for service in reversed(self.services):  # the watchers first: none may restart it
            service.stop(orderly=orderly and service.unit.name == BACALHAU)
        if self._first_boot is not None and self._first_boot.poll() is None:
            self._first_boot.kill()
            self._first_boot.wait()
        if self._metadata is not None:
            self._metadata.stop()

    def lines(self, simulated: Iterator[Line]) -> Iterator[Line]:
        """Of the console: the phases before the start, and those of the node's programs."""
        yield from (line for line in simulated if line.phase in _BEFORE)
        if self._root is not None:
            yield from console_lines(self._root)


def console_lines(root: Path) -> Iterator[Line]:
    """Those that the programs of an instance have written to its console."""
    text = ""
    with suppress(OSError):
        text = (root / CONSOLE).read_text(errors="replace")
    for match in map(_LINE.fullmatch, text.splitlines()):
        if match is not None:
            at = datetime.fromisoformat(match[1]).timestamp()
            yield boot.Line(at, match[2], match[3] or "")


def _api_address(public: str) -> tuple[str, int]:
    """Bacalhau's usual port on the node's address, unless another sandbox of this machine has a node there."""
    try:
        with socket.create_server((public or "127.0.0.1", _API_PORT)):
            return public or "127.0.0.1", _API_PORT
    except OSError:
        return "127.0.0.1", free_port()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
