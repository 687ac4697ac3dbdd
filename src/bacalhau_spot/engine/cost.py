"""What a cluster has cost: its lives, from AWS and the audit log, and the prices that were in force meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from bacalhau_spot.core.cost import PriceSteps, Window, charge
from bacalhau_spot.core.cost_report import CostReport
from bacalhau_spot.core.lives import Seen, lives_of
from bacalhau_spot.core.tags import cluster_scope
from bacalhau_spot.core.teardown import Kind
from bacalhau_spot.engine.observe import check_permitted, everywhere
from bacalhau_spot.engine.prices import HISTORY_DAYS, history, rates

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bacalhau_spot.core.cost import Life
    from bacalhau_spot.core.lives import Lives, Sighting
    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.core.receipt import Problem
    from bacalhau_spot.engine.calls import Calls

_OF_INTEREST = frozenset({Kind.INSTANCE, Kind.SPOT_REQUEST, Kind.VOLUME})


@dataclass(frozen=True, slots=True)
class Lived:
    """What has lived. `asked`: those lives of which something was in the window; `log`: whether an audit log knew of any."""

    cluster: str
    window: Window
    lives: Lives
    asked: tuple[Life, ...]
    looked_into: tuple[str, ...]
    unseen: tuple[Problem, ...]
    log: bool


async def lived(
    calls: Calls,
    naming: Naming,
    *,
    regions: Sequence[str],
    sightings: Sequence[Sighting] = (),
    root_volume_gib: int,
    since: datetime | None = None,
) -> Lived:
    """Look into all `regions`. Raises CloudError when the credentials are refused."""
    answers, unseen = await everywhere(regions, lambda region: _look(calls, naming, region))
    check_permitted(answers, unseen)
    window = Window(now=calls.clock.now().replace(microsecond=0), since=since)
    seen = Seen(
        instances=tuple(one for found in answers.values() for one in found.instances),
        requests=tuple(one for found in answers.values() for one in found.requests),
        volumes=tuple(one for found in answers.values() for one in found.volumes),
    )
    lives = lives_of(seen, sightings, root_volume_gib=root_volume_gib, now=window.now)
    asked = tuple(life for life in lives.lives if since is None or life.end(window.now) >= since)
    return Lived(naming.tag_value, window, lives, asked, tuple(answers), unseen, log=bool(sightings))


async def cost(calls: Calls, found: Lived) -> CostReport:
    """Price what has lived. What AWS will not tell of prices is in the report. Raises nothing."""
    window, priced = found.window, [life for life in found.asked if life.type]
    (points, silent), (lists, refused) = await asyncio.gather(
        history(calls, _pools(priced), since=_begins(priced, window), now=window.now),
        rates(
            calls,
            regions=sorted({life.region for life in found.asked}),
            types=sorted({life.type for life in priced}),
        ),
    )
    steps = PriceSteps(points)
    return CostReport(
        cluster=found.cluster,
        window=window,
        charges=tuple(charge(life, steps, lists, window) for life in found.asked),
        lives=found.lives,
        looked_into=found.looked_into,
        unseen=found.unseen,
        unpriced=silent,
        unlisted=refused,
        log=found.log,
    )


async def _look(calls: Calls, naming: Naming, region: str) -> Seen:
    """One call where there is nothing of the cluster, four elsewhere."""
    key, value, scope = naming.tag_key, naming.tag_value, cluster_scope(naming)
    tagged = await calls.read(region, lambda: calls.cloud.tagged(region, scope))
    if not any(one.kind in _OF_INTEREST for one in tagged):
        return Seen()
    instances, requests, volumes = await asyncio.gather(
        calls.read(region, lambda: calls.cloud.instances(region, key=key, value=value)),
        calls.read(region, lambda: calls.cloud.spot_requests(region, key=key, value=value)),
        calls.read(region, lambda: calls.cloud.find(region, Kind.VOLUME, scope)),
    )
    return Seen(instances=instances, requests=requests, volumes=volumes)


def _pools(lives: Sequence[Life]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for life in lives:
        if life.spot:
            found.setdefault(life.region, []).append((life.type, life.zone))
    return found


def _begins(lives: Sequence[Life], window: Window) -> dict[str, datetime]:
    """Since when each region's prices matter: the first launch there, or the instance-hour that `since` is in."""
    earliest = window.now - timedelta(days=HISTORY_DAYS)
    if window.since is not None:
        earliest = max(earliest, window.since - timedelta(hours=1))
    found: dict[str, datetime] = {}
    for life in lives:
        found[life.region] = min(found.get(life.region, window.now), life.begun)
    return {region: max(begun, earliest) for region, begun in found.items()}
