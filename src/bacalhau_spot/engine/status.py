"""One look at the whole cluster: all regions and the orchestrator at once, and then the consoles that matter."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.console import boot, lines
from bacalhau_spot.core.evidence import Asked, spot_status
from bacalhau_spot.core.receipt import Problem
from bacalhau_spot.core.status import Sight, member_of, needs_console
from bacalhau_spot.engine.calls import problem_of
from bacalhau_spot.engine.observe import check_permitted, everywhere
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from bacalhau_spot.core.console import Boot
    from bacalhau_spot.core.evidence import Checks, SpotStatus
    from bacalhau_spot.core.members import Member
    from bacalhau_spot.core.model import Instance, Naming
    from bacalhau_spot.engine.calls import Calls
    from bacalhau_spot.orchestrator.port import Orchestrator

T = TypeVar("T")

# Consoles read at once, over all regions; each is a call.
_CONSOLES_AT_ONCE = 12


@dataclass(frozen=True, slots=True)
class _Region:
    instances: tuple[Instance, ...] = ()
    checks: dict[str, Checks] = field(default_factory=dict)
    spots: tuple[SpotStatus, ...] = ()
    blurred: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Word:
    """What the orchestrator said."""

    asked: Asked = Asked.NO_API
    members: tuple[Member, ...] = ()
    address: str = ""
    refusal: Problem | None = None


async def look(
    calls: Calls, naming: Naming, *, regions: Sequence[str], orchestrator: Orchestrator | None
) -> Sight:
    """What there is now. Three calls a region that has instances, one where it has none, and one a console that matters.

    What cannot be looked at is told in the result. Raises CloudError only when the credentials are refused everywhere.
    """

    async def one(region: str) -> _Region:
        return await _region(calls, naming, region)

    (seen, unseen), word = await asyncio.gather(everywhere(regions, one), _ask(orchestrator))
    check_permitted(seen, unseen)
    instances = tuple(instance for region in seen.values() for instance in region.instances)
    boots, mute = await _consoles(calls, instances, word)
    return Sight(
        at=calls.clock.now(),
        instances=instances,
        checks={one: checks for region in seen.values() for one, checks in region.checks.items()},
        spots=tuple(spot for region in seen.values() for spot in region.spots),
        boots=boots,
        members=word.members,
        asked=word.asked,
        address=word.address,
        refusal=word.refusal,
        looked_into=tuple(seen),
        unseen=unseen,
        blurred=(*(problem for region in seen.values() for problem in region.blurred), *mute),
    )


async def _region(calls: Calls, naming: Naming, region: str) -> _Region:
    """The instances, and what is said about them. Without the latter they are shown all the same."""
    key, value = naming.tag_key, naming.tag_value
    instances = await calls.read(region, lambda: calls.cloud.instances(region, key=key, value=value))
    if not instances:
        return _Region()
    ids = [instance.id for instance in instances]
    (checks, first), (requests, second) = await asyncio.gather(
        _or_problem(calls.read(region, lambda: calls.cloud.statuses(region, ids))),
        _or_problem(calls.read(region, lambda: calls.cloud.spot_requests(region, key=key, value=value))),
    )
    spots = tuple(map(spot_status, requests or ()))
    return _Region(instances, checks or {}, spots, tuple(filter(None, (first, second))))


async def _ask(orchestrator: Orchestrator | None) -> _Word:
    if orchestrator is None:
        return _Word()
    try:
        members = await orchestrator.members()
    except OrchestratorError as error:
        refusal = Problem(code=error.code, message=error.message, operation=error.address, region="")
        return _Word(Asked.SILENT, address=orchestrator.address, refusal=refusal)
    return _Word(Asked.ANSWERED, members, orchestrator.address)


async def _consoles(
    calls: Calls, instances: Sequence[Instance], word: _Word
) -> tuple[dict[str, Boot], tuple[Problem, ...]]:
    """What the nodes said that have not joined, or of which nobody else can tell; the same refusal is told once a region."""
    room = asyncio.Semaphore(_CONSOLES_AT_ONCE)

    async def read(instance: Instance) -> tuple[str, Boot | None, Problem | None]:
        async with room:
            text, problem = await _or_problem(
                calls.read(instance.region, lambda: calls.cloud.console(instance.region, instance.id))
            )
        return instance.id, None if text is None else boot(lines(text)), problem

    wanted = [
        one for one in instances if needs_console(one, asked=word.asked, member=member_of(one, word.members))
    ]
    answers = await asyncio.gather(*(read(one) for one in wanted))
    problems = {(one.region, one.code): one for _, _, one in answers if one is not None}
    return {name: found for name, found, _ in answers if found is not None}, tuple(problems.values())


async def _or_problem(part: Awaitable[T]) -> tuple[T | None, Problem | None]:
    try:
        return await part, None
    except CloudError as error:
        return None, problem_of(error)
