"""What `cost` found out, as values: the charges, and what could not be seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bacalhau_spot.core.pricing.cost import sum_charges, sum_charges_by
from bacalhau_spot.core.pricing.usage_history import UsageHistory
from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from bacalhau_spot.core.pricing.cost import Charge, CostTotal, Usage, Window
    from bacalhau_spot.core.problem import ApiFailure

# What a cost can be looked at by, and what of a life each is.
GROUPINGS: dict[str, Callable[[Usage], tuple[str, ...]]] = {
    "region": lambda life: (life.region,),
    "zone": lambda life: (life.region, life.zone),
    "type": lambda life: (life.type,),
    "pool": lambda life: (life.region, life.zone, life.type),
    "instance": lambda life: (life.region, life.zone, life.type, life.id),
}


@dataclass(frozen=True, slots=True)
class CostReport:
    """A cluster's cost. `failed_regions`: regions that could not be scanned.

    `unpriced`: spot prices that AWS would not tell, so that sums lack them; `unlisted_prices`: list prices that it would
    not tell, so
    that there is nothing to compare with. `log_entries`: whether this machine's audit log knows anything of the cluster.
    """

    cluster: str
    window: Window
    charges: tuple[Charge, ...] = ()
    usages: UsageHistory = field(default_factory=UsageHistory)
    regions_scanned: tuple[str, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    unpriced: tuple[ApiFailure, ...] = ()
    unlisted_prices: tuple[ApiFailure, ...] = ()
    log_entries: bool = False

    @property
    def total(self) -> CostTotal:
        return sum_charges(self.charges)

    def by(self, grouping: str) -> dict[tuple[str, ...], CostTotal]:
        return sum_charges_by(self.charges, GROUPINGS[grouping])

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.INCOMPLETE if self.incomplete else ExitCode.DONE

    @property
    def incomplete(self) -> tuple[ApiFailure, ...]:
        """What keeps the sums from being whole."""
        return (*self.failed_regions, *self.unpriced)
