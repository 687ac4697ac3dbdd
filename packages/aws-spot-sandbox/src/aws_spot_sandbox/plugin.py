"""Plug-ins simulate the software on the instances and the servers that it connects to.

A distribution registers its plug-in under the entry point group `aws_spot_sandbox.plugins`: a function of the World.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox.ec2_api import Ec2
    from aws_spot_sandbox.http_types import Http, Reply
    from aws_spot_sandbox.state import World

GROUP = "aws_spot_sandbox.plugins"


class PluginSettings(Protocol):
    """A plug-in's switches: a dataclass, which the plug-in takes from `World.settings_of` when it is created.

    Its names must not be those of other switches. `secrets`: names whose values are masked in the output.
    """

    secrets: ClassVar[tuple[str, ...]]

    def problem(self, name: str, value: object) -> str:
        """Why a value of the right type is not valid; empty if it is."""


class Plugin(Protocol):
    """Callers of the methods with a region hold that region's lock."""

    def attach(self, ec2: Ec2) -> None:
        """The EC2 whose instances it simulates. Called once, before all other methods."""

    def started(self, region: Region, machine: Machine) -> None:
        """An instance has become `running`."""

    def ended(self, region: Region, machine: Machine) -> None:
        """An instance begins to shut down."""

    def tagged(self, region: Region, machine: Machine) -> None:
        """The tags of an instance have changed, in any state."""

    def settle(self, region: Region) -> None:
        """Update the plug-in with the events of the region so far."""

    def console_lines(self, region: Region, machine: Machine) -> Iterable[tuple[float, str]]:
        """The lines that its programs write to the instance's console, each with its time."""

    def scripts_end_at(self, region: Region, machine: Machine) -> float:
        """When the programs of the instance's user data end; infinity while that is not known."""

    def respond(self, http: Http, body: bytes) -> Reply | None:
        """The reply to a request under the sandbox's own path; None for a path that is not the plug-in's."""

    def endpoint(self, base_url: str) -> dict[str, str | None]:
        """The data that a client needs to connect, besides AWS's endpoint. `base_url`: the sandbox's own path."""

    def status(self) -> dict[str, Any]:
        """The state of the servers that it simulates, as JSON."""

    def close(self) -> None:
        """The sandbox stops, or is reset: end all threads and processes. Called last, without any lock."""


@cache
def _registered() -> tuple[Callable[[World], Plugin], ...]:
    """In the order of their names. The metadata of all installed distributions are read for it: once is enough."""
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return tuple(point.load() for point in points)


class Plugins:
    """All registered plug-ins as one, in the order of their names."""

    def __init__(self, world: World) -> None:
        self._plugins: list[Plugin] = [new(world) for new in _registered()]

    def attach(self, ec2: Ec2) -> None:
        for plugin in self._plugins:
            plugin.attach(ec2)

    def started(self, region: Region, machine: Machine) -> None:
        for plugin in self._plugins:
            plugin.started(region, machine)

    def ended(self, region: Region, machine: Machine) -> None:
        for plugin in self._plugins:
            plugin.ended(region, machine)

    def tagged(self, region: Region, machine: Machine) -> None:
        for plugin in self._plugins:
            plugin.tagged(region, machine)

    def settle(self, region: Region) -> None:
        for plugin in self._plugins:
            plugin.settle(region)

    def console_lines(self, region: Region, machine: Machine) -> Iterable[tuple[float, str]]:
        return [line for plugin in self._plugins for line in plugin.console_lines(region, machine)]

    def scripts_end_at(self, region: Region, machine: Machine) -> float:
        return max((plugin.scripts_end_at(region, machine) for plugin in self._plugins), default=0.0)

    def respond(self, http: Http, body: bytes) -> Reply | None:
        replies = (plugin.respond(http, body) for plugin in self._plugins)
        return next((reply for reply in replies if reply is not None), None)

    def endpoint(self, base_url: str) -> dict[str, str | None]:
        return {key: value for plugin in self._plugins for key, value in plugin.endpoint(base_url).items()}

    def status(self) -> dict[str, Any]:
        return {key: value for plugin in self._plugins for key, value in plugin.status().items()}

    def close(self) -> None:
        for plugin in self._plugins:
            plugin.close()
