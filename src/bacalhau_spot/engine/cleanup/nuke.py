"""Deletes all tagged resources in all regions: the engine of `nuke`, which also works without a command line."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.cleanup.deletion_result import DeletionResult
from bacalhau_spot.core.cleanup.orchestrator_loss import orchestrator_instances
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.engine.aws_calls.caller import api_failure, gather_all
from bacalhau_spot.engine.cleanup.resource_scan import scan_regions
from bacalhau_spot.engine.cleanup.teardown import delete_resources
from bacalhau_spot.engine.pricing.heard_prices import remember_prices, remembered_prices
from bacalhau_spot.engine.pricing.prices import pool_prices, rates

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bacalhau_spot.core.cleanup.deletion_result import Dependency
    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.core.pricing.cost import Rates
    from bacalhau_spot.core.pricing.list_prices import Prices
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.cache import Cache
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.cleanup.region_teardown import DeletionOptions
    from bacalhau_spot.engine.cleanup.scan_result import ScanRequest, ScanResult

# Twice the time that instances, NAT gateways and their dependents take to be deleted.
TIMEOUT_S = 1800.0
# Each subnet takes a call to delete. With more of them, a region has no call left for prices (docs/cleanup.md).
_SUBNETS_BESIDE_PRICES = 4


async def nuke_resources(
    regions: Sequence[str],
    force: bool = False,  # noqa: FBT001, FBT002 - the signature that its users know
    *,
    calls: AwsCalls,
    search: ScanRequest,
    confirm: Callable[[ScanResult], bool] | None = None,
    scan: ScanResult | None = None,
    options: DeletionOptions | None = None,
    timeout_s: float = TIMEOUT_S,
) -> DeletionResult:
    """Find and delete everything in the scope of `search` in `regions` and account-wide; then scan again and report.

    Without `force`, it deletes only if `confirm` accepts the scan; without both, it only scans. `scan`: the result of a
    recent scan. Never raises for a refusal by AWS: the result contains it. Raises CloudError when the credentials are
    refused everywhere.
    """
    sights = scan if scan is not None else await scan_regions(calls, search, regions=regions)
    if not force and (confirm is None or not confirm(sights)):
        return DeletionResult(
            cluster=search.scope.value,
            remaining=sights.resources,
            unsupported=sights.unsupported,
            regions_scanned=tuple(sights.by_region),
            failed_regions=sights.failures,
        )
    return await delete_resources(
        calls, search, cluster=search.scope.value, scan=sights, timeout_s=timeout_s, options=options
    )


async def preflight(calls: AwsCalls, resources: Sequence[Resource]) -> tuple[ApiFailure, ...]:
    """Missing permissions to delete, from one dry run per region and kind. Changes nothing."""

    async def ask(resource: Resource) -> ApiFailure | None:
        try:
            error = await calls.read(
                resource.region, partial(calls.cloud.dry_run_delete, resource.region, resource)
            )
        except CloudError as failure:
            error = failure
        return None if error is None else replace(api_failure(error), region=resource.region)

    examples = {(resource.region, resource.kind): resource for resource in resources}
    answers = await gather_all(*(ask(resource) for resource in examples.values()))
    return tuple(answer for answer in answers if answer is not None)


async def foreign_resources(
    calls: AwsCalls, resources: Sequence[Resource], *, ours: Collection[str]
) -> tuple[tuple[tuple[Resource, Dependency], ...], tuple[ApiFailure, ...]]:
    """Resources in the VPCs to be deleted that are not in `ours`, nor part of one of these; and AWS's refusals."""
    silent: list[ApiFailure] = []

    async def ask(resource: Resource) -> list[tuple[Resource, Dependency]]:
        try:
            found, hidden = await calls.read(
                resource.region, partial(calls.cloud.dependencies, resource.region, resource)
            )
        except CloudError as error:
            silent.append(api_failure(error))  # it is asked again when something stays
            return []
        silent.extend(map(api_failure, hidden))
        return [
            (resource, dependency)
            for dependency in found
            if dependency.id not in ours and dependency.parent_id not in ours
        ]

    answers = await gather_all(
        *(ask(resource) for resource in resources if resource.kind == ResourceKind.VPC)
    )
    return tuple(pair for answer in answers for pair in answer), tuple(silent)


def _spot_pools(resources: Sequence[Resource]) -> dict[str, set[tuple[str, str]]]:
    """The (type, zone) of the instances by region, without the machines of orchestrators, which are on demand."""
    pools: dict[str, set[tuple[str, str]]] = {}
    on_demand = {host.id for host in orchestrator_instances(resources)}
    for resource in resources:
        if resource.kind == ResourceKind.INSTANCE and resource.type and resource.id not in on_demand:
            pools.setdefault(resource.region, set()).add((resource.type, resource.zone))
    return pools


async def prices_of(
    calls: AwsCalls, resources: Sequence[Resource], *, cache: Cache, account_id: str, sparing: bool = False
) -> Prices:
    """The prices of the instances' capacity pools, as heard within twelve hours, or now. A region that refuses has none.

    `sparing`: without a call in a region whose deletion takes most of the calls that it may take.
    """
    subnets = Counter(resource.region for resource in resources if resource.kind == ResourceKind.SUBNET)

    async def ask(region: str, here: set[tuple[str, str]]) -> Prices:
        heard = remembered_prices(cache, account_id, region, here)
        if heard is not None or (sparing and subnets[region] > _SUBNETS_BESIDE_PRICES):
            return heard or {}
        try:
            prices = await pool_prices(calls, region, {name for name, _ in here})
        except CloudError:
            return {}  # an estimate is not worth stopping for; the view says that there is none
        remember_prices(cache, account_id, prices)
        return prices

    parts = await gather_all(*(ask(region, here) for region, here in _spot_pools(resources).items()))
    return {key: usd for part in parts for key, usd in part.items()}


async def rates_of(calls: AwsCalls, resources: Sequence[Resource]) -> Rates:
    """The on-demand prices of the orchestrators, and the prices of volumes in their regions. A refusal leaves prices out."""
    hosts = orchestrator_instances(resources)
    regions = {resource.region for resource in resources if resource.kind == ResourceKind.VOLUME}
    regions |= {host.region for host in hosts}
    listed, _ = await rates(calls, regions=sorted(regions), types=sorted({host.type for host in hosts}))
    return listed


async def locate_by_id(calls: AwsCalls, ids: Sequence[str], *, regions: Sequence[str]) -> dict[str, str]:
    """The region of each of `ids`, for adoption: id -> region. Ids that no region has are absent."""

    async def ask(region: str, resource_id: str) -> tuple[str, str] | None:
        is_here = await calls.read(region, partial(calls.cloud.exists, region, resource_id))
        return (resource_id, region) if is_here else None

    answers = await gather_all(*(ask(region, resource_id) for resource_id in ids for region in regions))
    return dict(answer for answer in answers if answer is not None)


async def adopt(calls: AwsCalls, to_adopt: Mapping[str, str], *, tags: Mapping[str, str]) -> None:
    """Add our tags, so that the resources are found and deleted like the others. Raises CloudError, Cancelled."""
    for resource_id, region in to_adopt.items():
        await calls.write(region, partial(calls.cloud.adopt, region, resource_id, tags=tags))
