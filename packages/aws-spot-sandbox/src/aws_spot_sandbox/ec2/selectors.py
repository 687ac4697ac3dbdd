"""Which nodes a switch means: its names are instances, pools, zones, types, regions, or `*` for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region

T = TypeVar("T")
Names = tuple[str, ...]


def names(region: Region, machine: Machine) -> Names:
    """All names under which a switch may mean this one, the narrowest first."""
    pool = f"{machine.zone}/{machine.type}"
    return (machine.id, pool, machine.zone, machine.type, region.name, "*")


def value(switch: Mapping[str, T], about: Names, default: T) -> T:
    """What the narrowest of them says."""
    return next((switch[name] for name in about if name in switch), default)


def meant(switch: Collection[str], about: Names) -> bool:
    return any(name in switch for name in about)
