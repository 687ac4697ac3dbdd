"""A snapshot of the whole cluster: all regions and the orchestrator in parallel, then the consoles that are needed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.health.boot_console import console_lines, parse_boot
from bacalhau_spot.core.health.cluster_status import ClusterSnapshot, member_of, needs_console
from bacalhau_spot.core.health.observation import ApiAvailability, spot_status
from bacalhau_spot.core.inventory import nodes_only, orchestrators_only
from bacalhau_spot.core.orchestrator.orchestrator_nodes import NodeListing
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.core.scaling_group.groups import regions_of_groups
from bacalhau_spot.engine.aws_calls.caller import api_failure
from bacalhau_spot.engine.aws_calls.discovery import check_permitted, in_all_regions
from bacalhau_spot.engine.scaling_group.groups import group_states
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Sequence

    from bacalhau_spot.core.health.boot_console import BootProgress
    from bacalhau_spot.core.health.observation import StatusChecks
    from bacalhau_spot.core.model import Instance, Naming, SpotRequest
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.orchestrator.port import Orchestrator

T = TypeVar("T")

# Concurrent console reads over all regions; each is a call.
_CONSOLES_AT_ONCE = 12


@dataclass(frozen=True, slots=True)
class _RegionData:
    instances: tuple[Instance, ...] = ()
    checks: dict[str, StatusChecks] = field(default_factory=dict)
    requests: tuple[SpotRequest, ...] = ()
    partial_failures: tuple[ApiFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class _OrchestratorData:
    api: ApiAvailability = ApiAvailability.NOT_CONFIGURED
    listing: NodeListing = field(default_factory=NodeListing)
    address: str = ""
    failure: ApiFailure | None = None


async def cluster_snapshot(
    calls: AwsCalls,
    naming: Naming,
    *,
    regions: Sequence[str],
    orchestrator: Orchestrator | None,
    unreadable: ApiFailure | None = None,
    healed: Collection[str] = (),
) -> ClusterSnapshot:
    """The current state. Three calls per region with instances, one per other region, one per console that is needed.

    `healed`: regions that the configuration gives an Auto Scaling group; groups elsewhere are known by their instances.

    `unreadable`: why AWS did not return the credentials of a managed orchestrator, which is then not asked.

    Failed reads are in the result. Raises CloudError only when the credentials are refused everywhere, or no region
    permits the call.
    """

    async def region_data(region: str) -> _RegionData:
        return await _region(calls, naming, region)

    (seen, unseen), word = await asyncio.gather(
        in_all_regions(regions, region_data), _orchestrator_data(orchestrator, unreadable)
    )
    check_permitted(seen, unseen)
    every = [instance for region in seen.values() for instance in region.instances]
    instances = nodes_only(every)
    (boots, mute), (groups, unlisted) = await asyncio.gather(
        _consoles(calls, instances, word),
        group_states(calls, naming, regions=regions_of_groups(instances, naming) | (set(healed) & set(seen))),
    )
    requests = tuple(request for region in seen.values() for request in region.requests)
    return ClusterSnapshot(
        taken_at=calls.clock.now(),
        instances=instances,
        orchestrators=orchestrators_only(every),
        checks={
            instance_id: checks for region in seen.values() for instance_id, checks in region.checks.items()
        },
        spots=tuple(map(spot_status, requests)),
        requests=requests,
        boots=boots,
        listing=word.listing,
        api=word.api,
        address=word.address,
        api_failure=word.failure,
        regions_scanned=tuple(seen),
        failed_regions=unseen,
        partial_failures=(
            *(failure for region in seen.values() for failure in region.partial_failures),
            *mute,
            *unlisted,
        ),
        groups=groups,
    )


async def _region(calls: AwsCalls, naming: Naming, region: str) -> _RegionData:
    """The instances with their status checks and spot requests, which are optional: failures are in the result."""
    key, value = naming.tag_key, naming.tag_value
    instances = await calls.read(region, lambda: calls.cloud.instances(region, key=key, value=value))
    if not instances:
        return _RegionData()
    ids = [instance.id for instance in instances]
    (checks, first), (requests, second) = await asyncio.gather(
        _or_failure(calls.read(region, lambda: calls.cloud.statuses(region, ids))),
        _or_failure(calls.read(region, lambda: calls.cloud.spot_requests(region, key=key, value=value))),
    )
    return _RegionData(instances, checks or {}, requests or (), tuple(filter(None, (first, second))))


async def _orchestrator_data(
    orchestrator: Orchestrator | None, unreadable: ApiFailure | None
) -> _OrchestratorData:
    if orchestrator is None:
        api = ApiAvailability.NOT_CONFIGURED if unreadable is None else ApiAvailability.UNAVAILABLE
        return _OrchestratorData(api, failure=unreadable)
    try:
        listing = await orchestrator.listing()
    except OrchestratorError as error:
        failure = ApiFailure(code=error.code, message=error.message, operation=error.address, region="")
        return _OrchestratorData(ApiAvailability.UNAVAILABLE, address=orchestrator.address, failure=failure)
    return _OrchestratorData(ApiAvailability.AVAILABLE, listing, orchestrator.address)


async def _consoles(
    calls: AwsCalls, instances: Sequence[Instance], orchestrator: _OrchestratorData
) -> tuple[dict[str, BootProgress], tuple[ApiFailure, ...]]:
    """The boot progress of nodes that have not joined or whose membership is unknown; one failure per region and code."""
    room = asyncio.Semaphore(_CONSOLES_AT_ONCE)

    async def read(instance: Instance) -> tuple[str, BootProgress | None, ApiFailure | None]:
        async with room:
            text, problem = await _or_failure(
                calls.read(instance.region, lambda: calls.cloud.console(instance.region, instance.id))
            )
        return instance.id, None if text is None else parse_boot(console_lines(text)), problem

    wanted = [
        instance
        for instance in instances
        if needs_console(instance, api=orchestrator.api, node=member_of(instance, orchestrator.listing.nodes))
    ]
    answers = await asyncio.gather(*(read(instance) for instance in wanted))
    problems = {(failure.region, failure.code): failure for _, _, failure in answers if failure is not None}
    return {name: found for name, found, _ in answers if found is not None}, tuple(problems.values())


async def _or_failure(part: Awaitable[T]) -> tuple[T | None, ApiFailure | None]:
    try:
        return await part, None
    except CloudError as error:
        return None, api_failure(error)
