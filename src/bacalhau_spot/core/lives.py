"""From what AWS still shows and what this machine's audit log noted: the lives of a cluster's instances.

Rules:
1. AWS's word about an instance goes before its spot request's, and that before the audit log's.
2. AWS lists an ended instance for about an hour, and its spot request for about four (EC2 API reference,
   DescribeInstances and DescribeSpotInstanceRequests). What it has forgotten is known to the audit log or to nobody.
3. An instance whose end nobody noted counts until it was last seen, and is told.
4. A volume that is gone is taken to have been as large as the configuration's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bacalhau_spot.core.cost import Life

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence
    from datetime import datetime

    from bacalhau_spot.core.evidence import SpotStatus
    from bacalhau_spot.core.model import Instance, Resource, SpotRequest

# AWS's codes when EC2 itself takes a spot instance back (EC2 user guide, "Spot request status"; EC2 API, StateReason).
_TAKEN_BACK = frozenset(
    {
        "instance-terminated-by-price",
        "instance-terminated-no-capacity",
        "instance-terminated-capacity-oversubscribed",
        "instance-terminated-launch-group-constraint",
    }
)
_TAKEN_BACK_REASON = "Server.Spot"
_TERMINATED = "instance-terminated-"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the audit log of this machine knows of an instance. `ended` None: nobody noted that it ended."""

    id: str
    region: str
    zone: str
    type: str
    begun: datetime
    seen: datetime
    ended: datetime | None = None
    taken_back: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What AWS shows of a cluster's instances."""

    instances: tuple[Instance, ...] = ()
    requests: tuple[SpotRequest, ...] = ()
    volumes: tuple[Resource, ...] = ()


@dataclass(frozen=True, slots=True)
class Lives:
    """`unknown_ends`: ids of instances whose end is not known. `assumed_volumes`: how many ended with volumes of unknown size."""

    lives: tuple[Life, ...] = ()
    unknown_ends: tuple[str, ...] = ()
    assumed_volumes: int = 0
    noted: int = 0  # lives that only the audit log knows


def lives_of(seen: Seen, sightings: Iterable[Sighting], *, root_volume_gib: int, now: datetime) -> Lives:
    """Every life that is known, by region and id."""
    noted = {one.id: one for one in sightings}
    requests = {one.instance_id: one for one in seen.requests if one.instance_id}
    found = {
        one.id: _of_instance(one, requests.get(one.id), noted.get(one.id), now=now) for one in seen.instances
    }
    for instance_id, request in requests.items():
        if instance_id not in found:
            found[instance_id] = _of_request(instance_id, request, noted.get(instance_id))
    only_noted = [one for one in noted.values() if one.id not in found]
    found |= {one.id: _of_sighting(one) for one in only_noted}
    sizes = _sizes(seen.volumes)
    instances = [replace(life, volume_gib=sizes.get(life.id, root_volume_gib)) for life, _ in found.values()]
    lives = (*instances, *_loose(seen.volumes, found))
    return Lives(
        lives=tuple(sorted(lives, key=lambda life: (life.region, life.begun, life.id))),
        unknown_ends=tuple(sorted(life.id for life, known in found.values() if not known)),
        assumed_volumes=sum(life.id not in sizes for life in instances),
        noted=len(only_noted),
    )


def ended_lives(instances: Iterable[Instance], spots: Iterable[SpotStatus] = ()) -> tuple[Life, ...]:
    """Those that are over and of which AWS says when they ended, itself or by their spot requests."""
    lives: list[Life] = []
    told = {spot.instance_id: spot.since for spot in spots if spot.code.startswith(_TERMINATED)}
    for one in instances:
        ended = one.ended_at or told.get(one.id)
        if not one.alive and ended is not None:
            life, _ = _of_instance(replace(one, ended_at=ended), None, None, now=ended)
            lives.append(life)
    return tuple(lives)


def _of_instance(
    one: Instance, request: SpotRequest | None, noted: Sighting | None, *, now: datetime
) -> tuple[Life, bool]:
    """A life, and whether its end is known. AWS lists ended instances for an hour: without a time it ended just now."""
    ended = one.ended_at or _end(request) or (noted.ended if noted else None)
    over = not one.alive
    life = Life(
        id=one.id,
        region=one.region,
        zone=one.zone,
        type=one.type,
        begun=one.launched_at,
        ended=(ended or now) if over else None,
        spot=one.lifecycle == "spot",
        taken_back=(one.why_ended or "").startswith(_TAKEN_BACK_REASON) or _taken_back(request),
        address=over or one.public_ip is not None,
    )
    return life, not over or ended is not None


def _of_request(instance_id: str, request: SpotRequest, noted: Sighting | None) -> tuple[Life, bool]:
    """An instance that AWS no longer lists, but its request."""
    ended = _end(request) or (noted.ended if noted else None)
    last = noted.seen if noted else request.updated_at or request.created_at
    life = Life(
        id=instance_id,
        region=request.region,
        zone=request.zone,
        type=request.type,
        begun=request.created_at,
        ended=ended or last,
        taken_back=_taken_back(request),
    )
    return life, ended is not None


def _of_sighting(noted: Sighting) -> tuple[Life, bool]:
    life = Life(
        id=noted.id,
        region=noted.region,
        zone=noted.zone,
        type=noted.type,
        begun=noted.begun,
        ended=noted.ended or noted.seen,
        taken_back=noted.taken_back,
    )
    return life, noted.ended is not None


def _end(request: SpotRequest | None) -> datetime | None:
    return request.updated_at if request and request.status.startswith(_TERMINATED) else None


def _taken_back(request: SpotRequest | None) -> bool:
    return request is not None and request.status in _TAKEN_BACK


def _sizes(volumes: Sequence[Resource]) -> dict[str, int]:
    """How many GiB each instance holds."""
    sizes: dict[str, int] = {}
    for volume in volumes:
        for holder in volume.holders:
            sizes[holder] = sizes.get(holder, 0) + volume.size_gib
    return sizes


def _loose(volumes: Sequence[Resource], found: Container[str]) -> list[Life]:
    """Volumes that no instance of the cluster holds: they cost as long as they are there."""
    return [
        Life(
            id=one.id,
            region=one.region,
            zone=one.zone,
            type="",
            begun=one.created_at,
            volume_gib=one.size_gib,
            address=False,
        )
        for one in volumes
        if one.created_at is not None and not any(holder in found for holder in one.holders)
    ]
