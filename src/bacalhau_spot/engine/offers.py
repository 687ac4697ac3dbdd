"""What the regions have to offer, and what speaks for and against them: all regions at once, a few calls each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.model import Pool, PricePoint
from bacalhau_spot.core.offers import (
    TYPES_FOR_A_SCORE,
    Known,
    Offers,
    Seen,
    fits,
    pool_offers,
    ranked,
    region_offer,
)
from bacalhau_spot.engine.calls import problem_of
from bacalhau_spot.engine.market import Types, matching_types
from bacalhau_spot.engine.memory import Forgetful
from bacalhau_spot.engine.observe import everywhere
from bacalhau_spot.engine.ranking import headrooms, placement_scores

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from bacalhau_spot.core.model import Requirements, TypeInfo
    from bacalhau_spot.core.receipt import Problem
    from bacalhau_spot.engine.calls import Calls
    from bacalhau_spot.engine.memory import Memory

T = TypeVar("T")
Rates = dict[str, dict[str, int]]

_WEEK = timedelta(days=7)
_RATES = "interruption-rates"
_RATES_FRESH = timedelta(days=1)  # AWS renews the file about once a day


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: types by name, or by what they must offer, or both. `nodes`: how many one region is to take."""

    types: tuple[str, ...] = ()
    requirements: Requirements | None = None
    nodes: int = 1


@dataclass(slots=True)
class _Look:
    """A look under way."""

    calls: Calls
    wanted: Wanted
    account: str
    memory: Memory = field(default_factory=Forgetful)
    silent: list[Problem] = field(default_factory=list)

    async def quietly(self, part: Awaitable[T], otherwise: T) -> T:
        """The answer can do without this part: a refusal is noted."""
        try:
            return await part
        except CloudError as error:
            self.silent.append(problem_of(error))
            return otherwise


async def all_offers(
    calls: Calls,
    wanted: Wanted,
    *,
    regions: Sequence[str],
    account: str,
    memory: Memory,
    rates: Callable[[], Awaitable[Rates | None]],
) -> Offers:
    """Everything about all pools and regions. Raises CloudError only when no region can be looked into for one reason."""
    look = _Look(calls, wanted, account, memory)
    types, infos, unseen = await _what_there_is(look, regions)
    answers, on_demand, scores, interruptions = await asyncio.gather(
        everywhere(list(types), lambda region: _seen(look, region, types[region].names, infos, span=_WEEK)),
        look.quietly(calls.read("", partial(calls.cloud.on_demand_prices, list(types), sorted(infos))), {}),
        _scores(look, types),
        _interruptions(memory, rates),
    )
    seen, blind = answers
    known = Known(infos, on_demand, interruptions, scores)
    pools = {region: pool_offers(one, known) for region, one in seen.items()}
    return Offers(
        nodes=wanted.nodes,
        pools=tuple(offer for found in pools.values() for offer in found),
        regions=ranked(
            (region_offer(one, known, pools[region]) for region, one in seen.items() if pools[region]),
            nodes=wanted.nodes,
        ),
        looked_into=tuple(seen),
        unseen=(*unseen, *blind),
        silent=tuple(look.silent),
        remarks=_remarks(types, rates_known=bool(interruptions)),
    )


async def region_offers(
    calls: Calls, wanted: Wanted, *, regions: Sequence[str], account: str, memory: Memory
) -> Offers:
    """Only what regions are chosen by: prices now, room, scores. Three calls a region and two for all. Raises as above."""
    look = _Look(calls, wanted, account, memory)
    types, infos, unseen = await _what_there_is(look, regions)
    (seen, blind), scores = await asyncio.gather(
        everywhere(list(types), lambda region: _seen(look, region, types[region].names, infos, span=None)),
        _scores(look, types),
    )
    known = Known(infos, scores=scores)
    return Offers(
        nodes=wanted.nodes,
        regions=ranked(
            (region_offer(one, known, pool_offers(one, known)) for one in seen.values()), nodes=wanted.nodes
        ),
        looked_into=tuple(seen),
        unseen=(*unseen, *blind),
        silent=tuple(look.silent),
    )


async def _what_there_is(
    look: _Look, regions: Sequence[str]
) -> tuple[dict[str, Types], dict[str, TypeInfo], tuple[Problem, ...]]:
    """The acceptable types of each region that told of them, what each type is, and the regions that told nothing."""
    types, unseen = await everywhere(regions, partial(_types, look))
    infos, blind = await _infos(look, types)
    dark = {one.region for one in blind}
    seen = {region: here for region, here in types.items() if region not in dark}
    return seen, infos, (*unseen, *blind)


async def _types(look: _Look, region: str) -> Types:
    """Named ones as they are; of those that meet the requirements the cheapest, because AWS names hundreds."""
    calls, wanted = look.calls, look.wanted
    if wanted.types or wanted.requirements is None:
        return Types(wanted.types, wanted.types)
    return await matching_types(calls, wanted.requirements, region)


async def _infos(look: _Look, types: Mapping[str, Types]) -> tuple[dict[str, TypeInfo], tuple[Problem, ...]]:
    """A type is the same everywhere: one region is asked, and the others for what that one lacks. Misfits are left out.

    And the regions that would not tell of their types, where no other told of any of them.
    """
    names = {name for here in types.values() for name in here.names}
    infos: dict[str, TypeInfo] = {}
    refused: list[Problem] = []
    order = list(types)
    for regions in (order[:1], order[1:]):
        missing = sorted(names - set(infos))
        if missing:
            found, problems = await everywhere(regions, partial(_described, look, missing))
            infos.update({info.name: info for here in found.values() for info in here})
            refused += problems
    blind = tuple(one for one in refused if not set(types[one.region].names) & set(infos))
    requirements = look.wanted.requirements
    if requirements is None:
        return infos, blind
    return {name: info for name, info in infos.items() if fits(info, requirements)}, blind


async def _described(look: _Look, names: Sequence[str], region: str) -> tuple[TypeInfo, ...]:
    return await look.calls.read(region, partial(look.calls.cloud.types, region, names))


async def _seen(
    look: _Look, region: str, names: Iterable[str], infos: Mapping[str, TypeInfo], *, span: timedelta | None
) -> Seen:
    """With a `span` the price changes of so long and every pool; without, the prices now and the pools that have one."""
    here = {name: infos[name] for name in names if name in infos}
    if not here:
        return Seen(region)
    pools, history, room = await asyncio.gather(
        _pools(look, region, sorted(here)) if span else _none(),
        _history(look, region, sorted(here), span=span or timedelta(0)),
        look.quietly(headrooms(look.calls, region, here), {}),
    )
    priced = {(point.type, point.zone) for point in history}
    found = tuple(Pool(type=name, zone=zone) for name, zone in (pools if span else sorted(priced)))
    return Seen(region, found, history, room)


async def _none() -> tuple[tuple[str, str], ...]:
    return ()


async def _pools(look: _Look, region: str, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return await look.calls.read(region, partial(look.calls.cloud.pools, region, names))


async def _history(
    look: _Look, region: str, names: Sequence[str], *, span: timedelta
) -> tuple[PricePoint, ...]:
    now = look.calls.clock.now()
    return await look.calls.read(
        region, partial(look.calls.cloud.spot_history, region, names, since=now - span, until=now)
    )


async def _scores(look: _Look, types: Mapping[str, Types]) -> dict[str, int]:
    found = await placement_scores(
        look.calls,
        look.memory,
        account=look.account,
        types=_every(types),
        nodes=look.wanted.nodes,
        regions=list(types),
    )
    if found.problem is not None:
        look.silent.append(found.problem)
    return dict(found.by_region)


def _every(types: Mapping[str, Types]) -> set[str]:
    return {name for here in types.values() for name in here.all_of_them}


async def _interruptions(
    memory: Memory, rates: Callable[[], Awaitable[Rates | None]]
) -> dict[tuple[str, str], int]:
    """Empty when they cannot be found out."""
    found: Rates | None = memory.recall(_RATES, "linux", max_age=_RATES_FRESH)
    if found is None:
        found = await rates()
        if found is not None:
            memory.keep(_RATES, "linux", found)
    return {(region, name): band for region, here in (found or {}).items() for name, band in here.items()}


def _remarks(types: Mapping[str, Types], *, rates_known: bool) -> tuple[str, ...]:
    remarks = []
    if 0 < len(_every(types)) < TYPES_FOR_A_SCORE:
        remarks.append(f"no placement scores: AWS scores {TYPES_FOR_A_SCORE} instance types or more")
    if not rates_known:
        remarks.append("no interruption rates: AWS's public file of them could not be read")
    return tuple(remarks)
