"""The data of a cost report, as values: the charges and the gaps."""

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

# The groupings of a cost report, and the key of a usage in each.
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

    `unpriced`: failed requests for spot prices, which the sums lack; `unlisted_prices`: failed requests for list
    prices, which the comparison lacks. `log_entries`: whether this machine's audit log has entries of the cluster.
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

    @property
    def orchestrator(self) -> CostTotal | None:
        """The part of a managed orchestrator in the total; None without one."""
        charges = [charge for charge in self.charges if charge.usage.orchestrator]
        return sum_charges(charges, orchestrator=True) if charges else None

    def by(self, grouping: str) -> dict[tuple[str, ...], CostTotal]:
        return sum_charges_by(self.charges, GROUPINGS[grouping])

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.INCOMPLETE if self.incomplete else ExitCode.DONE

    @property
    def incomplete(self) -> tuple[ApiFailure, ...]:
        """The gaps in the sums."""
        return (*self.failed_regions, *self.unpriced)
