"""The nodes that a switch applies to: it names instances, pools, zones, types, regions, or `*` for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region

T = TypeVar("T")
Names = tuple[str, ...]


def names(region: Region, machine: Machine) -> Names:
    """All names by which a switch may refer to the instance, narrowest first."""
    pool = f"{machine.zone}/{machine.type}"
    return (machine.id, pool, machine.zone, machine.type, region.name, "*")


def value(switch: Mapping[str, T], about: Names, default: T) -> T:
    """The value of the narrowest name in the switch."""
    return next((switch[name] for name in about if name in switch), default)


def selects(switch: Collection[str], about: Names) -> bool:
    return any(name in switch for name in about)
