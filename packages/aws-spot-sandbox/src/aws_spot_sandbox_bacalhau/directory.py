"""The managed orchestrators of all regions, and the way of a node to its own.

A node's configuration names the address of its orchestrator. An address of the sandbox's instances leads to the machine
that has it, as on AWS. Any other address stands for the sandbox's own orchestrator, which needs no machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aws_spot_sandbox_bacalhau import network

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox_bacalhau.drain import Drain
    from aws_spot_sandbox_bacalhau.job_store import JobStore
    from aws_spot_sandbox_bacalhau.managed import ManagedOrchestrator
    from aws_spot_sandbox_bacalhau.user_data_parser import Given

TOKEN, CERTIFICATE, JOIN = "token", "certificate", "join"


@dataclass(frozen=True)
class Route:
    """`managed`: to a machine's address; `host`: the orchestrator that has it, if any; `jobs`: the orchestrator's."""

    managed: bool = False
    address: str = ""
    host: ManagedOrchestrator | None = None
    jobs: JobStore | None = None

    @property
    def answers_at(self) -> float | None:
        return self.host.answers_at if self.host else None

    def obstacle(self, machine: Machine, about: Given) -> str:
        """Why the node cannot join a managed orchestrator; empty if it can."""
        host = self.host
        if host is None or host.answers_at is None or not host.admits(machine):
            return JOIN
        if host.distrust(about.ca_pem):
            return CERTIFICATE
        given = machine.token if about.parameter else about.token
        return "" if host.accepts(given or "") else TOKEN

    def reason(self, machine: Machine, about: Given, obstacle: str) -> str:
        """The certificate's problem, in Bacalhau's words; empty for other obstacles."""
        del machine
        return self.host.distrust(about.ca_pem) if self.host and obstacle == CERTIFICATE else ""

    def busy_until(self, node: str, since: float) -> float:
        return self.jobs.busy_until(node, since) if self.jobs else since

    def running_on(self, node: str, at: float) -> int:
        return self.jobs.running_at(node, at) if self.jobs else 0

    def works(self, node: str, *, since: float, at: float) -> bool:
        """Whether work that the node had at `since` still runs."""
        return self.jobs is not None and self.jobs.works(node, since=since, at=at)


@dataclass
class Directory:
    hosts: dict[str, ManagedOrchestrator] = field(default_factory=dict)  # by instance
    joined: dict[str, float] = field(default_factory=dict)  # when a node's machine has joined first
    drains: dict[str, Drain] = field(default_factory=dict)  # by instance
    jobs: JobStore | None = None  # of the sandbox's own orchestrator

    def route(self, about: Given) -> Route:
        """To the first of the node's orchestrators that is a machine's; a node tries them in turn."""
        addresses = [_host(url) for url in about.orchestrators]
        for address in addresses:
            for host in self.hosts.values():
                if address and host.address == address:
                    jobs = host.records.jobs if host.records else None
                    return Route(managed=True, address=address, host=host, jobs=jobs)
        for address in addresses:
            if network.is_instance_address(address):
                return Route(managed=True, address=address)
        return Route(jobs=self.jobs)


def _host(url: str) -> str:
    return urlsplit(url if "//" in url else f"//{url}").hostname or ""
