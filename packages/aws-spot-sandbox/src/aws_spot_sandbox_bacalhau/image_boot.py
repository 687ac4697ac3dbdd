"""A machine from which an image is made: it installs Docker and Bacalhau, and powers off. As instance/scripts/bake.py does.

A failure is a console line, and the machine stays on.
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from aws_spot_sandbox.ec2 import catalog, instances, selectors, ways_out
from aws_spot_sandbox.ec2.machine import RUNNING
from aws_spot_sandbox_bacalhau import boot, user_data_parser
from aws_spot_sandbox_bacalhau.boot import Line
from aws_spot_sandbox_bacalhau.node_settings import NodeSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox_bacalhau.user_data_parser import ImageGiven

_FAILURES = {
    "packages": "packages: apt-get ended with 100: E: Unable to fetch some archives",
    "docker": "docker: Docker does not answer after 300 s: Cannot connect to the Docker daemon",
    "download": "download: {address}: <urlopen error timed out>",
}


def recognised(machine: Machine) -> ImageGiven | None:
    return user_data_parser.read_image(str(machine.moto.user_data)) if machine.moto.user_data else None


def begin(region: Region, machine: Machine) -> None:
    """Plan the power-off, unless the machine fails."""
    region.later(region.world.settings.boot_s, partial(_power_off, region, machine))


def _power_off(region: Region, machine: Machine) -> None:
    about = recognised(machine)
    if machine.state != RUNNING or about is None or _obstacle(region, machine):
        return
    machine.installed = boot.address(about, machine)
    instances.shut_down_from_inside(region, machine)


def _obstacle(region: Region, machine: Machine) -> str:
    stuck = selectors.value(
        region.world.settings_of(NodeSettings).stuck, selectors.names(region, machine), ""
    )
    return stuck or ("" if ways_out.reaches_internet(region, machine) else "packages")


def lines(region: Region, machine: Machine, about: ImageGiven) -> Iterator[Line]:
    """The console lines of the whole boot, as far as it gets."""
    began, boot_s = machine.started_at or 0.0, region.world.settings.boot_s
    obstacle = _obstacle(region, machine)
    arch = "arm64" if "arm64" in catalog.architectures(machine.type) else "x86_64"
    digest = about.sums.get(arch) or sha256(about.version.encode()).hexdigest()
    phases = (
        ("packages", boot.PACKAGES, "Docker"),
        ("docker", boot.DOCKER, "waiting until it answers"),
        ("download", boot.DOWNLOAD, f"Bacalhau {about.version}"),
        ("baked", boot.START, f"Bacalhau {about.version}, archive sha256 {digest}"),
    )
    for phase, part, detail in phases if obstacle != "boot" else ():
        yield Line(began + boot_s * part, phase, detail)
        if phase == obstacle:
            reason = _FAILURES[obstacle].format(address=boot.address(about, machine))
            yield Line(began + boot_s * part + 60.0, "failed", reason)
            return
