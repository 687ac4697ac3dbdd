"""What a nuke found, before anybody agreed to anything: the list that is shown, and all that must be known with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta
    from decimal import Decimal

    from bacalhau_spot.core.model import Identity, Resource
    from bacalhau_spot.core.receipt import Blocker, Problem
    from bacalhau_spot.core.tags import Scope


@dataclass(frozen=True, slots=True)
class Found:
    """`doomed` is to go; `spared` is ours and stays, with the reason; `unknown` is of kinds that we cannot delete.

    `denied`: what AWS says that we may not delete. `foundlings`: id -> region of what is to be adopted. `left_out`: regions
    that nobody looked into, by wish; `not_enabled`: those that the account has not enabled; `unseen`: what could not be seen.
    `in_the_way`: what is in a VPC of ours and is not ours, by the VPC; `silent`: what AWS would not say of that.
    `lift`: protection is to be taken away.
    """

    identity: Identity
    alias: str
    scope: Scope
    now: datetime
    doomed: tuple[Resource, ...] = ()
    spared: tuple[tuple[Resource, str], ...] = ()
    unknown: tuple[Resource, ...] = ()
    denied: tuple[Problem, ...] = ()
    foundlings: Mapping[str, str] = field(default_factory=dict)
    looked_into: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    not_enabled: tuple[str, ...] = ()
    unseen: tuple[Problem, ...] = ()
    in_the_way: tuple[tuple[Resource, Blocker], ...] = ()
    silent: tuple[Problem, ...] = ()
    usd_per_hour: Decimal | None = None
    lift: bool = False

    @property
    def empty(self) -> bool:
        return not self.doomed and not self.foundlings

    @property
    def youngest(self) -> timedelta | None:
        """How old the youngest is of those that are to go; None when none of them says."""
        births = [one.created_at for one in self.doomed if one.created_at is not None]
        return self.now - max(births) if births else None

    def cluster_of(self, resource: Resource) -> str:
        """Whose it is: the value of our tag; what a launcher of ours launched may lack it."""
        return resource.tags.get(self.scope.key, "")


def in_order(resources: Iterable[Resource]) -> list[Resource]:
    return sorted(resources, key=lambda one: (one.region, one.kind, one.id))
