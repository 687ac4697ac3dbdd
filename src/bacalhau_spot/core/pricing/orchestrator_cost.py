"""The hourly cost of a managed orchestrator: an on-demand instance, its root and data volumes, and its Elastic IP address.

Only the instance's price stops with the instance: AWS bills volumes and addresses while they exist (Amazon EBS pricing;
Amazon VPC pricing, "Public IPv4 addresses").
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorStep
from bacalhau_spot.core.pricing.estimate import Estimate, PriceRange
from bacalhau_spot.core.pricing.list_prices import HOURS_A_MONTH, on_demand_usd_per_hour

if TYPE_CHECKING:
    from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorPlan
    from bacalhau_spot.core.pricing.cost import Rates

# The root volume, unless the image needs a larger one. The data volume has its size in the configuration.
ROOT_VOLUME_GIB: Final = 10


@dataclass(frozen=True, slots=True)
class OrchestratorCost:
    """In USD an hour, once the plan is executed. `instance_usd` None: the price is unknown. `added`: the plan's part of it."""

    region: str
    instance_type: str
    instance_usd: Decimal | None
    volumes_usd: Decimal
    address_usd: Decimal
    added: Estimate

    @property
    def total_usd(self) -> Decimal | None:
        return None if self.instance_usd is None else self.instance_usd + self.volumes_usd + self.address_usd

    @property
    def adds(self) -> bool:
        """Whether the plan makes it cost more than now."""
        total = self.added.total
        return total is None or total.high > 0

    @property
    def existing_usd(self) -> Decimal | None:
        """The part that exists without the plan."""
        if self.total_usd is None or self.added.total is None:
            return None
        return self.total_usd - self.added.total.high


def orchestrator_cost(plan: OrchestratorPlan, rates: Rates) -> OrchestratorCost:
    """The cost of the orchestrator, and the part of it that the plan's steps add."""
    steps = set(plan.steps)
    price = rates.on_demand.get((plan.region, plan.instance_type)) or on_demand_usd_per_hour(
        plan.instance_type
    )
    gib_hour = rates.gib_month_of(plan.region) / HOURS_A_MONTH
    root, data = ROOT_VOLUME_GIB * gib_hour, plan.volume_gib * gib_hour
    runs_anew = bool(steps & {OrchestratorStep.INSTANCE, OrchestratorStep.START})
    return OrchestratorCost(
        region=plan.region,
        instance_type=plan.instance_type,
        instance_usd=price,
        volumes_usd=root + data,
        address_usd=rates.address_hour,
        added=Estimate(
            instances=_fixed(price if runs_anew else Decimal(0)),
            volumes_usd=(root if OrchestratorStep.INSTANCE in steps else Decimal(0))
            + (data if OrchestratorStep.VOLUME in steps else Decimal(0)),
            addresses_usd=rates.address_hour if OrchestratorStep.ADDRESS in steps else Decimal(0),
            on_demand=_fixed(price if runs_anew else Decimal(0)),
        ),
    )


def _fixed(usd: Decimal | None) -> PriceRange | None:
    return None if usd is None else PriceRange(usd, usd)
