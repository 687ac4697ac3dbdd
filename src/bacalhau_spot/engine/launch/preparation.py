"""Before a create changes anything: look, choose, plan, and refuse whatever can be refused now."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bacalhau_spot.core.demand import node_demand
from bacalhau_spot.core.error_catalog.categories import MORE_TYPES
from bacalhau_spot.core.launch.plan import Plan, PoolExposure, plan, unsuitable_images, unsuitable_images_hint
from bacalhau_spot.core.launch.pool_limits import (
    max_per_pool,
    nodes_per_pool,
    pool_exposure,
    share_problems,
    share_warnings,
)
from bacalhau_spot.core.model import CALLER, Market
from bacalhau_spot.core.placement.region_selection import RegionReason, data_gaps, explain_no_region
from bacalhau_spot.core.pricing.estimate import Budget
from bacalhau_spot.core.pricing.estimate import current_cost as standing_usd
from bacalhau_spot.engine.aws_calls.cache import NullCache
from bacalhau_spot.engine.aws_calls.caller import most_severe_error
from bacalhau_spot.engine.aws_calls.discovery import (
    AccountContext,
    ClusterInventory,
    check_regions,
    cluster_inventory,
    enabled_names,
    load_account,
)
from bacalhau_spot.engine.launch.archive_checksums import ArchiveSource, with_sums
from bacalhau_spot.engine.launch.network_egress import NetworkCheck, check_networks
from bacalhau_spot.engine.placement.market import markets
from bacalhau_spot.engine.placement.region_selection import check_failed_regions, choose_regions, with_regions
from bacalhau_spot.engine.pricing.prices import prices_now, rates
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.instance.gpu import image_warning
from bacalhau_spot.instance.user_data import render

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from bacalhau_spot.core.model import ClusterSpec, Identity, Pool
    from bacalhau_spot.core.placement.region_selection import RegionDecision
    from bacalhau_spot.core.pricing.cost import Rates
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.cache import Cache
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


@dataclass(frozen=True, slots=True)
class PreparedCreate:
    """A create that is planned and not yet begun. Nothing has been changed."""

    spec: ClusterSpec
    plan: Plan
    account: AccountContext
    inventory: ClusterInventory
    markets: dict[str, Market] = field(default_factory=dict)
    cidrs: tuple[str, ...] = ()
    network_checks: dict[str, NetworkCheck] = field(default_factory=dict)


async def prepare(
    calls: AwsCalls,
    spec: ClusterSpec,
    *,
    caller_address: Callable[[], Awaitable[str | None]],
    archive: ArchiveSource,
    allow_removal: bool = False,
    cache: Cache | None = None,
    launched_in: Callable[[Identity], Collection[str]] = lambda _: (),
) -> PreparedCreate:
    """Look and plan. Raises CloudError, and UserError for whatever can be refused before anything is created.

    `launched_in`: regions in which this machine has launched nodes of the cluster that nobody has ended since.
    """
    account = await load_account(calls)
    check_regions(spec, account.regions)
    inventory, address = await asyncio.gather(
        cluster_inventory(calls, spec.naming, regions=enabled_names(account.regions)),
        _address(spec, caller_address),
    )
    choices: tuple[RegionDecision, ...] = ()
    remarks: tuple[str, ...] = ()
    if spec.auto_regions is not None:
        check_failed_regions(
            inventory.failed_regions, seen=inventory.tagged, launched_in=launched_in(account.identity)
        )
        spec, choices, remarks = await _choose_regions(
            calls, spec, account, inventory, cache=cache or NullCache()
        )
    for region in spec.regions:
        render(spec, region=region.name)  # too long or unusable: said now
    _check_inventory(spec, inventory)
    wants = node_demand(spec, inventory.instances)
    found = await markets(calls, spec, regions=list(wants.launch))
    check_markets(spec, found)
    ground = await check_networks(calls, spec, found)
    refuse_networks_without_egress(ground)
    spec = await _with_sums(spec, found, archive=archive, cache=cache or NullCache())
    held = nodes_per_pool(inventory.instances)
    _check_shares(spec, found, wants.launch, held)
    configured = {region.name for region in spec.regions}
    warnings = (
        *share_warnings(spec, held),
        *remarks,
        *data_gaps([failure for failure in inventory.failed_regions if failure.region not in configured]),
        *(check.warning for check in ground.values() if check.warning),
        *_ssh_warning(spec, address),
        *_join_warning(spec),
        *_gpu_warning(spec, found),
        *_key_warnings(found),
    )
    lists, refused = await _lists(calls, found)
    planned = plan(
        spec, wants, found, allow_removal=allow_removal, warnings=warnings, decisions=choices, rates=lists
    )
    planned = replace(
        planned,
        list_prices_missing=refused[0].code if refused else "",
        exposure=_exposure(spec, planned, held),
        archives=spec.bacalhau.sha256 if found else (),
        budget=await _budget(calls, spec, planned, inventory, lists=lists),
    )
    cidrs = tuple(
        f"{address}/32" if cidr == CALLER else cidr for cidr in spec.ssh_cidrs if cidr != CALLER or address
    )
    return PreparedCreate(
        spec=spec,
        plan=planned,
        account=account,
        inventory=inventory,
        markets=found,
        cidrs=cidrs,
        network_checks=ground,
    )


async def _with_sums(
    spec: ClusterSpec, found: Mapping[str, Market], *, archive: ArchiveSource, cache: Cache
) -> ClusterSpec:
    """With the sum of every archive that the new nodes may fetch, which makes the user-data a little longer."""
    archs = {offer.arch for market in found.values() for offer in market.offers}
    bacalhau = await with_sums(spec.bacalhau, archs, source=archive, memory=cache)
    spec = replace(spec, bacalhau=bacalhau)
    for name in found:
        render(spec, region=name)
    return spec


async def _lists(calls: AwsCalls, found: dict[str, Market]) -> tuple[Rates, tuple[ApiFailure, ...]]:
    """AWS's price lists of the regions that launch: two calls for all together."""
    types = {offer.pool.type for market in found.values() for offer in market.offers}
    return await rates(calls, regions=sorted(found), types=sorted(types))


async def _budget(
    calls: AwsCalls, spec: ClusterSpec, planned: Plan, inventory: ClusterInventory, *, lists: Rates
) -> Budget | None:
    """What the cluster would come to beside what it may; asked only where there is a budget and something to launch."""
    if spec.budget_usd_per_hour is None or not planned.launch:
        return None
    removed = {instance.id for instance in planned.remove}
    staying = [instance for instance in inventory.instances if instance.alive and instance.id not in removed]
    root_gib = spec.instance.root_volume_gib
    total = planned.estimate.total
    return Budget(
        usd_per_hour=spec.budget_usd_per_hour,
        existing_usd=standing_usd(
            staying,
            await prices_now(calls, staying),
            lists,
            root_volume_gib=root_gib,
            public_ip=spec.instance.public_ip,
        ),
        launch_usd=None if total is None else total.high,
    )


async def _choose_regions(
    calls: AwsCalls, spec: ClusterSpec, account: AccountContext, inventory: ClusterInventory, *, cache: Cache
) -> tuple[ClusterSpec, tuple[RegionDecision, ...], tuple[str, ...]]:
    """The configuration with regions in the place of `auto`, what became of each region, and remarks on that."""
    reachable = [name for name in enabled_names(account.regions) if name in inventory.tagged]
    decisions, remarks = await choose_regions(
        calls,
        spec,
        reachable=reachable,
        present={instance.region for instance in inventory.instances if instance.alive},
        identity=account.identity,
        cache=cache,
    )
    none = explain_no_region(decisions)
    if none is not None:
        raise UserError(
            none.message,
            details=(*remarks, *data_gaps(inventory.failed_regions)),
            hint=none.hint,
            exit_code=ExitCode.USAGE if none.reason is RegionReason.NO_OFFER else ExitCode.FAILED,
        )
    return with_regions(spec, decisions), decisions, remarks


async def _address(spec: ClusterSpec, caller_address: Callable[[], Awaitable[str | None]]) -> str | None:
    return await caller_address() if CALLER in spec.ssh_cidrs else None


def _check_inventory(spec: ClusterSpec, inventory: ClusterInventory) -> None:
    """A configured region that cannot be scanned may hold nodes already: launching blindly could double them."""
    configured = {region.name for region in spec.regions}
    blind = [failure for failure in inventory.failed_regions if failure.region in configured]
    if blind:
        raise most_severe_error(blind)


def check_markets(spec: ClusterSpec, found: dict[str, Market]) -> None:
    """Raises UserError when a region has none of the types, or its image is for another architecture."""
    problems = tuple(problem for market in found.values() for problem in unsuitable_images(spec, market))
    if problems:
        raise UserError(
            "the configured instance types and images do not fit",
            details=problems,
            hint=unsuitable_images_hint(spec),
            exit_code=ExitCode.USAGE,
        )


def refuse_networks_without_egress(found: Mapping[str, NetworkCheck]) -> None:
    """Raises UserError when nodes could not join from a network that they would be launched into."""
    obstacles = [check.problem for check in found.values() if check.problem]
    if obstacles:
        raise UserError(
            "nodes could not join from the network that they would be launched into",
            details=tuple(obstacle.what for obstacle in obstacles),
            hint=obstacles[0].hint,
            exit_code=ExitCode.USAGE,
        )


def _check_shares(
    spec: ClusterSpec, found: dict[str, Market], launch: Mapping[str, int], held: Mapping[Pool, int]
) -> None:
    problems = share_problems(spec, found, launch, held)
    if problems:
        raise UserError(
            "too few capacity pools for `max_share_per_pool`",
            details=problems,
            hint=f"raise `max_share_per_pool`, or add to `instance_types` or `regions` ({MORE_TYPES} shows the offers "
            "by region)",
            exit_code=ExitCode.USAGE,
        )


def _exposure(spec: ClusterSpec, planned: Plan, held: Mapping[Pool, int]) -> PoolExposure:
    """What goes is not at stake."""
    left = Counter(held)
    left.subtract(nodes_per_pool(planned.remove))
    return pool_exposure(planned.regions, left, limit=max_per_pool(spec))


def _ssh_warning(spec: ClusterSpec, address: str | None) -> tuple[str, ...]:
    if CALLER not in spec.ssh_cidrs or address:
        return ()
    return ("cannot determine your public address, so SSH stays closed; set `ssh_cidrs` to open it",)


def _gpu_warning(spec: ClusterSpec, found: Mapping[str, Market]) -> tuple[str, ...]:
    types = {name: [offer.pool.type for offer in market.offers] for name, market in found.items()}
    warning = image_warning(spec, types)
    return (warning,) if warning else ()


def _key_warnings(found: Mapping[str, Market]) -> tuple[str, ...]:
    """EC2 user guide, "Spot service-linked role": a customer managed key needs a grant. DescribeImages does not show the key."""
    return tuple(
        f"{image.id} in {market.region} is encrypted: unless that is AWS's own key, AWSServiceRoleForEC2Spot needs a grant to "
        "it, or AWS terminates the nodes at once (`bacalhau-spot explain permissions`)"
        for market in found.values()
        for image in market.images.values()
        if image.encrypted
    )


def _join_warning(spec: ClusterSpec) -> tuple[str, ...]:
    if spec.bacalhau.orchestrators:
        return ()
    return (
        "no orchestrator is configured (`bacalhau.orchestrators`): the nodes will run without joining a cluster",
    )
