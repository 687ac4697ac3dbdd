"""Which kinds of resource exist, what must be gone before what, and what may be touched: the deletion graph as a table.

Rules:
1. A kind is deleted when nothing of the kinds in its `after` is left in the region. The table has no cycle (tested).
2. Launchers go first: a fleet that lives could start what we just ended.
3. Only what shows our tag on the live resource is deleted. What dies with an owned resource (`derived`) is waited for,
   and deleted only when it outlives its owner.
4. "Deleted" means that AWS no longer shows it.

Sources: EC2 user guide and VPC user guide, "Delete your VPC"; measured dependencies are in the sandbox's contract tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from bacalhau_spot.core.model import Resource


class Kind(StrEnum):
    """A resource type, in the words of EC2's tag specifications."""

    FLEET = "fleet"
    SPOT_REQUEST = "spot-instances-request"
    INSTANCE = "instance"
    VOLUME = "volume"
    INTERFACE = "network-interface"
    TEMPLATE = "launch-template"
    GATEWAY = "internet-gateway"
    GROUP = "security-group"
    SUBNET = "subnet"
    ROUTE_TABLE = "route-table"
    VPC = "vpc"


@dataclass(frozen=True, slots=True)
class Row:
    """One kind. `derived`: it normally dies with its owner. `batch`: how many ids one delete call takes."""

    kind: Kind
    after: frozenset[Kind] = frozenset()
    derived: bool = False
    batch: int = 1


TABLE: tuple[Row, ...] = (
    Row(Kind.FLEET, batch=25),
    Row(Kind.SPOT_REQUEST, after=frozenset({Kind.FLEET}), batch=100),
    Row(Kind.INSTANCE, after=frozenset({Kind.FLEET, Kind.SPOT_REQUEST}), batch=100),
    Row(Kind.VOLUME, after=frozenset({Kind.INSTANCE}), derived=True),
    Row(Kind.INTERFACE, after=frozenset({Kind.INSTANCE}), derived=True),
    Row(Kind.TEMPLATE, after=frozenset({Kind.FLEET})),
    Row(Kind.GATEWAY, after=frozenset({Kind.INTERFACE})),
    Row(Kind.GROUP, after=frozenset({Kind.INTERFACE})),
    Row(Kind.SUBNET, after=frozenset({Kind.INTERFACE})),
    Row(Kind.ROUTE_TABLE, after=frozenset({Kind.SUBNET})),
    Row(Kind.VPC, after=frozenset({Kind.GATEWAY, Kind.GROUP, Kind.SUBNET, Kind.ROUTE_TABLE})),
)

ROWS: dict[Kind, Row] = {row.kind: row for row in TABLE}


def known(kind: str) -> bool:
    return kind in {row.kind for row in TABLE}


def before(kind: Kind) -> frozenset[Kind]:
    """All kinds that must be gone before `kind`, directly or through others."""
    direct = ROWS[kind].after
    return direct.union(*(before(other) for other in direct)) if direct else direct


def in_turn(left: Iterable[Resource]) -> frozenset[Kind]:
    """The kinds among what is left in one region that wait for no other kind that is left."""
    present = {Kind(resource.kind) for resource in left if known(resource.kind)}
    return frozenset(kind for kind in present if not before(kind) & present)


def ready(left: Iterable[Resource], *, watched: Collection[Kind] = tuple(Kind)) -> tuple[Resource, ...]:
    """Which of the resources left in one region may be deleted now: those that wait for nothing that is left.

    What dies with its owner is given the time to: it is deleted only when a look after its owner's end still shows it
    (`watched`: the kinds for which there was such a look), and no longer in use.
    """
    resources = tuple(left)
    turn = in_turn(resources)
    return tuple(
        one
        for one in resources
        if one.kind in turn and not ending(one) and (one.kind in watched or not ROWS[Kind(one.kind)].derived)
    )


# States in which AWS is already removing the thing: asking again does nothing.
_ENDING = frozenset(
    {"shutting-down", "deleting", "detaching", "deleted-terminating", "deleted_terminating", "cancelling"}
)


# And what hangs on something that is ending is let go by it.
_HELD = "in-use"


def leaving(resource: Resource) -> bool:
    """AWS is removing it and only needs time: minutes, for an instance that shuts down."""
    return resource.state in _ENDING


def ending(resource: Resource) -> bool:
    return leaving(resource) or (resource.state == _HELD and ROWS[Kind(resource.kind)].derived)
