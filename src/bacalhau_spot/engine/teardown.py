"""Tear down: look, delete what waits for nothing, look again, until nothing is seen; then look once more.

The verifying look decides, not the calls: "deleted" means that AWS no longer shows it. What is the same in all regions goes
when the regions are done, and stays while anything is left that may use it. The last look is at every region, also at those
that were clear before: somebody may have made something in them while the others took their time.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core import events
from bacalhau_spot.core.receipt import TeardownReceipt
from bacalhau_spot.core.teardown import GLOBAL
from bacalhau_spot.core.verdict import Fault, judge
from bacalhau_spot.engine.calls import Stopped, problem_of
from bacalhau_spot.engine.place import Place, Terms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bacalhau_spot.engine.calls import Calls
    from bacalhau_spot.engine.sights import Search, Sights

# Between two looks at a region that is still going away; it grows while nothing moves.
POLL_S, SLOW_POLL_S = 1.0, 5.0
# What was made moments before may not be shown yet; EC2 says "a few seconds" (EC2 API reference, "Eventual consistency").
SETTLE_S = 3.0
# As long as reads may lag: an older look of a region does not vouch for it when the others are done.
FRESH_S = 5.0
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
    places = {name: Place(calls, search, name, terms=terms or Terms()) for name in sights.by_region}
    last = places.pop(GLOBAL, None)
    for name, place in places.items():
        place.note(sights.by_region[name], at_s=sights.at_s)
    if last is not None:
        last.note(sights.by_region[GLOBAL], at_s=sights.at_s)
    doing = [place for name, place in places.items() if place.left or place.unknown or name in search.closely]
    while True:
        await asyncio.gather(*(_guarded(calls, place, partial(_clear, place, deadline_s)) for place in doing))
        if calls.clock.monotonic_s() < sights.settled_s:
            # What was created just before our first look may be anywhere, also where nothing was shown.
            await _wait_for_lag(calls, sights.settled_s)
            doing = await _news(calls, tuple(places.values()), since_s=sights.settled_s)
            if doing and calls.clock.monotonic_s() < deadline_s:
                continue
        if last is not None and not sights.dark and not any(p.left or p.trouble for p in places.values()):
            await _guarded(calls, last, partial(_clear, last, deadline_s))
        doing = await _news(calls, tuple(places.values()), since_s=sights.settled_s)
        if not doing or calls.clock.monotonic_s() >= deadline_s:
            break
    every = (*places.values(), *filter(None, (last,)))
    troubles = tuple(place.trouble for place in every if place.trouble is not None)
    return TeardownReceipt(
        cluster=cluster,
        outcomes=tuple(outcome for place in every for outcome in place.outcomes()),
        remaining=tuple(one for place in every for one in place.left.values()),
        unknown=tuple(one for place in every for one in place.unknown),
        looked_into=tuple(place.name for place in every if place.trouble is None and place.name != GLOBAL),
        unseen=(*sights.dark, *(one for place in every for one in place.unseen), *troubles),
        silent=tuple(one for place in every for one in place.silent),
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


async def _wait_for_lag(calls: Calls, until_s: float) -> None:
    with contextlib.suppress(Stopped):  # what follows sees it, too
        await calls.pause(until_s - calls.clock.monotonic_s())


async def _news(calls: Calls, places: Sequence[Place], *, since_s: float) -> list[Place]:
    """Where something of ours is that can still go: it was born in a region that was clear, while another was not.

    A look that was taken a moment ago counts, if it was taken after `since_s`.
    """
    if calls.stop.is_set:
        return []
    now_s = calls.clock.monotonic_s()
    fresh_s = max(since_s, now_s - FRESH_S)
    old = [one for one in places if one.trouble is None and one.looked_at_s < fresh_s]
    await asyncio.gather(*(_guarded(calls, place, place.look) for place in old))
    return [place for place in old if place.trouble is None and not place.only_stuck]


async def _clear(place: Place, deadline_s: float) -> None:
    """Until two looks, some seconds apart, show nothing; or nothing that is left can go; or the time is over."""
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
            await place.look()  # what is in the way may be ours, and new
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
