"""The usage of a cluster's instances, from AWS's data and this machine's audit log.

Rules:
1. AWS's data on an instance takes precedence over its spot request, and that over the audit log.
2. AWS lists a terminated instance for about an hour, and its spot request for about four (EC2 API reference,
   DescribeInstances and DescribeSpotInstanceRequests). Older ones are in the audit log only.
3. An instance without a recorded termination counts until it was last seen, and is reported.
4. A deleted volume counts with the size in the configuration.
5. Volumes and address of a managed orchestrator count apart from its instance, which they outlive
   (core/pricing/orchestrator_usage.py).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bacalhau_spot.core.model import OrchestratorSpec, State
from bacalhau_spot.core.pricing.cost import Usage
from bacalhau_spot.core.pricing.orchestrator_usage import is_orchestrators, orchestrator_parts

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.core.health.observation import SpotStatus
    from bacalhau_spot.core.model import Instance, Resource, SpotRequest

# AWS's codes when EC2 itself takes a spot instance back (EC2 user guide, "Spot request status"; EC2 API, StateReason).
_INTERRUPTED = frozenset(
    {
        "instance-terminated-by-price",
        "instance-terminated-no-capacity",
        "instance-terminated-capacity-oversubscribed",
        "instance-terminated-launch-group-constraint",
    }
)
_INTERRUPTED_REASON = "Server.Spot"
_TERMINATED = "instance-terminated-"


@dataclass(frozen=True, slots=True)
class LoggedInstance:
    """An instance in this machine's audit log. None: no record of it.

    `reason`: AWS's code for its end. `noticed_at`: of EC2's interruption notice. `joined_at`: its first connection to the
    orchestrator, by the orchestrator's clock.
    """

    id: str
    region: str
    zone: str
    type: str
    started_at: datetime
    seen_at: datetime
    ended_at: datetime | None = None
    interrupted: bool = False
    orchestrator: bool = False
    reason: str = ""
    noticed_at: datetime | None = None
    joined_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AwsInventory:
    """AWS's data on a cluster's instances."""

    instances: tuple[Instance, ...] = ()
    requests: tuple[SpotRequest, ...] = ()
    volumes: tuple[Resource, ...] = ()
    addresses: tuple[Resource, ...] = ()


@dataclass(frozen=True, slots=True)
class UsageHistory:
    """`unknown_end_ids`: instances without a known end. `assumed_volumes`: terminated instances with volumes of unknown
    size. `assumed_addresses`: addresses without a known allocation time.
    """

    usages: tuple[Usage, ...] = ()
    unknown_end_ids: tuple[str, ...] = ()
    assumed_volumes: int = 0
    log_only: int = 0  # usages that only the audit log has
    assumed_addresses: int = 0


def usage_history(
    inventory: AwsInventory,
    logged: Iterable[LoggedInstance],
    *,
    root_volume_gib: int,
    now: datetime,
    data_volume_gib: int = OrchestratorSpec().volume_gib,
) -> UsageHistory:
    """Every known usage, by region and id. `data_volume_gib`: of a deleted orchestrator."""
    logged_by_id = {usage.id: usage for usage in logged}
    usages_by_id = _listed_usages(inventory, logged_by_id, now=now)
    only_logged = [usage for usage in logged_by_id.values() if usage.id not in usages_by_id]
    usages_by_id |= {usage.id: _usage_of_log(usage) for usage in only_logged}
    parts = orchestrator_parts(inventory.instances, inventory.volumes, inventory.addresses, now=now)
    volumes = tuple(itertools.filterfalse(is_orchestrators, inventory.volumes))
    sizes = _gib_by_instance(volumes)

    def completed(usage: Usage) -> Usage:
        if usage.orchestrator:
            return parts.completed(usage, data_volume_gib=data_volume_gib)
        return replace(usage, volume_gib=sizes.get(usage.id, root_volume_gib))

    instances = [completed(usage) for usage, _ in usages_by_id.values()]
    usages = (*instances, *_detached_volumes(volumes, usages_by_id), *parts.usages)
    return UsageHistory(
        usages=tuple(sorted(usages, key=lambda life: (life.region, life.started_at, life.id))),
        unknown_end_ids=tuple(sorted(usage.id for usage, known in usages_by_id.values() if not known)),
        assumed_volumes=sum(_assumes_volumes(usage, sizes) for usage in instances),
        log_only=len(only_logged),
        assumed_addresses=len(parts.addresses),
    )


def _assumes_volumes(usage: Usage, sizes: Mapping[str, int]) -> bool:
    return bool(usage.volume_gib) if usage.orchestrator else usage.id not in sizes


def _listed_usages(
    inventory: AwsInventory, logged: Mapping[str, LoggedInstance], *, now: datetime
) -> dict[str, tuple[Usage, bool]]:
    """AWS's data, by instance, and whether its end is known: instances, and spot requests of instances no longer listed."""
    requests = {request.instance_id: request for request in inventory.requests if request.instance_id}
    usages = {
        instance.id: _usage_of_instance(instance, requests.get(instance.id), logged.get(instance.id), now=now)
        for instance in inventory.instances
    }
    for instance_id, request in requests.items():
        if instance_id not in usages:
            usages[instance_id] = _usage_of_request(instance_id, request, logged.get(instance_id))
    return usages


def ended_usages(instances: Iterable[Instance], spots: Iterable[SpotStatus] = ()) -> tuple[Usage, ...]:
    """Terminated instances with an end time, from AWS or their spot requests. A stopped orchestrator can start again."""
    ends = {spot.instance_id: spot for spot in spots if spot.code.startswith(_TERMINATED)}
    found = (_ended_usage(instance, ends.get(instance.id)) for instance in instances if not instance.alive)
    return tuple(usage for usage in found if usage is not None)


def _ended_usage(instance: Instance, spot: SpotStatus | None) -> Usage | None:
    stopped = instance.is_orchestrator and instance.state in {State.STOPPING, State.STOPPED}
    ended = instance.terminated_at or (spot.updated_at if spot else None)
    if stopped or ended is None:
        return None
    usage, _ = _usage_of_instance(replace(instance, terminated_at=ended), None, None, now=ended)
    if spot is not None and spot.code in _INTERRUPTED:
        return replace(usage, interrupted=True, reason=spot.code)
    return usage


def _usage_of_instance(
    instance: Instance, request: SpotRequest | None, logged: LoggedInstance | None, *, now: datetime
) -> tuple[Usage, bool]:
    """A usage, and whether its end is known. AWS lists terminated instances for an hour: without a time it ended just now."""
    ended = instance.terminated_at or _end(request) or (logged.ended_at if logged else None)
    over = not instance.alive
    usage = Usage(
        id=instance.id,
        region=instance.region,
        zone=instance.zone,
        type=instance.type,
        started_at=instance.launched_at,
        ended_at=(ended or now) if over else None,
        spot=instance.lifecycle == "spot",
        interrupted=_end_reason(instance, None).startswith(_INTERRUPTED_REASON) or _was_interrupted(request),
        address=over or instance.public_ip is not None,
        orchestrator=instance.is_orchestrator,
        reason=_end_reason(instance, request),
    )
    return usage, not over or ended is not None


def _end_reason(instance: Instance, request: SpotRequest | None) -> str:
    """The request's code of an interruption has its cause; otherwise the state reason is more precise."""
    if request is not None and _was_interrupted(request):
        return request.status
    return (instance.termination_reason or "") if not instance.alive else ""


def more_precise_reason(first: str, second: str) -> str:
    """Of two codes for one end, a spot request's code of an interruption, otherwise the first that is known."""
    interruptions = _INTERRUPTED.intersection((first, second))
    return next(iter(interruptions)) if len(interruptions) == 1 else first or second


def _usage_of_request(
    instance_id: str, request: SpotRequest, logged: LoggedInstance | None
) -> tuple[Usage, bool]:
    """An instance that AWS no longer lists, but its request."""
    ended = _end(request) or (logged.ended_at if logged else None)
    last = logged.seen_at if logged else request.updated_at or request.created_at
    usage = Usage(
        id=instance_id,
        region=request.region,
        zone=request.zone,
        type=request.type,
        started_at=request.created_at,
        ended_at=ended or last,
        interrupted=_was_interrupted(request),
        reason=request.status if _end(request) else logged.reason if logged else "",
    )
    return usage, ended is not None


def _usage_of_log(logged: LoggedInstance) -> tuple[Usage, bool]:
    usage = Usage(
        id=logged.id,
        region=logged.region,
        zone=logged.zone,
        type=logged.type,
        started_at=logged.started_at,
        ended_at=logged.ended_at or logged.seen_at,
        spot=not logged.orchestrator,
        interrupted=logged.interrupted,
        orchestrator=logged.orchestrator,
        reason=logged.reason,
    )
    return usage, logged.ended_at is not None


def _end(request: SpotRequest | None) -> datetime | None:
    return request.updated_at if request and request.status.startswith(_TERMINATED) else None


def _was_interrupted(request: SpotRequest | None) -> bool:
    return request is not None and request.status in _INTERRUPTED


def _gib_by_instance(volumes: Sequence[Resource]) -> dict[str, int]:
    """The volume size of each instance in GiB."""
    sizes: dict[str, int] = {}
    for volume in volumes:
        for holder in volume.used_by:
            sizes[holder] = sizes.get(holder, 0) + volume.size_gib
    return sizes


def _detached_volumes(volumes: Sequence[Resource], instance_ids: Container[str]) -> list[Usage]:
    """Volumes that are attached to no instance of the cluster: they cost money while they exist."""
    return [
        Usage(
            id=resource.id,
            region=resource.region,
            zone=resource.zone,
            type="",
            started_at=resource.created_at,
            volume_gib=resource.size_gib,
            address=False,
        )
        for resource in volumes
        if resource.created_at is not None and not any(holder in instance_ids for holder in resource.used_by)
    ]
