"""Reads the orchestrator's present state: six calls in its home region, and some more before a new instance is launched."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.model import ROLE_KEY, OrchestratorMode, arch_of_name
from bacalhau_spot.core.orchestrator.managed_plan import admits_nodes
from bacalhau_spot.core.orchestrator.managed_state import (
    HomeSite,
    OrchestratorState,
    SharedOrchestratorState,
    home_region,
    newest_usable,
)
from bacalhau_spot.core.placement.quotas import (
    ELASTIC_ADDRESSES,
    ON_DEMAND_STANDARD,
    SERVICE,
    STANDARD,
    quota_of,
    used_vcpus,
)
from bacalhau_spot.core.tags import cluster_scope, orchestrator_parameter
from bacalhau_spot.engine.iam.ownership import check_parameter
from bacalhau_spot.engine.network.network_egress import judge, read_network
from bacalhau_spot.engine.orchestrator.reconcile_configuration import published_configuration
from bacalhau_spot.engine.orchestrator.resolve import (
    find_orchestrator,
    foreign_parameter,
    orchestrator_naming,
    parsed_credentials,
    with_orchestrator,
)
from bacalhau_spot.engine.placement.placement_scores import QUOTA_WAIT_S
from bacalhau_spot.orchestrator.certificates import (
    begun_at,
    certificate_ends_at,
    check_authority,
    needs_renewal,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.model import ClusterSpec, Instance, Naming, TypeInfo
    from bacalhau_spot.core.orchestrator.credentials import OrchestratorCredentials
    from bacalhau_spot.core.orchestrator.managed_state import DataVolume, ElasticAddress
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

# From a launch until cloud-init has enabled the services. A restart before would cut it off.
_FIRST_BOOT: Final = timedelta(minutes=3)


async def managed_state(calls: AwsCalls, facts: LaunchFacts) -> OrchestratorState | None:
    """The state in the home region; None if the orchestrator is not managed, or no region is known. Raises CloudError."""
    region, inventory = managed_home(facts), facts.inventory
    if region is None or inventory is None:
        return None
    if region not in facts.account.enabled_regions:
        return OrchestratorState(region)
    instances = [found for found in inventory.orchestrators if found.region == region]
    return await state_in(calls, facts.spec, region=region, instances=instances)


def managed_home(facts: LaunchFacts) -> str | None:
    """The region of a managed orchestrator; None if it is not managed, or no region is known."""
    spec, inventory = facts.spec, facts.inventory
    if spec.orchestrator.mode is not OrchestratorMode.MANAGED or inventory is None:
        return None
    return home_region(inventory.orchestrators, inventory.tagged, planned=spec.planned_home)


async def state_in(
    calls: AwsCalls,
    spec: ClusterSpec,
    *,
    region: str,
    instances: Sequence[Instance],
) -> OrchestratorState:
    """The orchestrator's parts in a region. `instances`: its instances there, terminated ones included. Raises CloudError."""
    naming = spec.naming
    key, value = naming.tag_key, naming.tag_value
    addresses, volumes, groups, credentials, published = await asyncio.gather(
        calls.read(region, partial(calls.cloud.addresses, region)),
        calls.read(region, partial(calls.cloud.volumes, region, key=key, value=value)),
        calls.read(region, partial(calls.cloud.inbound_groups, region, key=key, value=value)),
        stored_credentials(calls, naming, region=region),
        published_configuration(calls, naming, region=region),
    )
    instance = newest_usable(instances)
    return OrchestratorState(
        region=region,
        address=_own_address(addresses, naming, instance),
        addresses_used=len(addresses),
        other_address=address_of_others(addresses, naming, instance),
        volume=_data_volume(volumes, instance),
        group=groups[0] if groups else None,
        credentials=credentials,
        certificate_ends=_certificate_ends(credentials),
        renewal_due=credentials is not None and _renewal_due(calls, credentials),
        instance=instance,
        first_boot=instance is not None and calls.clock.now() - instance.launched_at < _FIRST_BOOT,
        ended=tuple(sorted(found.id for found in instances if found != instance)),
        site=None if instance is not None else await _site(calls, spec, region=region),
        published=published,
    )


async def stored_credentials(
    calls: AwsCalls, naming: Naming, *, region: str
) -> OrchestratorCredentials | None:
    """The content of the cluster's own parameter; None without one. Raises CloudError, and UserError for another's."""
    name = orchestrator_parameter(naming)
    stored = await calls.read(region, partial(calls.cloud.stored_parameter, region, name))
    if stored is None:
        return None
    credentials = parsed_credentials(stored, name=name, region=region)
    try:
        check_authority(credentials)
    except ValueError as error:
        raise foreign_parameter(name, region=region) from error
    await check_parameter(calls, naming, region, name)
    return credentials


def _certificate_ends(credentials: OrchestratorCredentials | None) -> datetime | None:
    if credentials is not None:
        with suppress(ValueError):
            return certificate_ends_at(credentials)
    return None


def _renewal_due(calls: AwsCalls, credentials: OrchestratorCredentials) -> bool:
    """Also for a certificate that cannot be read."""
    try:
        return needs_renewal(credentials, credentials.host, now=calls.clock.now())
    except ValueError:
        return True


def _own_address(
    addresses: Sequence[ElasticAddress], naming: Naming, instance: Instance | None
) -> ElasticAddress | None:
    """Of several after an interrupted create, the associated one, otherwise always the same."""
    own = [
        found for found in addresses if cluster_scope(naming).matches(found.tags) and ROLE_KEY in found.tags
    ]
    return min(own, key=lambda found: _by_use(found.instance_id, instance, found.id), default=None)


def address_of_others(
    addresses: Sequence[ElasticAddress], naming: Naming, instance: Instance | None
) -> ElasticAddress | None:
    """An address on the instance that lacks the cluster's tag."""
    if instance is None:
        return None
    others = (found for found in addresses if not cluster_scope(naming).matches(found.tags))
    return next((found for found in others if found.instance_id == instance.id), None)


def _data_volume(volumes: Sequence[DataVolume], instance: Instance | None) -> DataVolume | None:
    return min(volumes, key=lambda found: _by_use(found.instance_id, instance, found.id), default=None)


def _by_use(user: str | None, instance: Instance | None, resource_id: str) -> tuple[bool, bool, str]:
    return instance is None or user != instance.id, user is None, resource_id


async def _site(calls: AwsCalls, spec: ClusterSpec, *, region: str) -> HomeSite:
    type_name = spec.orchestrator.instance_type
    vpc_id = spec.vpc_of(region)
    pools, infos, address_quota, facts = await asyncio.gather(
        calls.read(region, partial(calls.cloud.pools, region, [type_name])),
        calls.read(region, partial(calls.cloud.types, region, [type_name])),
        _quota(calls, region, ELASTIC_ADDRESSES),
        read_network(calls, region, vpc_id),
    )
    zones = tuple(sorted({zone for _, zone in pools}))
    used, limit = await _on_demand(calls, region, infos)
    network = judge(region, facts, public_ip=True, zones=zones)
    return HomeSite(
        zones=zones,
        vpc_id=vpc_id,
        subnets=network.subnets,
        unreachable=(network.problem.what, network.problem.hint) if network.problem else None,
        arch=infos[0].archs[0] if infos and infos[0].archs else arch_of_name(type_name),
        vcpus=infos[0].vcpus if infos else None,
        vcpus_used=used,
        vcpu_quota=limit,
        address_quota=address_quota,
    )


async def _on_demand(
    calls: AwsCalls, region: str, infos: Sequence[TypeInfo]
) -> tuple[int | None, int | None]:
    """The vCPUs of the account's on-demand instances and their quota, where the type counts towards the standard one."""
    if not infos or quota_of(infos[0].name) is not STANDARD:
        return None, None
    limit = await _quota(calls, region, ON_DEMAND_STANDARD)
    if limit is None:
        return None, None
    with suppress(CloudError):
        counts = await calls.read(
            region, partial(calls.cloud.on_demand_in_use, region), within_s=QUOTA_WAIT_S
        )
        vcpus = {info.name: info.vcpus for info in infos}
        others = sorted(set(counts) - set(vcpus))
        if others:
            described = await calls.read(region, partial(calls.cloud.types, region, others))
            vcpus |= {info.name: info.vcpus for info in described}
        return used_vcpus(counts, vcpus).get(STANDARD.code, 0), limit
    return None, limit


async def _quota(calls: AwsCalls, region: str, code: str) -> int | None:
    """None if AWS does not return it: a launch is possible without."""
    with suppress(CloudError):
        look = partial(calls.cloud.quota, region, service=SERVICE, code=code)
        return await calls.read(region, look, within_s=QUOTA_WAIT_S)
    return None


async def shared_state(
    calls: AwsCalls, spec: ClusterSpec
) -> tuple[ClusterSpec, SharedOrchestratorState | None]:
    """With another cluster's orchestrator: the specification that joins it, and its state. Raises CloudError, UserError."""
    if spec.orchestrator.mode is not OrchestratorMode.SHARED:
        return spec, None
    naming = orchestrator_naming(spec)
    found = await find_orchestrator(calls, spec)
    if found is None:
        return spec, SharedOrchestratorState(naming.tag_value)
    admits = None
    with suppress(CloudError):
        groups = await calls.read(
            found.region,
            partial(calls.cloud.inbound_groups, found.region, key=naming.tag_key, value=naming.tag_value),
        )
        admits = any(map(admits_nodes, groups)) if groups else None
    return with_orchestrator(spec, found.credentials), SharedOrchestratorState(
        naming.tag_value, found.region, admits_nodes=admits, begun_at=_begun_at(found.credentials)
    )


def _begun_at(credentials: OrchestratorCredentials) -> datetime | None:
    with suppress(ValueError):
        return begun_at(credentials)
    return None
