"""Tear down: look, delete what waits for nothing, look again, until nothing is seen; then look once more.

The verifying look decides, not the calls: "deleted" means that AWS no longer shows it. What is the same in all regions goes
when the regions are done, and stays while anything is left that may use it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core import events
from bacalhau_spot.core.receipt import TeardownReceipt
from bacalhau_spot.core.teardown import GLOBAL
from bacalhau_spot.core.verdict import Fault, judge
from bacalhau_spot.engine.calls import Stopped, problem_of
from bacalhau_spot.engine.place import Place, Terms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bacalhau_spot.engine.calls import Calls
    from bacalhau_spot.engine.sights import Search, Sight, Sights

# Between two looks at a region that is still going away; it grows while nothing moves.
POLL_S, SLOW_POLL_S = 1.0, 5.0
# What was made moments before may not be shown yet; EC2 says "a few seconds" (EC2 API reference, "Eventual consistency").
SETTLE_S = 3.0
# Seconds in which nothing moved, after which we ask what is in the way: longer than reads lag.
EXPLAIN_S = 10.0
# Seconds in which nothing moved and nothing was on its way out, after which waiting longer does not help. Instances may take
# minutes to end: they have the deadline.
IDLE_S = 60.0


async def teardown(
    calls: Calls,
    search: Search,
    *,
    cluster: str,
    sights: Sights,
    timeout_s: float,
    terms: Terms | None = None,
) -> TeardownReceipt:
    """Delete what `sights` shows and what appears meanwhile. Never raises for what AWS refuses: the receipt tells it."""
    deadline_s = calls.clock.monotonic_s() + timeout_s
    places = [
        Place(calls, search, name, terms=terms or Terms()) for name in sights.by_region if name != GLOBAL
    ]

    async def one(place: Place) -> None:
        sight = sights.by_region[place.name]
        if not sight.empty or place.name in search.closely:
            await _guarded(calls, place, lambda: _clear(place, sight, deadline_s=deadline_s))

    await asyncio.gather(*(one(place) for place in places))
    if GLOBAL in sights.by_region:
        last = Place(calls, search, GLOBAL, terms=terms or Terms())
        last.note(sights.by_region[GLOBAL])
        clear = not sights.dark and not any(place.left or place.trouble for place in places)
        if clear:
            await _guarded(calls, last, lambda: _clear(last, sights.by_region[GLOBAL], deadline_s=deadline_s))
        places.append(last)
    troubles = tuple(place.trouble for place in places if place.trouble is not None)
    return TeardownReceipt(
        cluster=cluster,
        outcomes=tuple(outcome for place in places for outcome in place.outcomes()),
        remaining=tuple(one for place in places for one in place.left.values()),
        unknown=tuple(one for place in places for one in place.unknown),
        looked_into=tuple(place.name for place in places if place.trouble is None and place.name != GLOBAL),
        unseen=(*sights.dark, *(one for place in places for one in place.unseen), *troubles),
        silent=tuple(one for place in places for one in place.silent),
        interrupted=calls.stop.by_user,
    )


async def _guarded(calls: Calls, place: Place, part: Callable[[], Awaitable[None]]) -> None:
    """The boundary of a region: what goes wrong in one is told in its receipt and stops no other."""
    try:
        await part()
    except CloudError as error:
        place.trouble = problem_of(error)
        calls.emit(
            events.RegionFailed(
                region=place.name, operation=error.operation, code=error.code, message=error.message
            )
        )
        if judge(error.code).fault is Fault.CREDENTIALS:
            calls.stop.set(by_user=False)
    except Stopped:
        pass
    except Exception as error:  # noqa: BLE001 - the boundary of a region: our own mistake here must not stop the others
        place.trouble = calls.mistake(error, region=place.name)


async def _clear(place: Place, first: Sight, *, deadline_s: float) -> None:
    """Until two looks, some seconds apart, show nothing; or nothing that is left can go; or the time is over."""
    place.note(first)
    while True:
        await _delete_until_still(place, deadline_s=deadline_s)
        await place.calls.pause(SETTLE_S)
        await place.look()
        if place.only_stuck or place.calls.clock.monotonic_s() >= deadline_s:
            return


async def _delete_until_still(place: Place, *, deadline_s: float) -> None:
    """Until nothing is left that could still go. What does not move is given up, and what waited for it gets its turn."""
    clock, pause_s = place.calls.clock, POLL_S
    moved_s = clock.monotonic_s()
    while not place.only_stuck and clock.monotonic_s() < deadline_s:
        before = set(place.left)
        await place.look_at_what_is_next()
        asked = await place.delete_ready()
        moved = asked or set(place.left) != before
        if moved or place.leaving:
            moved_s = clock.monotonic_s()
        still_s = clock.monotonic_s() - moved_s
        if still_s >= EXPLAIN_S:
            await place.explain()
            if place.hopeless or still_s >= IDLE_S:
                place.give_up()
                moved_s = clock.monotonic_s()
                continue
        if moved:
            pause_s = POLL_S
            continue
        place.calls.emit(events.Waiting(region=place.name, what=place.doing, left=len(place.left)))
        await place.calls.pause(pause_s)
        pause_s = min(SLOW_POLL_S, pause_s * 1.5)
    await place.explain()
