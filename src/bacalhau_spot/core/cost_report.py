"""What `cost` found out, as values: the charges, and what could not be seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bacalhau_spot.core.cost import total, totals
from bacalhau_spot.core.lives import Lives
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from bacalhau_spot.core.cost import Charge, Life, Sum, Window
    from bacalhau_spot.core.receipt import Problem

# What a cost can be looked at by, and what of a life each is.
GROUPINGS: dict[str, Callable[[Life], tuple[str, ...]]] = {
    "region": lambda life: (life.region,),
    "zone": lambda life: (life.region, life.zone),
    "type": lambda life: (life.type,),
    "pool": lambda life: (life.region, life.zone, life.type),
    "instance": lambda life: (life.region, life.zone, life.type, life.id),
}


@dataclass(frozen=True, slots=True)
class CostReport:
    """A cluster's cost. `unseen`: regions that could not be looked into.

    `unpriced`: spot prices that AWS would not tell, so that sums lack them; `unlisted`: list prices that it would not tell, so
    that there is nothing to compare with. `log`: whether this machine's audit log knows anything of the cluster.
    """

    cluster: str
    window: Window
    charges: tuple[Charge, ...] = ()
    lives: Lives = field(default_factory=Lives)
    looked_into: tuple[str, ...] = ()
    unseen: tuple[Problem, ...] = ()
    unpriced: tuple[Problem, ...] = ()
    unlisted: tuple[Problem, ...] = ()
    log: bool = False

    @property
    def total(self) -> Sum:
        return total(self.charges)

    def by(self, grouping: str) -> dict[tuple[str, ...], Sum]:
        return totals(self.charges, GROUPINGS[grouping])

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.BLIND if self.blind else ExitCode.DONE

    @property
    def blind(self) -> tuple[Problem, ...]:
        """What keeps the sums from being whole."""
        return (*self.unseen, *self.unpriced)
