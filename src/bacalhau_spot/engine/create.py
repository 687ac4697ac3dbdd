"""Create, carried out: launch in all regions at once, move what a region cannot take, follow everything to its end."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core import events
from bacalhau_spot.core.model import Market, Spread
from bacalhau_spot.core.plan import misfits, spread_over
from bacalhau_spot.core.pools import pool_shares
from bacalhau_spot.core.receipt import CreateReceipt, PoolRefusal, Problem, RegionReceipt
from bacalhau_spot.core.stake import held_by, most_per_pool
from bacalhau_spot.core.verdict import Action, Fault, judge, worst
from bacalhau_spot.engine.calls import Stopped, problem_of
from bacalhau_spot.engine.consistency import FLEET_TAG
from bacalhau_spot.engine.follow import close_requests, follow
from bacalhau_spot.engine.launch import Site, launch
from bacalhau_spot.engine.market import markets
from bacalhau_spot.engine.secrets import NodeSecrets, node_secrets
from bacalhau_spot.engine.way_out import grounds
from bacalhau_spot.errors import UserError
from bacalhau_spot.instance.user_data import render

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bacalhau_spot.cloud.port import FleetResult
    from bacalhau_spot.core.model import ClusterSpec, Instance
    from bacalhau_spot.engine.calls import Calls
    from bacalhau_spot.engine.prepare import Prepared

# Refusals after which another region may do better.
_ELSEWHERE = frozenset({Fault.CAPACITY, Fault.QUOTA, Fault.PRICE})


@dataclass
class _Work:
    """A create under way. Every region reads and writes only its own entries, but for the moves between them."""

    calls: Calls
    prepared: Prepared
    sites: dict[str, Site] = field(default_factory=dict)
    extra: dict[str, int] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)
    problems: dict[str, Problem] = field(default_factory=dict)
    instances: dict[str, tuple[Instance, ...]] = field(default_factory=dict)
    secrets: NodeSecrets | None = None

    @property
    def spec(self) -> ClusterSpec:
        return self.prepared.spec


async def apply(calls: Calls, prepared: Prepared, *, wait: bool = True) -> CreateReceipt:
    """Carry the plan out. Never raises for what AWS refuses: the receipt tells it, region by region.

    Without `wait` each instance is looked at once; what has not started by then is told as such.
    """
    work = _Work(calls=calls, prepared=prepared, secrets=node_secrets(calls, prepared))
    removed = await _remove(work)
    await _launch_rounds(work)
    await _follow_all(work, timeout_s=prepared.spec.timeouts.fulfilment_s if wait else 0)
    plan = prepared.plan
    regions = dict.fromkeys((*(one.region for one in plan.regions), *work.problems))
    return CreateReceipt(
        cluster=prepared.spec.name,
        wanted=plan.wanted,
        before=plan.existing,
        regions=tuple(_region_receipt(work, region) for region in regions),
        removed=removed,
        kept=tuple(one.id for one in plan.remove if one.id not in removed),
        made=tuple(sorted(Counter(made.kind for made in calls.made).items())),
        interrupted=calls.stop.by_user,
        waited=wait,
        pools=pool_shares(_all_instances(work, gone=removed)),
    )


def _all_instances(work: _Work, *, gone: Sequence[str]) -> list[Instance]:
    """What the cluster is now: those from before and those that were launched, as they were last seen."""
    known = {one.id: one for one in work.prepared.survey.instances if one.id not in gone}
    known |= {one.id: one for instances in work.instances.values() for one in instances}
    return list(known.values())


async def _remove(work: _Work) -> tuple[str, ...]:
    """End what the plan removes."""
    by_region: dict[str, list[str]] = {}
    for instance in work.prepared.plan.remove:
        by_region.setdefault(instance.region, []).append(instance.id)

    async def one(region: str) -> tuple[str, ...]:
        ids = by_region[region]
        done = await _guarded(
            work, region, lambda: work.calls.write(region, lambda: work.calls.cloud.terminate(region, ids))
        )
        return tuple(ids) if done else ()

    ended = await asyncio.gather(*(one(region) for region in by_region))
    return tuple(instance_id for ids in ended for instance_id in ids)


async def _guarded(work: _Work, region: str, part: Callable[[], Awaitable[object]]) -> bool:
    """The boundary of a region: what goes wrong in one is told in its receipt and stops no other."""
    try:
        await part()
    except CloudError as error:
        _failed(work, region, problem_of(error))
    except Stopped:
        pass
    except UserError as error:
        _failed(work, region, Problem(code="Configuration", message=error.what, operation="", region=region))
    except Exception as error:  # noqa: BLE001 - the boundary of a region: our own mistake here must not lose the others' receipts
        _failed(work, region, work.calls.mistake(error, region=region))
    else:
        return True
    return False


def _failed(work: _Work, region: str, problem: Problem) -> None:
    work.problems[region] = problem
    work.calls.emit(
        events.RegionFailed(
            region=region, operation=problem.operation, code=problem.code, message=problem.message
        )
    )
    if judge(problem.code).action is Action.STOP:
        # No other call can survive this one's refusal: begin nothing more anywhere.
        work.calls.stop.set(by_user=False)


async def _launch_rounds(work: _Work) -> None:
    """Launch everywhere at once; what a region cannot take goes to those that could, until none is left to ask."""
    todo = {region.region: region.launch for region in work.prepared.plan.regions if region.launch}
    refused: set[str] = set()
    while todo and not work.calls.stop.is_set:
        short = await _launch_round(work, todo)
        refused |= set(short) | set(work.problems)
        todo = await _move(work, short, refused)


async def _launch_round(work: _Work, todo: dict[str, int]) -> dict[str, int]:
    """How many each region could not take, of those that another region may take."""

    async def one(region: str) -> int:
        count = todo[region]
        work.calls.emit(events.RegionStarted(region=region, asked=count))
        site = _site(work, region)
        before = len(site.results)
        await _guarded(
            work,
            region,
            lambda: launch(
                work.calls,
                work.spec,
                site,
                count=count,
                cidrs=work.prepared.cidrs,
                secrets=work.secrets,
            ),
        )
        launched = sum(len(result.launched) for result in site.results[before:])
        return count - launched

    missing = await asyncio.gather(*(one(region) for region in todo))
    return {
        region: count
        for region, count in zip(todo, missing, strict=True)
        if count and _may_move(work, region)
    }


def _site(work: _Work, region: str) -> Site:
    if region not in work.sites:
        named = {one.name: one for one in work.spec.regions}
        before = [one for one in work.prepared.survey.instances if one.region == region]
        work.sites[region] = Site(
            region=region,
            market=work.prepared.markets[region],
            tagged=work.prepared.survey.tagged.get(region, ()),
            known=frozenset(instance.id for instance in before),
            known_fleets=frozenset(filter(None, (instance.tags.get(FLEET_TAG) for instance in before))),
            vpc_id=named[region].vpc_id,
            subnets=work.prepared.grounds[region].subnets if region in work.prepared.grounds else {},
            user_data=render(work.spec, region=region),
            most_per_pool=most_per_pool(work.spec),
            held=held_by(_kept(work, region)),
        )
    return work.sites[region]


def _kept(work: _Work, region: str) -> list[Instance]:
    """The region's instances from before, without those that the plan ends."""
    going = {one.id for one in work.prepared.plan.remove}
    return [one for one in work.prepared.survey.instances if one.region == region and one.id not in going]


def _may_move(work: _Work, region: str) -> bool:
    """Whether what a region lacks is of a kind that another region may not lack. Configuration and permission never are."""
    if work.spec.spread is Spread.STRICT:
        return False
    codes = [refusal.code for result in work.sites[region].results for refusal in result.refusals]
    if region in work.problems:
        codes.append(work.problems[region].code)
    code = worst(codes)
    return code is None or judge(code).fault in _ELSEWHERE


async def _move(work: _Work, short: dict[str, int], refused: set[str]) -> dict[str, int]:
    """Deal what is short out over the regions that have not refused yet."""
    takers = [region.name for region in work.spec.regions if region.name not in refused]
    if not short or not takers or work.calls.stop.is_set:
        return {}
    unknown = [name for name in takers if name not in work.prepared.markets]
    if unknown:
        found = await _markets_of(work, unknown)
        work.prepared.markets.update(found)
        takers = [name for name in takers if name in work.prepared.markets]
    total = sum(short.values())
    dealt = spread_over(total, dict.fromkeys(takers, total))
    for name, count in dealt.items():
        work.extra[name] = work.extra.get(name, 0) + count
    _tell_moves(work, short, dealt)
    return dealt


async def _markets_of(work: _Work, regions: Sequence[str]) -> dict[str, Market]:
    """The markets of regions that were not to launch anything; those without a usable one are left out."""
    found: dict[str, Market] = {}

    async def one(region: str) -> None:
        found.update(await markets(work.calls, work.spec, regions=[region]))

    await asyncio.gather(*(_guarded(work, region, partial(one, region)) for region in regions))
    fitting = {name: market for name, market in found.items() if not misfits(work.spec, market)}
    for name, market in list(fitting.items()):
        if not await _guarded(work, name, partial(_look_at_ground, work, market)):
            del fitting[name]
    return {name: market for name, market in fitting.items() if not work.prepared.grounds[name].obstacle}


async def _look_at_ground(work: _Work, market: Market) -> None:
    work.prepared.grounds.update(await grounds(work.calls, work.spec, {market.region: market}))


def _tell_moves(work: _Work, short: dict[str, int], dealt: dict[str, int]) -> None:
    """Say which region's nodes go where, first come first served."""
    rooms = dict(dealt)
    for region, count in short.items():
        if not rooms:
            return
        to: dict[str, int] = {}
        left = count
        for name in list(rooms):
            taken = min(left, rooms[name])
            if taken:
                to[name] = taken
            left -= taken
            rooms[name] -= taken
            if rooms[name] == 0:
                del rooms[name]
        moved = count - left
        if moved:
            work.moved[region] = work.moved.get(region, 0) + moved
            code = worst(_codes(work, region)) or "UnfulfillableCapacity"
            work.calls.emit(events.Moved(region=region, count=moved, to=tuple(to.items()), code=code))


def _codes(work: _Work, region: str) -> list[str]:
    codes = [refusal.code for result in work.sites[region].results for refusal in result.refusals]
    return codes + ([work.problems[region].code] if region in work.problems else [])


async def _follow_all(work: _Work, *, timeout_s: int) -> None:
    deadline_s = work.calls.clock.monotonic_s() + timeout_s

    async def one(region: str, site: Site) -> None:
        ids = [launched.id for result in site.results for launched in result.launched]
        if ids:
            work.instances[region] = await follow(
                work.calls, work.spec.naming, region=region, ids=ids, deadline_s=deadline_s
            )
        if len(work.instances.get(region, ())) < sum(len(result.launched) for result in site.results):
            await close_requests(work.calls, work.spec.naming, region=region)

    await asyncio.gather(
        *(_guarded(work, region, partial(one, region, site)) for region, site in work.sites.items())
    )


def _region_receipt(work: _Work, region: str) -> RegionReceipt:
    launch = next((one.launch for one in work.prepared.plan.regions if one.region == region), 0)
    site = work.sites.get(region)
    results = site.results if site else []
    return RegionReceipt(
        region=region,
        asked=launch,
        extra=work.extra.get(region, 0),
        moved_away=work.moved.get(region, 0),
        launched=tuple(launched.id for result in results for launched in result.launched),
        instances=work.instances.get(region, ()),
        refusals=tuple(
            PoolRefusal(type=one.type, zone=one.zone, code=one.code, message=one.message)
            for result in results
            for one in result.refusals
        ),
        problem=work.problems.get(region) or _not_allowed(region, results),
    )


def _not_allowed(region: str, results: Sequence[FleetResult]) -> Problem | None:
    """A fleet tells what its caller may not do beside what it had no capacity for; no other pool or region can mend that."""
    refusals = [one for result in results for one in result.refusals]
    code = worst(refusal.code for refusal in refusals)
    if code is None or judge(code).fault not in {Fault.CREDENTIALS, Fault.PERMISSION}:
        return None
    refusal = next(one for one in refusals if one.code == code)
    return Problem(code=code, message=refusal.message, operation="CreateFleet", region=region)
