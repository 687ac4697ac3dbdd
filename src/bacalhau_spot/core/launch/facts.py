"""The inputs of a plan besides the configuration, as AWS and this machine reported them before any change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bacalhau_spot.core.launch.group_plan import counted, replacing
from bacalhau_spot.core.lifecycle.expiry import plan_expiry
from bacalhau_spot.core.model import CALLER, ClusterSpec, Instance, Market, Pool
from bacalhau_spot.core.orchestrator.managed_plan import orchestrator_plan
from bacalhau_spot.core.orchestrator.managed_state import OrchestratorState
from bacalhau_spot.core.placement.demand import node_demand
from bacalhau_spot.core.pricing.cost import Rates

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from bacalhau_spot.core.inventory import AccountContext, ClusterInventory
    from bacalhau_spot.core.launch.network_egress import NetworkCheck
    from bacalhau_spot.core.lifecycle.expiry import ExpiryPlan
    from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorPlan
    from bacalhau_spot.core.orchestrator.managed_state import SharedOrchestratorState
    from bacalhau_spot.core.orchestrator.nats_check import NatsCheck
    from bacalhau_spot.core.placement.demand import Demand
    from bacalhau_spot.core.placement.region_selection import RegionDecision
    from bacalhau_spot.core.pricing.list_prices import Prices
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.scaling_group.groups import RefusedLaunch, ScalingGroup


@dataclass(frozen=True, slots=True)
class LaunchFacts:
    """Gathered in stages; a stage that already refuses the plan leaves the later fields empty.

    `spec`: the configuration, with the chosen regions in place of `auto` and every archive sum filled in.
    `launched_in`: regions in which this machine's audit log has nodes of the cluster without a recorded termination.
    `interrupted_pools`: pools in which EC2 interrupted nodes of the cluster in the last two hours, each with the time of the
    last interruption.
    `decisions`, `notes`: where the configuration leaves the regions open, the choice for each region, and its gaps.
    `nats_checks`: a connection to each orchestrator address, from this machine; not of a managed one, for which `create` waits.
    `orchestrator`: the managed one or that of another cluster.
    `markets`, `networks`: only of regions that are to launch.
    `now`: when they were gathered; None: the plan leaves expiries alone.
    `pool_prices`: of the pools of existing nodes, in USD an hour; only with a budget, or where nodes are surplus.
    `groups`: the Auto Scaling groups, by region; `refused_groups`: why AWS refused the last launch of some of them.
    """

    spec: ClusterSpec
    account: AccountContext
    launched_in: Collection[str] = ()
    inventory: ClusterInventory | None = None
    interrupted_pools: Mapping[Pool, datetime] = field(default_factory=dict)
    caller_address: str | None = None
    nats_checks: tuple[NatsCheck, ...] = ()
    orchestrator: OrchestratorState | SharedOrchestratorState | None = None
    decisions: tuple[RegionDecision, ...] | None = None
    notes: tuple[str, ...] = ()
    markets: Mapping[str, Market] | None = None
    networks: Mapping[str, NetworkCheck] | None = None
    rates: Rates = field(default_factory=Rates)
    rates_failure: ApiFailure | None = None
    pool_prices: Prices = field(default_factory=dict)
    now: datetime | None = None
    groups: Mapping[str, ScalingGroup] = field(default_factory=dict)
    refused_groups: Mapping[str, RefusedLaunch] = field(default_factory=dict)

    @property
    def instances(self) -> tuple[Instance, ...]:
        """The nodes, without the orchestrator's instance."""
        return self.inventory.instances if self.inventory else ()

    @property
    def replaced(self) -> dict[str, int]:
        """The nodes of each region that its Auto Scaling group is about to launch."""
        if not self.spec.self_heal:
            return {}  # the plan dissolves the groups, which then launch nothing more
        return replacing(self.groups, self.refused_groups, self.instances)

    @property
    def counted(self) -> tuple[Instance, ...]:
        """The nodes, without those that an Auto Scaling group has launched ahead of a termination."""
        return counted(self.groups, self.instances) if self.spec.self_heal else self.instances

    @property
    def demand(self) -> Demand:
        """The missing and surplus nodes."""
        return node_demand(self.spec, self.counted, replaced=self.replaced)

    @property
    def orchestrator_instances(self) -> frozenset[str]:
        """Ids of the orchestrator's instances, terminated ones included."""
        return (
            frozenset(instance.id for instance in self.inventory.orchestrators)
            if self.inventory
            else frozenset()
        )

    @property
    def expiry_plan(self) -> ExpiryPlan | None:
        """The expiry after the create, that of the orchestrator and the groups included; None without a scan of the cluster."""
        if self.inventory is None or self.now is None:
            return None
        existing = (*self.inventory.instances, *self.inventory.orchestrators)
        return plan_expiry(self.spec, existing, now=self.now, groups=self.groups.values())

    @property
    def orchestrator_plan(self) -> OrchestratorPlan | None:
        """The steps to a working managed orchestrator; None without one."""
        if not isinstance(self.orchestrator, OrchestratorState):
            return None
        market = (self.markets or {}).get(self.orchestrator.region)
        return orchestrator_plan(
            self.orchestrator,
            self.spec.orchestrator,
            ssh_ranges=self.ssh_ranges,
            preferred_zones=market.zones if market else (),
        )

    @property
    def ssh_ranges(self) -> tuple[str, ...]:
        """The address ranges for port 22, with the caller's address in place of `caller` where it is known."""
        return tuple(
            f"{self.caller_address}/32" if cidr == CALLER else cidr
            for cidr in self.spec.ssh_cidrs
            if cidr != CALLER or self.caller_address
        )
