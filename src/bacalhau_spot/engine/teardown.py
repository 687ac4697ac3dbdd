"""Tear down: find, delete what waits for nothing, wait, find again, until nothing is found; then look once more.

The verifying look decides, not the calls: "deleted" means that AWS no longer shows it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core import events
from bacalhau_spot.core.model import Resource
from bacalhau_spot.core.receipt import Fate, Outcome, Problem, TeardownReceipt
from bacalhau_spot.core.teardown import ROWS, TABLE, Kind, in_turn, known, leaving, ready
from bacalhau_spot.core.verdict import Action, Fault, judge
from bacalhau_spot.engine.calls import Stopped, problem_of, together
from bacalhau_spot.engine.observe import everywhere

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.engine.calls import Calls

# Between two looks at a region that is still going away.
POLL_S = 1.0
# What was made moments before may not be shown yet; EC2 says "a few seconds" (EC2 API reference, "Eventual consistency").
SETTLE_S = 3.0
# Looks in a row in which nothing moved and nothing was on its way out, after which no further one helps. Instances may take
# minutes to end: they have the deadline.
IDLE_LOOKS = 45

# Kinds that instances bring along and name in their tags.
_FLEET_TAG = "aws:ec2:fleet-id"

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Sight:
    """Everything with the cluster's tag in one region: what we can delete, and what is of a kind we do not know."""

    known: tuple[Resource, ...] = ()
    unknown: tuple[Resource, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.known and not self.unknown


@dataclass(frozen=True, slots=True)
class Sights:
    """All regions. `unseen`: those that could not be looked into, and why."""

    by_region: Mapping[str, Sight] = field(default_factory=dict)
    unseen: tuple[Problem, ...] = ()

    @property
    def known(self) -> tuple[Resource, ...]:
        return tuple(one for sight in self.by_region.values() for one in sight.known)

    @property
    def unknown(self) -> tuple[Resource, ...]:
        return tuple(one for sight in self.by_region.values() for one in sight.unknown)

    @property
    def busy(self) -> tuple[str, ...]:
        """Regions in which there is something to delete."""
        return tuple(region for region, sight in self.by_region.items() if sight.known)


async def look(calls: Calls, naming: Naming, *, regions: Sequence[str], closely: frozenset[str]) -> Sights:
    """Find everything with the cluster's tag. Regions in `closely` are searched kind by kind, whatever the tag index says.

    Raises CloudError only when the credentials are refused everywhere.
    """

    async def one(region: str) -> Sight:
        return await _look_into(calls, naming, region, closely=region in closely)

    sights, unseen = await everywhere(regions, one)
    return Sights(by_region=sights, unseen=unseen)


async def _look_into(calls: Calls, naming: Naming, region: str, *, closely: bool) -> Sight:
    key, value = naming.tag_key, naming.tag_value
    tagged = await calls.read(region, lambda: calls.cloud.tagged(region, key=key, value=value))
    if not tagged and not closely:
        return Sight()
    fleets = [one.id for one in tagged if one.kind == Kind.FLEET]
    resources = await _find_all(calls, naming, region, [row.kind for row in TABLE], fleets=fleets)
    unknown = tuple(
        Resource(kind=one.kind, id=one.id, region=region) for one in tagged if not known(one.kind)
    )
    return Sight(known=resources, unknown=unknown)


async def _find_all(
    calls: Calls, naming: Naming, region: str, kinds: Sequence[Kind], *, fleets: Sequence[str]
) -> tuple[Resource, ...]:
    found = await together(*(_find(calls, naming, region, kind, ids=fleets) for kind in kinds))
    return tuple(one for group in found for one in group)


async def _find(
    calls: Calls, naming: Naming, region: str, kind: Kind, *, ids: Sequence[str]
) -> tuple[Resource, ...]:
    key, value = naming.tag_key, naming.tag_value
    return await calls.read(region, lambda: calls.cloud.find(region, kind, key=key, value=value, ids=ids))


@dataclass
class _Region:
    """One region going away."""

    name: str
    seen: dict[Key, Resource] = field(default_factory=dict)
    left: dict[Key, Resource] = field(default_factory=dict)
    problems: dict[Key, Problem] = field(default_factory=dict)
    asked: set[Key] = field(default_factory=set)
    watched: frozenset[Kind] = frozenset()  # kinds that were looked at when it was their turn already
    trouble: Problem | None = None
    unknown: tuple[Resource, ...] = ()


async def teardown(
    calls: Calls, naming: Naming, *, cluster: str, sights: Sights, closely: frozenset[str], timeout_s: float
) -> TeardownReceipt:
    """Delete what `sights` shows and what appears meanwhile. Never raises for what AWS refuses: the receipt tells it."""
    deadline_s = calls.clock.monotonic_s() + timeout_s
    regions = [_Region(name=name) for name in sights.by_region]

    async def one(region: _Region) -> None:
        sight = sights.by_region[region.name]
        if not sight.empty or region.name in closely:
            await _clear(calls, naming, region, sight, deadline_s=deadline_s)

    await asyncio.gather(*(_guarded(calls, region, partial(one, region)) for region in regions))
    troubles = tuple(region.trouble for region in regions if region.trouble is not None)
    return TeardownReceipt(
        cluster=cluster,
        outcomes=tuple(outcome for region in regions for outcome in _outcomes(region)),
        remaining=tuple(one for region in regions for one in region.left.values()),
        unknown=tuple(one for region in regions for one in region.unknown),
        looked_into=tuple(region.name for region in regions if region.trouble is None),
        unseen=(*sights.unseen, *troubles),
        interrupted=calls.stop.by_user,
    )


async def _guarded(calls: Calls, region: _Region, part: Callable[[], Awaitable[None]]) -> None:
    """The boundary of a region: what goes wrong in one is told in its receipt and stops no other."""
    try:
        await part()
    except CloudError as error:
        region.trouble = problem_of(error)
        calls.emit(
            events.RegionFailed(
                region=region.name, operation=error.operation, code=error.code, message=error.message
            )
        )
        if judge(error.code).fault is Fault.CREDENTIALS:
            calls.stop.set(by_user=False)
    except Stopped:
        pass
    except Exception as error:  # noqa: BLE001 - the boundary of a region: our own mistake here must not stop the others
        region.trouble = calls.mistake(error, region=region.name)


async def _clear(calls: Calls, naming: Naming, region: _Region, first: Sight, *, deadline_s: float) -> None:
    """Until two looks, some seconds apart, show nothing; or nothing moves any more; or the time is over."""
    _note(calls, region, first)
    verified = False
    while not verified:
        if region.left:
            await _delete_until_still(calls, naming, region, deadline_s=deadline_s)
            if region.left:
                return
        await calls.pause(SETTLE_S)
        _note(calls, region, await _look_into(calls, naming, region.name, closely=True))
        verified = not region.left


async def _delete_until_still(calls: Calls, naming: Naming, region: _Region, *, deadline_s: float) -> None:
    idle = 0
    while region.left and idle < IDLE_LOOKS and calls.clock.monotonic_s() < deadline_s:
        before = set(region.left)
        await _delete_ready(calls, region)
        if region.problems:
            # Something depends on what we know that we do not know: made moments ago, it was not shown before.
            region.watched = in_turn(region.left.values())
            _note(calls, region, await _look_into(calls, naming, region.name, closely=True))
        else:
            await _look_again(calls, naming, region)
        still = set(region.left) == before
        idle = idle + 1 if still and not any(leaving(one) for one in region.left.values()) else 0
        if region.left and still:
            calls.emit(events.Waiting(region=region.name, what=_what(region), left=len(region.left)))
            await calls.pause(POLL_S)


async def _look_again(calls: Calls, naming: Naming, region: _Region) -> None:
    """Find again what may have moved: the kinds whose turn it is. What waits behind them is as it was."""
    left = region.left.values()
    region.watched = in_turn(left)
    moving = [row.kind for row in TABLE if row.kind in region.watched]
    fleets = [one.id for one in left if one.kind == Kind.FLEET]
    found = await _find_all(calls, naming, region.name, moving, fleets=fleets)
    waiting = tuple(one for one in left if one.kind not in moving)
    _note(calls, region, Sight(known=(*waiting, *found), unknown=region.unknown))


def _what(region: _Region) -> str:
    kinds = sorted({resource.kind for resource in region.left.values()})
    return f"deleting {kinds[0]}" if len(kinds) == 1 else f"deleting {len(kinds)} kinds"


def _note(calls: Calls, region: _Region, sight: Sight) -> None:
    """Compare a look with what was known before: what is new, what is gone."""
    region.unknown = sight.unknown
    now = {(one.kind, one.id): one for one in sight.known}
    for key, resource in now.items():
        if key not in region.seen:
            calls.emit(events.Found(region=region.name, kind=resource.kind, id=resource.id))
        region.seen[key] = resource
    for kind, resource_id in region.left:
        if (kind, resource_id) not in now:
            calls.emit(events.Deleted(region=region.name, kind=kind, id=resource_id))
    region.left = now


async def _delete_ready(calls: Calls, region: _Region) -> None:
    by_kind: dict[Kind, list[Resource]] = {}
    for resource in ready(region.left.values(), watched=region.watched):
        by_kind.setdefault(Kind(resource.kind), []).append(resource)
    batches = [
        (kind, resources[start : start + ROWS[kind].batch])
        for kind, resources in by_kind.items()
        for start in range(0, len(resources), ROWS[kind].batch)
    ]
    await together(*(_delete(calls, region, kind, batch) for kind, batch in batches))


async def _delete(calls: Calls, region: _Region, kind: Kind, batch: Sequence[Resource]) -> None:
    """One batch. What still depends on something is no failure: its turn comes again with the next look."""
    keys = [(resource.kind, resource.id) for resource in batch]
    region.asked.update(keys)
    try:
        await calls.write(region.name, partial(calls.cloud.delete, region.name, kind, batch), patient=False)
    except CloudError as error:
        if judge(error.code).action is Action.STOP:
            raise
        region.problems.update(dict.fromkeys(keys, problem_of(error)))
    else:
        for key in keys:
            region.problems.pop(key, None)


def _outcomes(region: _Region) -> tuple[Outcome, ...]:
    return tuple(_outcome(region, key, resource) for key, resource in region.seen.items())


def _outcome(region: _Region, key: Key, resource: Resource) -> Outcome:
    if key not in region.left:
        return Outcome(resource=resource, fate=Fate.DELETED if key in region.asked else Fate.GONE)
    problem = region.problems.get(key)
    return Outcome(resource=resource, fate=Fate.FAILED if problem else Fate.LEFT, problem=problem)
