"""The inputs of a plan besides the configuration, as AWS and this machine reported them before any change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bacalhau_spot.core.model import CALLER, ClusterSpec, Instance, Market
from bacalhau_spot.core.pricing.cost import Rates

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bacalhau_spot.core.inventory import AccountContext, ClusterInventory
    from bacalhau_spot.core.launch.network_egress import NetworkCheck
    from bacalhau_spot.core.orchestrator.nats_check import NatsCheck
    from bacalhau_spot.core.placement.region_selection import RegionDecision
    from bacalhau_spot.core.pricing.list_prices import Prices
    from bacalhau_spot.core.problem import ApiFailure


@dataclass(frozen=True, slots=True)
class LaunchFacts:
    """Gathered in stages; a stage that already refuses the plan leaves the later fields empty.

    `spec`: the configuration, with the chosen regions in place of `auto` and every archive sum filled in.
    `launched_in`: regions in which this machine's audit log has nodes of the cluster without a recorded termination.
    `decisions`, `notes`: where the configuration leaves the regions open, the choice for each region, and its gaps.
    `nats_checks`: a connection to each orchestrator address, from this machine.
    `markets`, `networks`: only of regions that are to launch.
    `pool_prices`: of the pools of existing nodes, in USD an hour; only with a budget.
    """

    spec: ClusterSpec
    account: AccountContext
    launched_in: Collection[str] = ()
    inventory: ClusterInventory | None = None
    caller_address: str | None = None
    nats_checks: tuple[NatsCheck, ...] = ()
    decisions: tuple[RegionDecision, ...] | None = None
    notes: tuple[str, ...] = ()
    markets: Mapping[str, Market] | None = None
    networks: Mapping[str, NetworkCheck] | None = None
    rates: Rates = field(default_factory=Rates)
    rates_failure: ApiFailure | None = None
    pool_prices: Prices = field(default_factory=dict)

    @property
    def instances(self) -> tuple[Instance, ...]:
        return self.inventory.instances if self.inventory else ()

    @property
    def ssh_ranges(self) -> tuple[str, ...]:
        """The address ranges for port 22, with the caller's address in place of `caller` where it is known."""
        return tuple(
            f"{self.caller_address}/32" if cidr == CALLER else cidr
            for cidr in self.spec.ssh_cidrs
            if cidr != CALLER or self.caller_address
        )
