"""Spot placement scores: how likely a request is to be granted, per region or zone.

AWS: EC2 API Reference, GetSpotPlacementScores; EC2 User Guide, "Spot placement score": 1 to 10; the best ten; low for
fewer than three types that differ by more than local disks; a limit on new requests in 24 hours, within which earlier
ones may be repeated.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import catalog, paging, prices
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aws_spot_sandbox.ec2.region import Answer, Args, Region

DAY_S = 86400
_FEW, _LOW = 3, 3
_BEST, _LEAST = 10, 1
_DISKS = re.compile(r"^([a-z]+\d[a-z]*?)d([a-z]*\.)")  # m5d.large is a variation of m5.large
_LIMIT = (
    "You have exceeded your maximum allowed Spot placement configurations. You can retry configurations that you used "
    "within the last 24 hours, or wait for 24 hours before specifying a new configuration."
)


def scores(region: Region, args: Args) -> Answer:
    names = _types(region, args)
    regions = _regions(region, args.get("RegionNames"))
    target = _instances(names, int(args.get("TargetCapacity") or 0), args.get("TargetCapacityUnitType"))
    _count(region, args)
    rows = [
        row
        for name in regions
        for row in (_zones if args.get("SingleAvailabilityZone") else _regional)(region, name, names, target)
    ]
    rows.sort(key=lambda row: (-row["Score"], row["Region"], row.get("AvailabilityZoneId", "")))
    shown, token = paging.page(rows[:_BEST], args, smallest=10)
    return {"SpotPlacementScores": shown, "NextToken": token}


def _types(region: Region, args: Args) -> list[str]:
    names, wanted = args.get("InstanceTypes"), args.get("InstanceRequirementsWithMetadata")
    if bool(names) == bool(wanted):
        raise AwsError(
            "InvalidParameterCombination" if names else "MissingParameter",
            "Specify either InstanceTypes or InstanceRequirementsWithMetadata.",
        )
    if wanted:
        return catalog.matching(region, wanted.get("InstanceRequirements") or {}, wanted)
    unknown = sorted(name for name in names or () if catalog.type_info(name) is None)
    if unknown:
        raise AwsError("InvalidParameterValue", f"Invalid instance types: {', '.join(unknown)}")
    return sorted(set(names or ()))


def _regions(region: Region, names: Sequence[str] | None) -> list[str]:
    enabled = {*ENABLED_BY_DEFAULT, *region.world.settings.opted_in}
    if names and len(names) > _BEST:
        raise AwsError("InvalidParameterValue", f"You can specify at most {_BEST} Regions.")
    for name in names or ():
        if name not in enabled:
            raise AwsError("InvalidParameterValue", f"The Region {name} is not valid or not enabled.")
    return sorted(names or enabled)


def _instances(names: Sequence[str], target: int, unit: str | None) -> int:
    """The target as a number of instances of the average size."""
    if target < 1:
        raise AwsError("InvalidParameterValue", "TargetCapacity must be at least 1.")
    sizes = {"vcpu": catalog.vcpus, "memory-mib": catalog.memory_mib}
    if unit not in sizes or not names:
        return target
    return max(1, math.ceil(target * len(names) / sum(map(sizes[unit], names))))


def _count(region: Region, args: Args) -> None:
    """New requests of the last 24 hours count across all regions; a repeated one does not count."""
    row = {key: value for key, value in args.items() if key not in {"NextToken", "MaxResults", "DryRun"}}
    question, now = json.dumps(row, sort_keys=True, default=str), region.now()
    known = region.world.placement_questions
    for old in [configuration for configuration, since in known.items() if now - since >= DAY_S]:
        del known[old]
    if question not in known:
        if len(known) >= region.world.settings.placement_configurations:
            raise AwsError("MaxConfigLimitExceeded", _LIMIT)
        known[question] = now


def _regional(region: Region, name: str, types: Sequence[str], target: int) -> Iterable[dict[str, Any]]:
    """A region's score: slightly above its best zone's, if all zones together have the capacity."""
    pools = catalog.pools_of(region, name)
    best = max((_preference(zone, types, offered) for zone, offered in pools.items()), default=0.0)
    room = sum(_room(region, zone, types, offered) for zone, offered in pools.items())
    limit = region.world.settings.capacity.get(name, math.inf)
    yield {"Region": name, "Score": _score(best + 0.1, types, target, min(room, limit))}


def _zones(region: Region, name: str, types: Sequence[str], target: int) -> Iterable[dict[str, Any]]:
    ids = {zone.name: zone.zone_id for zone in region.backend.zones.get(name, [])}
    limit = region.world.settings.capacity.get(name, math.inf)
    for zone, offered in catalog.pools_of(region, name).items():
        room = min(limit, _room(region, zone, types, offered))
        score = _score(_preference(zone, types, offered), types, target, room)
        yield {"Region": name, "AvailabilityZoneId": ids[zone], "Score": score}


def _preference(zone: str, types: Sequence[str], offered: set[str]) -> float:
    """A constant from 0 to 1: the share of the types that the zone offers, and its availability of them."""
    chances = [prices.chance("placement", zone, name) for name in types if name in offered]
    return (sum(chances) / len(types) + max(chances)) / 2 if chances else 0.0


def _room(region: Region, zone: str, types: Sequence[str], offered: set[str]) -> float:
    """The number of instances that the switch `capacity` allows; running instances are not subtracted."""
    limits = region.world.settings.capacity
    places = [
        limits.get(f"{zone}/{type_name}", limits.get(zone, math.inf))
        for type_name in types
        if type_name in offered
    ]
    pools_limited = all(f"{zone}/{type_name}" in limits for type_name in types if type_name in offered)
    if not places:
        return 0
    return sum(places) if pools_limited else max(places)


def _score(preference: float, types: Sequence[str], target: int, room: float) -> int:
    score = _LEAST + preference * (_BEST - _LEAST)
    score -= max(0.0, math.log10(target / 100)) * 2  # large targets score lower
    score *= min(1.0, room / target)
    if len({_DISKS.sub(r"\1\2", name) for name in types}) < _FEW:
        score = min(score, _LOW)
    return max(_LEAST, min(_BEST, round(score)))
