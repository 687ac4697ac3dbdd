"""Everything that carries our tag, everywhere: what `nuke` runs, and what may be called without a command line."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.receipt import TeardownReceipt
from bacalhau_spot.core.teardown import Kind
from bacalhau_spot.engine.calls import problem_of, together
from bacalhau_spot.engine.prices import pool_prices
from bacalhau_spot.engine.sights import Search, look
from bacalhau_spot.engine.teardown import teardown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bacalhau_spot.core.list_prices import Prices
    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.core.receipt import Blocker, Problem
    from bacalhau_spot.engine.calls import Calls
    from bacalhau_spot.engine.place import Terms
    from bacalhau_spot.engine.sights import Sights

# As long as instances and NAT gateways take to end, with all that waits for them; doubled.
TIMEOUT_S = 1800.0


async def nuke_resources(
    regions: Sequence[str],
    force: bool = False,  # noqa: FBT001, FBT002 - the signature that its users know
    *,
    calls: Calls,
    search: Search,
    agree: Callable[[Sights], bool] | None = None,
    seen: Sights | None = None,
    terms: Terms | None = None,
    timeout_s: float = TIMEOUT_S,
) -> TeardownReceipt:
    """Find and delete everything that `search` looks for in `regions`, and of what is the same everywhere; look again and report.

    Without `force` it deletes only when `agree`, which gets what was found, says so; without both it only looks. `seen`: a
    look that was just taken. Never raises for what AWS refuses: the receipt tells it. Raises CloudError when the
    credentials are refused everywhere.
    """
    sights = seen if seen is not None else await look(calls, search, regions=regions)
    if not force and (agree is None or not agree(sights)):
        return TeardownReceipt(
            cluster=search.scope.value,
            remaining=sights.known,
            unknown=sights.unknown,
            looked_into=tuple(sights.by_region),
            unseen=sights.unseen,
        )
    return await teardown(
        calls, search, cluster=search.scope.value, sights=sights, timeout_s=timeout_s, terms=terms
    )


async def preflight(calls: Calls, resources: Sequence[Resource]) -> tuple[Problem, ...]:
    """What we may not delete, asked of EC2 with one dry run a region and kind. Changes nothing."""

    async def ask(one: Resource) -> Problem | None:
        try:
            error = await calls.read(one.region, partial(calls.cloud.denied, one.region, one))
        except CloudError as failure:
            error = failure
        return None if error is None else replace(problem_of(error), region=one.region)

    examples = {(one.region, one.kind): one for one in resources}
    answers = await together(*(ask(one) for one in examples.values()))
    return tuple(answer for answer in answers if answer is not None)


async def in_the_way(
    calls: Calls, resources: Sequence[Resource], *, ours: Collection[str]
) -> tuple[tuple[tuple[Resource, Blocker], ...], tuple[Problem, ...]]:
    """What is in a VPC that is to go and is not among `ours`, nor hangs on one of those; and what AWS would not say of it."""
    silent: list[Problem] = []

    async def ask(one: Resource) -> list[tuple[Resource, Blocker]]:
        try:
            found, hidden = await calls.read(one.region, partial(calls.cloud.blockers, one.region, one))
        except CloudError as error:
            silent.append(problem_of(error))  # it is asked again when something stays
            return []
        silent.extend(map(problem_of, hidden))
        return [(one, blocker) for blocker in found if blocker.id not in ours and blocker.of not in ours]

    answers = await together(*(ask(one) for one in resources if one.kind == Kind.VPC))
    return tuple(pair for answer in answers for pair in answer), tuple(silent)


async def prices_of(calls: Calls, resources: Sequence[Resource]) -> Prices:
    """What the instances' capacity pools cost now. A region that would not say has no prices."""
    types: dict[str, set[str]] = {}
    for one in resources:
        if one.kind == Kind.INSTANCE and one.type:
            types.setdefault(one.region, set()).add(one.type)

    async def ask(region: str, names: set[str]) -> Prices:
        try:
            return await pool_prices(calls, region, names)
        except CloudError:
            return {}  # an estimate is not worth stopping for; the view says that there is none

    parts = await together(*(ask(region, names) for region, names in types.items()))
    return {key: usd for part in parts for key, usd in part.items()}


async def account_alias(calls: Calls) -> str:
    """The account's other name; empty where it has none or we may not ask."""
    try:
        return await calls.read("", calls.cloud.alias)
    except CloudError:
        return ""


async def find_foundlings(calls: Calls, ids: Sequence[str], *, regions: Sequence[str]) -> dict[str, str]:
    """Where each of `ids` is, of what is to be adopted: id -> region. Those that no region knows are absent."""

    async def ask(region: str, one: str) -> tuple[str, str] | None:
        there = await calls.read(region, partial(calls.cloud.exists, region, one))
        return (one, region) if there else None

    answers = await together(*(ask(region, one) for one in ids for region in regions))
    return dict(answer for answer in answers if answer is not None)


async def adopt(calls: Calls, foundlings: Mapping[str, str], *, tags: Mapping[str, str]) -> None:
    """Give them our tags, so that they are found and deleted like all else. Raises CloudError, Stopped."""
    for one, region in foundlings.items():
        await calls.write(region, partial(calls.cloud.adopt, region, one, tags=tags))
