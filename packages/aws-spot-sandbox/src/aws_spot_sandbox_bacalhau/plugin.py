"""The Bacalhau plug-in: nodes' boot, their orchestrator, and the release archive."""

from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aws_spot_sandbox.http_types import AwsError, Call, Reply
from aws_spot_sandbox.middleware.faults import Faults
from aws_spot_sandbox_bacalhau import api, boot
from aws_spot_sandbox_bacalhau.node_registry import NodeRegistry
from aws_spot_sandbox_bacalhau.node_settings import NodeSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox.ec2_api import Ec2
    from aws_spot_sandbox.http_types import Handler, Http
    from aws_spot_sandbox.state import World

CONSOLE_PREFIX = "bacalhau-spot:"
_ORCHESTRATOR = "orchestrator"  # the path prefix of Bacalhau's API
_ARCHIVE = "archive/"


class BacalhauPlugin:
    """Implements `aws_spot_sandbox.plugin.Plugin`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._settings = world.settings_of(NodeSettings)
        self.registry = NodeRegistry(world)
        self._orchestrator: Handler | None = None

    def attach(self, ec2: Ec2) -> None:
        self._orchestrator = Faults(self._world, api.Orchestrator(self._world, ec2, self.registry))

    def started(self, region: Region, machine: Machine) -> None:
        boot.fetch_token(region, machine)

    def ended(self, region: Region, machine: Machine) -> None:
        self.registry.ended(region, machine)

    def settle(self, region: Region) -> None:
        self.registry.look(region)

    def console_lines(self, region: Region, machine: Machine) -> Iterator[tuple[float, str]]:
        """In the format of the node's programs."""
        for line in boot.timeline(region, machine).lines:
            moment = f"{datetime.fromtimestamp(line.at, UTC):%Y-%m-%dT%H:%M:%SZ}"
            detail = f": {line.detail}" if line.detail else ""
            yield line.at, f"{CONSOLE_PREFIX} {moment} {line.phase}{detail}"

    def respond(self, http: Http, body: bytes) -> Reply | None:
        if http.path.startswith(f"{_ORCHESTRATOR}/"):
            return self._orchestrate(replace(http, path=http.path.removeprefix(_ORCHESTRATOR)), body)
        if http.method == "GET" and http.path.startswith(_ARCHIVE):
            return Reply(_archive(http.path), content_type="application/gzip")
        return None

    def endpoint(self, base_url: str) -> dict[str, str | None]:
        return {
            "orchestrator_url": f"{base_url}{_ORCHESTRATOR}",
            "orchestrator_key": self._settings.orchestrator_api_key,
        }

    def _orchestrate(self, http: Http, body: bytes) -> Reply:
        if self._orchestrator is None:
            raise AssertionError("a request before there is an EC2")
        before, _, path = http.path.partition("/api/v1/")
        within = replace(http, path="/" if before else f"/{path}")
        call = Call(api.SERVICE, "", api.action(within.method, within.path), body=body, http=within)
        try:
            return self._orchestrator(call)
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
