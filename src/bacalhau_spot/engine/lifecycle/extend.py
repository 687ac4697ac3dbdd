"""Moves the expiry of a living cluster: one CreateTags in each region, and three calls for its Auto Scaling group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.lifecycle.extension import ExpiryChange
from bacalhau_spot.core.scaling_group.groups import regions_of_groups
from bacalhau_spot.engine.aws_calls.caller import Cancelled
from bacalhau_spot.engine.aws_calls.discovery import cluster_inventory, enabled_names, load_account
from bacalhau_spot.engine.lifecycle.expiry_tags import holders_of_expiry, write_everywhere
from bacalhau_spot.engine.scaling_group.groups import group_states

if TYPE_CHECKING:
    from collections.abc import Collection

    from bacalhau_spot.core.inventory import ClusterInventory
    from bacalhau_spot.core.lifecycle.expiry import ExpiryPlan
    from bacalhau_spot.core.model import Identity, Instance, Naming
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.scaling_group.groups import ScalingGroup
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


@dataclass(frozen=True, slots=True)
class LivingCluster:
    """The cluster's instances, launch templates and Auto Scaling groups in all enabled regions.

    `unlisted`: regions in which AWS did not list the group.
    """

    identity: Identity
    inventory: ClusterInventory
    groups: tuple[ScalingGroup, ...] = ()
    unlisted: tuple[ApiFailure, ...] = ()

    @property
    def instances(self) -> tuple[Instance, ...]:
        """The managed orchestrator's included."""
        return (*self.inventory.instances, *self.inventory.orchestrators)

    @property
    def failed_regions(self) -> tuple[ApiFailure, ...]:
        """Those of which a part could not be read."""
        return (*self.inventory.failed_regions, *self.unlisted)


async def find_cluster(
    calls: AwsCalls,
    naming: Naming,
    *,
    configured: Collection[str] | None = None,
    healed: Collection[str] = (),
) -> LivingCluster:
    """Read-only. `configured`: the regions that may have templates or groups without an instance; None: any.

    `healed`: those that the configuration gives a group. Raises CloudError.
    """
    account = await load_account(calls)
    inventory = await cluster_inventory(
        calls, naming, regions=enabled_names(account.regions), configured=configured
    )
    regions = regions_of_groups(inventory.instances, naming) | (set(healed) & set(inventory.tagged))
    states, unlisted = await group_states(calls, naming, regions=regions)
    groups = tuple(state.group for state in states)
    return LivingCluster(account.identity, inventory, groups, unlisted)


async def change_expiry(
    calls: AwsCalls, naming: Naming, cluster: LivingCluster, planned: ExpiryPlan
) -> ExpiryChange:
    """Write the planned expiry to all instances, groups, and launch templates of their regions. Never raises for a refusal."""
    holders = holders_of_expiry(planned.retag, cluster.inventory.tagged, groups=planned.groups)
    unseen = cluster.failed_regions
    try:
        failures = await write_everywhere(calls, naming, planned, holders)
    except Cancelled:
        return ExpiryChange(planned, failed_regions=unseen, interrupted=True)
    return ExpiryChange(planned, failed=tuple(failures.values()), failed_regions=unseen)
