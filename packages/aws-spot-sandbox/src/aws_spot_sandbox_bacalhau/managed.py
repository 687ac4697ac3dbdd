"""A managed orchestrator: the machine, the program that it runs, and the data on its volume, which outlives both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.admin import CALLER_ADDRESS
from aws_spot_sandbox_bacalhau import credentials as parameter
from aws_spot_sandbox_bacalhau import nats_listener, network, orchestrator_boot
from aws_spot_sandbox_bacalhau.access import User
from aws_spot_sandbox_bacalhau.orchestrator_boot import Boot
from aws_spot_sandbox_bacalhau.stand_in import API_PORT

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox_bacalhau.credentials import Credentials
    from aws_spot_sandbox_bacalhau.job_store import JobStore
    from aws_spot_sandbox_bacalhau.node_registry import NodeRegistry
    from aws_spot_sandbox_bacalhau.results import Results
    from aws_spot_sandbox_bacalhau.stand_in import Server

BOOTING, WAITING, ANSWERS, SHUT_DOWN = "booting", "waiting", "answers", "shut down"
_OPERATOR = CALLER_ADDRESS.decode()  # the address of the caller's own machine
_ANYWHERE = "203.0.113.1"  # an address that no rule names: nodes in other networks have any


@dataclass
class Records:
    """The content of a data volume."""

    registry: NodeRegistry
    jobs: JobStore
    results: Results
    address: str = ""  # the latest of its orchestrator
    used: bool = False  # an orchestrator has started with it
    machine: Machine | None = None  # the machine that it is attached to
    managed: dict[str, Any] = field(default_factory=dict)  # Publishers.Types.S3Managed


@dataclass
class ManagedOrchestrator:
    """Callers of `advance` and `end` hold the lock of its region; the rest needs none."""

    region: Region
    machine: Machine
    boot: Boot
    server: Server | None = None
    records: Records | None = None
    address: str = ""
    answers_at: float | None = None
    notice: str = ""  # why its address cannot be reached
    ended: bool = False
    _ports: frozenset[int] = frozenset()
    _start: float | None = None  # the start of its program that is served

    @property
    def credentials(self) -> Credentials | None:
        return self.boot.credentials

    @property
    def state(self) -> str:
        if self.ended:
            return SHUT_DOWN
        if self.answers_at is not None:
            return ANSWERS
        return WAITING if self.waits_for else BOOTING

    @property
    def waits_for(self) -> str:
        if self.boot.missing is not None:
            return self.boot.missing.noun
        return "the Elastic IP" if self.boot.started_at is not None and not self.address else ""

    def status(self) -> dict[str, Any]:
        """For `sandbox status`."""
        return {
            "region": self.region.name,
            "instance": self.machine.id,
            "address": self.address or None,
            "state": self.state,
            "waits_for": self.waits_for or None,
            "notice": self.notice or None,
        }

    def look(self) -> None:
        """Its address and its open ports, as AWS has them now."""
        self.address = network.elastic_address(self.region, self.machine)
        ports = (
            (nats_listener.PORT, network.allows(self.machine, nats_listener.PORT, _ANYWHERE)),
            (API_PORT, network.allows(self.machine, API_PORT, _OPERATOR)),
        )
        self._ports = frozenset(port for port, is_open in ports if is_open)

    def serve(self) -> None:
        """Start its program, or follow a change of its address or its ports."""
        if self.server is None or self.credentials is None or self.boot.started_at is None:
            return
        if not self.address:
            self.server.stop(orderly=True)
            self.answers_at = None
            return
        self.notice = self.server.serve(self.credentials, self.address, self._ports)
        restarted = self._start != self.boot.started_at
        if self.answers_at is None or restarted:
            self.answers_at = self.boot.started_at if restarted else self.region.now()
            self._start = self.boot.started_at
            self._began(self.answers_at)

    def _began(self, at: float) -> None:
        """Nodes that the records have from an earlier start connect again."""
        if self.records is not None and self.records.used:
            self.records.registry.restarted(at)
        elif self.records is not None:
            self.records.registry.began = at
            self.records.used = True

    def end(self, *, orderly: bool) -> None:
        self.ended, self.answers_at, self.address = True, None, ""
        if self.server is not None:
            self.server.stop(orderly=orderly)

    # --- For its nodes

    def admits(self, machine: Machine) -> bool:
        """Whether its security group lets the node through."""
        if nats_listener.PORT in self._ports:
            return True
        source = network.public_address(machine)
        return bool(source) and network.allows(self.machine, nats_listener.PORT, source)

    def users(self) -> list[User]:
        """API.Auth.Users in the configuration, which the machine writes from the parameter."""
        if self.credentials is None:
            return []
        return [
            User("operator", self.credentials.operator_key, ("*",)),
            User("bacalhau-spot", self.credentials.tool_key, ("read:node", "write:node")),
        ]

    def distrust(self, ca_pem: str) -> str:
        if self.credentials is None:
            return ""
        return parameter.distrust(ca_pem, self.credentials, self.address)

    def accepts(self, token: str) -> bool:
        return self.credentials is not None and token == self.credentials.token


def host_name(machine: Machine) -> str:
    """EC2's: NameProvider is `hostname`."""
    interface = next(iter(machine.moto.nics.values()), None)
    return f"ip-{interface.private_ip_address.replace('.', '-')}" if interface is not None else machine.id


def results_section(host: ManagedOrchestrator) -> dict[str, Any]:
    """Publishers.Types.S3Managed in the orchestrator's configuration."""
    types = (host.boot.about.config.get("Publishers") or {}).get("Types") or {}
    return dict(types.get("S3Managed") or {})


def default_publisher(host: ManagedOrchestrator, kind: str) -> str:
    """JobDefaults for a type of job."""
    defaults = (host.boot.about.config.get("JobDefaults") or {}).get(kind.title()) or {}
    publisher = (defaults.get("Task") or {}).get("Publisher") or {}
    return str(publisher.get("Type") or "")


def recognised(region: Region, machine: Machine, formatted: set[str]) -> ManagedOrchestrator | None:
    """None for any other machine. `formatted`: the volumes that have a file system."""
    about = orchestrator_boot.configuration(machine)
    if about is None:
        return None
    return ManagedOrchestrator(region, machine, Boot(region, machine, about, formatted))
