"""The free capacity of the account's quotas, and AWS's placement scores."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.placement_scores import MOST_SCORED_REGIONS
from bacalhau_spot.core.placement.offers import TYPES_FOR_A_SCORE, fill_missing_scores, round_up_target
from bacalhau_spot.core.placement.quotas import SERVICE, Headroom, quotas_of, used_vcpus
from bacalhau_spot.engine.aws_calls.caller import api_failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bacalhau_spot.core.model import TypeInfo
    from bacalhau_spot.core.placement.quotas import SpotQuota
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.cache import Cache
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

# A short timeout: Service Quotas is throttled early, and everything else works without it (dstack#2777).
QUOTA_WAIT_S = 10.0
_WHAT = "placement-scores"
_MAX_AGE = timedelta(minutes=30)
# If AWS refuses a new query, an answer from the last 24 hours is better than none.
_STALE = timedelta(hours=24)


async def headrooms(calls: AwsCalls, region: str, infos: Mapping[str, TypeInfo]) -> dict[str, Headroom]:
    """The quotas that count these types, by code, as far as the region has them. Two or three calls. Raises CloudError."""
    quotas = quotas_of(infos)
    limits, in_use = await asyncio.gather(
        asyncio.gather(*(_limit(calls, region, quota) for quota in quotas)),
        calls.read(region, partial(calls.cloud.spot_in_use, region)),
    )
    vcpus = {name: info.vcpus for name, info in infos.items()}
    others = sorted(set(in_use) - set(vcpus))
    if others:
        type_infos = await calls.read(region, partial(calls.cloud.types, region, others))
        vcpus |= {info.name: info.vcpus for info in type_infos}
    used = used_vcpus(in_use, vcpus)
    return {
        quota.code: Headroom(quota, vcpus=limit, used=used.get(quota.code, 0))
        for quota, limit in zip(quotas, limits, strict=True)
        if limit is not None
    }


async def _limit(calls: AwsCalls, region: str, quota: SpotQuota) -> int | None:
    look = partial(calls.cloud.quota, region, service=SERVICE, code=quota.code)
    return await calls.read(region, look, within_s=QUOTA_WAIT_S)


@dataclass(frozen=True, slots=True)
class Scores:
    """Placement scores by region. `problem`: why AWS refused; the scores are then at most 24 hours old, or missing."""

    by_region: Mapping[str, int] = field(default_factory=dict)
    problem: ApiFailure | None = None


async def placement_scores(
    calls: AwsCalls, cache: Cache, *, account: str, types: Iterable[str], nodes: int, regions: Sequence[str]
) -> Scores:
    """One call for all regions, and none if the cache has a recent answer. Never raises for a refusal by AWS."""
    names = sorted(set(types))
    if len(names) < TYPES_FOR_A_SCORE:
        return Scores()
    # Above the limit of regions in a request, AWS scores all regions and returns the best.
    named = sorted(regions) if len(regions) <= MOST_SCORED_REGIONS else []
    target = round_up_target(nodes)
    key = _key(account, names, named, target)
    fresh = _remembered(cache, key, max_age=_MAX_AGE)
    if fresh is not None:
        return Scores(fill_missing_scores(fresh, regions))
    try:
        scores = await calls.read(
            "", partial(calls.cloud.placement_scores, names, target=target, regions=named)
        )
    except CloudError as error:
        old = _remembered(cache, key, max_age=_STALE) or {}
        return Scores(fill_missing_scores(old, regions), api_failure(error))
    cache.put(_WHAT, key, scores)
    return Scores(fill_missing_scores(scores, regions))


def _remembered(cache: Cache, key: str, *, max_age: timedelta) -> dict[str, int] | None:
    """None also for a file that somebody has edited."""
    found = cache.get(_WHAT, key, max_age=max_age)
    if isinstance(found, dict) and all(type(score) is int for score in found.values()):
        return found
    return None


def _key(account: str, types: Sequence[str], regions: Sequence[str], target: int) -> str:
    question = json.dumps([account, list(types), list(regions), target])
    return hashlib.sha256(question.encode()).hexdigest()
