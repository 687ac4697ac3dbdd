"""What runs on the instances is not AWS's: a plug-in plays its boot and answers for what it talks to.

A distribution registers its plug-in under the entry point group `aws_spot_sandbox.plugins`: a function of the World.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox.ec2_api import Ec2
    from aws_spot_sandbox.http_types import Http, Reply
    from aws_spot_sandbox.state import World

GROUP = "aws_spot_sandbox.plugins"


class Plugin(Protocol):
    """Whoever calls a method with a region holds that region's lock."""

    def attach(self, ec2: Ec2) -> None:
        """The EC2 whose instances it plays. Comes once, before all else."""

    def started(self, region: Region, machine: Machine) -> None:
        """An instance has become `running`."""

    def ended(self, region: Region, machine: Machine) -> None:
        """An instance begins to end."""

    def settle(self, region: Region) -> None:
        """Take in what has happened in the region by now."""

    def console_lines(self, region: Region, machine: Machine) -> Iterable[tuple[float, str]]:
        """What its programs write on the instance's console, each with its time."""

    def respond(self, http: Http, body: bytes) -> Reply | None:
        """The answer to a request below the sandbox's own path; None where the path is none of the plug-in's."""

    def endpoint(self, base_url: str) -> dict[str, str | None]:
        """What a program needs to use it, beside AWS's endpoint. `base_url`: the sandbox's own path."""


class Plugins:
    """Several as one, in the order of their names."""

    def __init__(self, world: World) -> None:
        points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
        self._plugins: list[Plugin] = [point.load()(world) for point in points]

    def attach(self, ec2: Ec2) -> None:
        for plugin in self._plugins:
            plugin.attach(ec2)

    def started(self, region: Region, machine: Machine) -> None:
        for plugin in self._plugins:
            plugin.started(region, machine)

    def ended(self, region: Region, machine: Machine) -> None:
        for plugin in self._plugins:
            plugin.ended(region, machine)

    def settle(self, region: Region) -> None:
        for plugin in self._plugins:
            plugin.settle(region)

    def console_lines(self, region: Region, machine: Machine) -> Iterable[tuple[float, str]]:
        return [line for plugin in self._plugins for line in plugin.console_lines(region, machine)]

    def respond(self, http: Http, body: bytes) -> Reply | None:
        replies = (plugin.respond(http, body) for plugin in self._plugins)
        return next((reply for reply in replies if reply is not None), None)

    def endpoint(self, base_url: str) -> dict[str, str | None]:
        return {key: value for plugin in self._plugins for key, value in plugin.endpoint(base_url).items()}
