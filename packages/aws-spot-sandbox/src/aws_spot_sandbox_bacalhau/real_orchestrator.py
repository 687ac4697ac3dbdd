"""Bacalhau's own orchestrator on an instance, with exactly the configuration of the user data and of the parameter.

It differs in the addresses that it has on this machine: its own of the ports, that of S3, and that of the metadata service, from
which it has its role's credentials.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox_bacalhau import nats_listener, user_data_parser
from aws_spot_sandbox_bacalhau.forwarder import Forwarder
from aws_spot_sandbox_bacalhau.instance_files import LIBRARY, POWEROFF, SERVICES, InstanceFiles
from aws_spot_sandbox_bacalhau.metadata import MetadataService
from aws_spot_sandbox_bacalhau.programs import environment
from aws_spot_sandbox_bacalhau.real_node import console_lines, free_port
from aws_spot_sandbox_bacalhau.stand_in import API_PORT
from aws_spot_sandbox_bacalhau.units import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox_bacalhau.boot import Line
    from aws_spot_sandbox_bacalhau.credentials import Credentials
    from aws_spot_sandbox_bacalhau.programs import Programs

UNIT = "bacalhau-orchestrator.service"
_EXPIRY = "bacalhau-orchestrator-expiry.service"
_ANSWERS_MODULE = f"{LIBRARY}/node/orchestrator_answers.py"
_ANSWERS_S = 30.0
_WRITE = (
    "import json, sys\nfrom node import orchestrator_credentials as credentials\n"
    "credentials.write_credentials(json.load(sys.stdin), folder=credentials.FOLDER)\n"
)


@dataclass
class RealOrchestrator:
    """Implements `stand_in.Server`. `volume`: the id of its data volume, whose content outlives the machine."""

    region: Region
    machine: Machine
    program: str
    programs: Programs
    volume: str
    service: Service | None = None
    expiry: Service | None = None  # stops the machine after the lifetime of the cluster
    _metadata: MetadataService | None = None
    _credentials: Credentials | None = None
    _hidden: dict[int, int] = field(default_factory=dict)  # its ports on this machine, by their usual number
    _open: dict[tuple[str, int], Forwarder] = field(default_factory=dict)
    _answered: int = 0  # the number of its latest start that has answered

    def serve(self, credentials: Credentials, address: str, ports: frozenset[int]) -> str:
        """Waits for the first answer after a start of its own."""
        if self._credentials != credentials:
            self.stop(orderly=True)
            self._credentials = credentials
            self._hidden = {nats_listener.PORT: free_port(), API_PORT: free_port()}
            self.service, self.expiry = self._services(credentials)
            self.service.follow()
            self._wait(self.service)
        return self._follow(address, ports)

    def stop(self, *, orderly: bool) -> None:
        self._credentials = None
        self._close(set(self._open))
        for service in filter(None, (self.expiry, self.service)):
            service.stop(orderly=orderly)
        self.service = self.expiry = None
        if self._metadata is not None:
            self._metadata.stop()
            self._metadata = None

    @property
    def has_shut_down(self) -> bool:
        """Whether a program of the machine has shut it down, in its present life."""
        return self.service is not None and (self._root / SERVICES / POWEROFF).exists()

    def lines(self) -> Iterator[Line]:
        """Those that the programs have written to the console."""
        return console_lines(self._root)

    @property
    def _root(self) -> Path:
        return self.programs.base / self.machine.id

    def _follow(self, address: str, ports: frozenset[int]) -> str:
        """Its ports are open while it answers, and only then: a node's watchdog asks them."""
        service = self.service
        if service is None:
            return ""
        service.follow()
        if self.expiry is not None:
            self.expiry.follow()
        if not self._answers(service):
            self._close(set(self._open))
            return f"Bacalhau does not answer: {service.last_lines()}"
        wanted = {(address, port) for port in ports}
        self._close(set(self._open) - wanted)
        problems = []
        for host, port in sorted(wanted - set(self._open)):
            try:
                self._open[host, port] = Forwarder(host, port, to=self._hidden[port])
            except OSError as error:
                problems.append(f"{host}:{port} cannot be bound: {error.strerror or error}")
        return "; ".join(problems)

    def _answers(self, service: Service) -> bool:
        if service.process is None:
            return False
        if self._answered != service.starts and all(map(_listens, self._hidden.values())):
            self._answered = service.starts
        return self._answered == service.starts

    def _close(self, those: set[tuple[str, int]]) -> None:
        for each in those:
            self._open.pop(each).stop()

    def _wait(self, service: Service) -> None:
        """Until it answers, or has ended, or does neither in time."""
        until = time.monotonic() + _ANSWERS_S
        while time.monotonic() < until and not self._answers(service):
            if service.process is None or service.process.poll() is not None:
                return
            time.sleep(0.1)

    def _services(self, credentials: Credentials) -> tuple[Service, Service | None]:
        """The orchestrator, and the program that ends its machine; None in user data of earlier versions."""
        self._metadata = MetadataService(self.region, self.machine)
        root = self._root
        data = self.programs.base / "volumes" / self.volume
        data.mkdir(parents=True, exist_ok=True)
        files = InstanceFiles(
            root=root, metadata=self._metadata.url, agent="", docker=shutil.which("docker") or ""
        )
        (root / "var/lib").mkdir(parents=True, exist_ok=True)
        if not (root / "var/lib/bacalhau").is_symlink():
            (root / "var/lib/bacalhau").symlink_to(data)
        files.write(user_data_parser.files(str(self.machine.moto.user_data)))
        subprocess.run(  # noqa: S603 - the instance's own program
            [sys.executable, "-c", _WRITE],
            input=json.dumps(asdict(credentials)),
            text=True,
            check=True,
            cwd=root / LIBRARY,
            env=environment(),
            timeout=30,
        )
        here = root / "etc/bacalhau/here.yaml"
        here.write_text(json.dumps(self._here()))
        self._use_ports(root / _ANSWERS_MODULE)
        (root / SERVICES / POWEROFF).unlink(missing_ok=True)  # of the machine's former life
        for name in (UNIT, _EXPIRY):
            (root / SERVICES / f"{name}.wanted").touch()
            (root / SERVICES / f"{name}.stopped").unlink(missing_ok=True)
        orchestrator = Service(
            files.unit(UNIT),
            files,
            self.programs,
            self.program,
            arguments=("--config", str(here)),
            environment={"AWS_EC2_METADATA_SERVICE_ENDPOINT": self._metadata.url},
        )
        try:
            expiry = Service(files.unit(_EXPIRY), files, self.programs, self.program)
        except FileNotFoundError:
            expiry = None
        return orchestrator, expiry

    def _use_ports(self, module: Path) -> None:
        """The ports that it has on this machine, in the program that asks them."""
        if module.exists():
            text = module.read_text().replace(
                f"API_PORT = {API_PORT}", f"API_PORT = {self._hidden[API_PORT]}"
            )
            module.write_text(text)

    def _here(self) -> dict[str, Any]:
        host = "127.0.0.1"
        return {
            "API": {"Host": host, "Port": self._hidden[API_PORT]},
            "Orchestrator": {"Host": host, "Port": self._hidden[nats_listener.PORT]},
            "Publishers": {"Types": {"S3Managed": {"Endpoint": self.region.world.url}}},
        }


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True
