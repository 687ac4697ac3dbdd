"""The Bacalhau plug-in: nodes' boot, their orchestrator, and the release archive."""

from __future__ import annotations

import gzip
import io
import math
import os
import tarfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import console, host_keys, instances
from aws_spot_sandbox.ec2.machine import RUNNING
from aws_spot_sandbox.http_types import AwsError, Call, Reply
from aws_spot_sandbox.middleware.faults import Faults
from aws_spot_sandbox_bacalhau import api, boot, image_boot, managed, orchestrator_boot, serializers
from aws_spot_sandbox_bacalhau.access import KeyAccess, SwitchAccess
from aws_spot_sandbox_bacalhau.boot import Line
from aws_spot_sandbox_bacalhau.directory import Directory
from aws_spot_sandbox_bacalhau.drain import Drains
from aws_spot_sandbox_bacalhau.job_api import JobApi
from aws_spot_sandbox_bacalhau.job_store import JobStore
from aws_spot_sandbox_bacalhau.lifetime import Lifetimes
from aws_spot_sandbox_bacalhau.managed import Records
from aws_spot_sandbox_bacalhau.node_registry import NodeRegistry
from aws_spot_sandbox_bacalhau.node_settings import NodeSettings
from aws_spot_sandbox_bacalhau.programs import Programs
from aws_spot_sandbox_bacalhau.pulse import Pulse
from aws_spot_sandbox_bacalhau.real_node import RealNode
from aws_spot_sandbox_bacalhau.real_orchestrator import RealOrchestrator
from aws_spot_sandbox_bacalhau.reconcile_service import ReconcileService
from aws_spot_sandbox_bacalhau.results import Results
from aws_spot_sandbox_bacalhau.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox.ec2_api import Ec2
    from aws_spot_sandbox.http_types import Handler, Http
    from aws_spot_sandbox.state import World
    from aws_spot_sandbox_bacalhau.access import Access
    from aws_spot_sandbox_bacalhau.job_store import Execution, Job
    from aws_spot_sandbox_bacalhau.managed import ManagedOrchestrator
    from aws_spot_sandbox_bacalhau.stand_in import Server
    from aws_spot_sandbox_bacalhau.user_data_parser import Given

CONSOLE_PREFIX = "bacalhau-spot:"
_ORCHESTRATOR = "orchestrator"  # the path prefix of Bacalhau's API
_ARCHIVE = "archive/"
PROGRAM = "BACALHAU_BIN"  # the environment variable with the path of Bacalhau itself


class BacalhauPlugin:
    """Implements `aws_spot_sandbox.plugin.Plugin`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._settings = world.settings_of(NodeSettings)
        self.directory = Directory()
        self.registry = NodeRegistry(
            world, self.directory, belongs=lambda about: not self.directory.route(about).managed
        )
        self._jobs = self._job_store(self.registry, publish=lambda _job, _execution: {"Type": ""})
        self.directory.jobs = self._jobs
        self._drains = Drains(self.directory, is_real=lambda machine: machine.id in self._real_nodes)
        self._lifetimes = Lifetimes(
            self._drains,
            is_real=self._is_real,
            connected=self._connected_nodes,
            says=self._says,
        )
        self._records: dict[str, Records] = {}  # by data volume
        self._formatted: set[str] = set()
        self._ec2: Ec2 | None = None
        self._orchestrator: Handler | None = None
        self._pulse = Pulse(self._settle_all)
        # A program cannot follow a clock that a test moves
        self._program = os.environ.get(PROGRAM, "") if world.now is time.time else ""
        self._programs: Programs | None = None
        self._real_nodes: dict[str, RealNode] = {}  # by instance
        self.reconcile_services: dict[str, ReconcileService] = {}  # by instance of an orchestrator

    def attach(self, ec2: Ec2) -> None:
        self._ec2 = ec2
        jobs = JobApi(
            self._world,
            self._jobs,
            name=lambda: serializers.ORCHESTRATOR,
            publisher=lambda _type: "",
            results=lambda _job: [],
        )
        self._orchestrator = self._handler(self.registry, jobs, SwitchAccess(self._world))

    def started(self, region: Region, machine: Machine) -> None:
        if image_boot.recognised(machine) is not None:
            image_boot.begin(region, machine)
        boot.fetch_token(region, machine)
        self._drains.look(region, machine)
        self._lifetimes.look(region, machine)
        host = managed.recognised(region, machine, self._formatted)
        if host is not None:
            self.directory.hosts[machine.id] = host
            # A process cannot follow a clock that a test moves: the test takes the passes.
            programs = self._files if self._world.now is time.time else None
            self.reconcile_services[machine.id] = ReconcileService(host, programs)
            self._pulse.start()

    def ended(self, region: Region, machine: Machine) -> None:
        host = self.directory.hosts.get(machine.id)
        if host is not None:
            host.end(orderly=machine.ended_in_order)
            self.reconcile_services[machine.id].end()
        node = self._real_nodes.get(machine.id)
        if node is not None and not node.ended:
            node.end(orderly=machine.ended_in_order)
        for registry in self._registries():
            registry.ended(region, machine)

    def tagged(self, region: Region, machine: Machine) -> None:
        self._drains.look(region, machine)
        self._lifetimes.look(region, machine)

    def _is_real(self, machine: Machine) -> bool:
        """Whether the instance's own programs run."""
        host = self.directory.hosts.get(machine.id)
        return machine.id in self._real_nodes or (
            host is not None and isinstance(host.server, RealOrchestrator)
        )

    def _connected_nodes(self, machine: Machine) -> int | None:
        """Of a managed orchestrator's machine; None for others."""
        host = self.directory.hosts.get(machine.id)
        if host is None:
            return None
        return host.records.registry.connected(host.region.now()) if host.records is not None else 0

    def _says(self, machine: Machine, detail: str) -> None:
        host = self.directory.hosts.get(machine.id)
        if host is not None:
            host.boot.lines.append(Line(host.region.now(), "stopped", detail))

    def settle(self, region: Region) -> None:
        for host in list(self.directory.hosts.values()):
            if host.region is region and not host.ended:
                self._follow(host)
        if self._program:
            self._follow_nodes(region)
        for registry in self._registries():
            registry.look(region)

    def console_lines(self, region: Region, machine: Machine) -> Iterator[tuple[float, str]]:
        """In the format of the node's programs."""
        if boot.shows_host_keys(region, machine):
            at = (machine.started_at or 0.0) + region.world.settings.boot_s * boot.HOST_KEYS
            for text in ("", *host_keys.keys_block(machine.id, console.host_name(machine))):
                yield at, text
        for line in self._lines(region, machine):
            moment = f"{datetime.fromtimestamp(line.at, UTC):%Y-%m-%dT%H:%M:%SZ}"
            detail = f": {line.detail}" if line.detail else ""
            yield line.at, f"{CONSOLE_PREFIX} {moment} {line.phase}{detail}"

    def scripts_end_at(self, region: Region, machine: Machine) -> float:
        """A node's first boot ends with its join; an orchestrator's programs are started in the background."""
        if image_boot.recognised(machine) is not None:
            return math.inf
        if boot.node_configuration(machine) is None:
            return 0.0
        return boot.ends_at(self._lines(region, machine))

    def _lines(self, region: Region, machine: Machine) -> list[Line]:
        host = self.directory.hosts.get(machine.id)
        if host is not None:
            if not host.ended:
                self._follow(host)
            lines = host.boot.lines
            return [*lines, *host.server.lines()] if isinstance(host.server, RealOrchestrator) else lines
        if (image := image_boot.recognised(machine)) is not None:
            return list(image_boot.lines(region, machine, image)) if machine.started_at is not None else []
        lines = list(boot.timeline(region, machine, self.directory).lines)
        if machine.id in self._real_nodes:
            return list(self._real_nodes[machine.id].lines(iter(lines)))
        return lines

    def respond(self, http: Http, body: bytes) -> Reply | None:
        if http.path.startswith(f"{_ORCHESTRATOR}/"):
            if self._orchestrator is None:
                raise AssertionError("a request before there is an EC2")
            return _orchestrate(
                self._orchestrator, replace(http, path=http.path.removeprefix(_ORCHESTRATOR)), body
            )
        if http.method == "GET" and http.path.startswith(_ARCHIVE):
            return Reply(_archive(http.path), content_type="application/gzip")
        return None

    def endpoint(self, base_url: str) -> dict[str, str | None]:
        return {
            "orchestrator_url": f"{base_url}{_ORCHESTRATOR}",
            "orchestrator_key": self._settings.orchestrator_api_key,
        }

    def status(self) -> dict[str, Any]:
        return {"orchestrators": [host.status() for host in self.directory.hosts.values() if not host.ended]}

    def close(self) -> None:
        self._pulse.stop()
        for node in self._real_nodes.values():
            if not node.ended:
                node.end(orderly=False)
        for service in self.reconcile_services.values():
            service.end()
        for host in self.directory.hosts.values():
            host.end(orderly=True)
        if self._programs is not None:
            self._programs.close()

    # --- Bacalhau itself

    def _follow_nodes(self, region: Region) -> None:
        """Start the nodes of managed orchestrators that are due, and follow their services."""
        for machine in list(region.machines.values()):
            node = self._real_nodes.get(machine.id)
            if node is not None:
                node.follow()
            elif machine.state == RUNNING and self._starts(region, machine):
                about = boot.node_configuration(machine)
                if about is not None and self.directory.route(about).managed:
                    node = RealNode(region, machine, about, self._program, self._files())
                    self._real_nodes[machine.id] = node
                    node.start()

    def _starts(self, region: Region, machine: Machine) -> bool:
        at = boot.starts_at(region, machine, self.directory)
        return at is not None and at <= region.now()

    def _files(self) -> Programs:
        if self._programs is None:
            self._programs = Programs()
        return self._programs

    # --- Managed orchestrators

    def _follow(self, host: ManagedOrchestrator) -> None:
        host.boot.advance()
        host.look()
        if host.boot.started_at is None:
            return
        if host.server is None:
            volume = orchestrator_boot.volume_of(host.machine, host.boot.about.device)
            host.records = self._records.setdefault(volume, self._new_records(host))
            host.records.machine = host.machine
            host.records.managed = managed.results_section(host)
            host.server = self._server(host, host.records)
        if host.records is not None:
            host.records.address = host.address or host.records.address
        if isinstance(host.server, RealOrchestrator) and host.server.has_shut_down:
            instances.shut_down_from_inside(host.region, host.machine)
            return
        host.serve()
        self.reconcile_services[host.machine.id].advance()

    def _new_records(self, host: ManagedOrchestrator) -> Records:
        registry = NodeRegistry(
            self._world,
            self.directory,
            belongs=lambda about: self._leads_to(about, records),
            name=managed.host_name(host.machine),
        )
        results = Results(self._world, section=lambda: records.managed, machine=lambda: records.machine)
        jobs = self._job_store(registry, publish=results.publish)
        records = Records(registry, jobs, results)
        return records

    def _leads_to(self, about: Given, records: Records) -> bool:
        """Also while no machine has the address: the records of its nodes stay."""
        route = self.directory.route(about)
        if route.host is not None and route.host.records is not None:
            return route.host.records is records
        return route.managed and route.address == records.address

    def _server(self, host: ManagedOrchestrator, records: Records) -> Server:
        if self._program:
            volume = orchestrator_boot.volume_of(host.machine, host.boot.about.device)
            return RealOrchestrator(host.region, host.machine, self._program, self._files(), volume)
        jobs = JobApi(
            self._world,
            records.jobs,
            name=lambda: records.registry.name,
            publisher=lambda kind: managed.default_publisher(host, kind),
            results=records.results.listed,
        )
        handler = self._handler(records.registry, jobs, KeyAccess(host.users))
        return StandIn(partial(_orchestrate, handler), host.accepts, self._world.now)

    def _job_store(
        self, registry: NodeRegistry, *, publish: Callable[[Job, Execution], dict[str, Any]]
    ) -> JobStore:
        return JobStore(
            self._world,
            candidates=registry.candidates,
            lost=registry.lost,
            job_s=lambda: self._settings.job_s,
            publish=publish,
            lock=registry.lock,
        )

    def _handler(self, registry: NodeRegistry, jobs: JobApi, access: Access) -> Handler:
        return Faults(
            self._world,
            api.Orchestrator(self._world, registry, settle=self._settle_all, jobs=jobs, access=access),
        )

    def _registries(self) -> list[NodeRegistry]:
        return [self.registry, *(records.registry for records in list(self._records.values()))]

    def _settle_all(self) -> None:
        """Twice if there are orchestrators on machines: a node may be in a region that is settled before theirs."""
        if self._ec2 is None:
            return
        self._ec2.settle()
        if self.directory.hosts:
            self._ec2.settle()


def _orchestrate(handler: Handler, http: Http, body: bytes) -> Reply:
    """The orchestrator's reply. Its paths begin after /api/v1."""
    before, _, path = http.path.partition("/api/v1/")
    within = replace(http, path="/" if before else f"/{path}")
    call = Call(api.SERVICE, "", api.action(within.method, within.path), body=body, http=within)
    try:
        return handler(call)
    except AwsError as fault:
        return api.write_fault(fault, call)


def _archive(path: str) -> bytes:
    """A fake of Bacalhau's release archive: identical bytes for the same version and architecture."""
    program = f"#!/bin/sh\n# {path}: not Bacalhau, but what stands in for it in the sandbox\n".encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("bacalhau")
        member.size, member.mode = len(program), 0o755
        tar.addfile(member, io.BytesIO(program))
    return gzip.compress(packed.getvalue(), mtime=0)
