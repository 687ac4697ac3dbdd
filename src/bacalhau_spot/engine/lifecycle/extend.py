"""Moves the expiry of a living cluster: one CreateTags in each region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.lifecycle.extension import ExpiryChange
from bacalhau_spot.engine.aws_calls.caller import Cancelled
from bacalhau_spot.engine.aws_calls.discovery import cluster_inventory, enabled_names, load_account
from bacalhau_spot.engine.lifecycle.expiry_tags import holders_of_expiry, write_everywhere

if TYPE_CHECKING:
    from bacalhau_spot.core.inventory import ClusterInventory
    from bacalhau_spot.core.lifecycle.expiry import ExpiryPlan
    from bacalhau_spot.core.model import Identity, Instance, Naming
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


@dataclass(frozen=True, slots=True)
class LivingCluster:
    """The cluster's instances and launch templates in all enabled regions."""

    identity: Identity
    inventory: ClusterInventory

    @property
    def instances(self) -> tuple[Instance, ...]:
        """The managed orchestrator's included."""
        return (*self.inventory.instances, *self.inventory.orchestrators)


async def find_cluster(calls: AwsCalls, naming: Naming) -> LivingCluster:
    """Read-only. Raises CloudError."""
    account = await load_account(calls)
    inventory = await cluster_inventory(calls, naming, regions=enabled_names(account.regions))
    return LivingCluster(account.identity, inventory)


async def change_expiry(calls: AwsCalls, cluster: LivingCluster, planned: ExpiryPlan) -> ExpiryChange:
    """Write the planned expiry to all instances, and to the launch templates of their regions. Never raises for a refusal."""
    holders = holders_of_expiry(planned.retag, cluster.inventory.tagged)
    unseen = cluster.inventory.failed_regions
    try:
        failures = await write_everywhere(calls, holders, planned.value)
    except Cancelled:
        return ExpiryChange(planned, failed_regions=unseen, interrupted=True)
    return ExpiryChange(planned, failed=tuple(failures.values()), failed_regions=unseen)
