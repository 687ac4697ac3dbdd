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
from bacalhau_spot.core.cleanup.deletion_result import DeletionResult
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import GLOBAL
from bacalhau_spot.core.launch import events
from bacalhau_spot.engine.aws_calls.caller import Cancelled, api_failure
from bacalhau_spot.engine.cleanup.region_teardown import DeletionOptions, RegionTeardown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.cleanup.resource_scan import ScanRequest, ScanResult

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


async def delete_resources(
    calls: AwsCalls,
    request: ScanRequest,
    *,
    cluster: str,
    scan: ScanResult,
    timeout_s: float,
    options: DeletionOptions | None = None,
) -> DeletionResult:
    """Delete what `scan` shows and what appears meanwhile. Never raises for what AWS refuses: the receipt tells it."""
    deadline_s = calls.clock.monotonic_s() + timeout_s
    places = {
        name: RegionTeardown(calls, request, name, options=options or DeletionOptions())
        for name in scan.by_region
    }
    last = places.pop(GLOBAL, None)
    for name, place in places.items():
        place.update(scan.by_region[name], at_s=scan.at_s)
    if last is not None:
        last.update(scan.by_region[GLOBAL], at_s=scan.at_s)
    doing = [
        place
        for name, place in places.items()
        if place.remaining or place.unsupported or name in request.with_children
    ]
    while True:
        await asyncio.gather(
            *(_guarded(calls, place, partial(_delete_region, place, deadline_s)) for place in doing)
        )
        if calls.clock.monotonic_s() < scan.settled_s:
            # What was created just before our first look may be anywhere, also where nothing was shown.
            await _wait_for_lag(calls, scan.settled_s)
            doing = await _report_changes(calls, tuple(places.values()), since_s=scan.settled_s)
            if doing and calls.clock.monotonic_s() < deadline_s:
                continue
        if (
            last is not None
            and not scan.failed_regions
            and not any(p.remaining or p.failure for p in places.values())
        ):
            await _guarded(calls, last, partial(_delete_region, last, deadline_s))
        doing = await _report_changes(calls, tuple(places.values()), since_s=scan.settled_s)
        if not doing or calls.clock.monotonic_s() >= deadline_s:
            break
    every = (*places.values(), *filter(None, (last,)))
    troubles = tuple(place.failure for place in every if place.failure is not None)
    return DeletionResult(
        cluster=cluster,
        outcomes=tuple(outcome for place in every for outcome in place.outcomes()),
        remaining=tuple(resource for place in every for resource in place.remaining.values()),
        unsupported=tuple(resource for place in every for resource in place.unsupported),
        regions_scanned=tuple(
            place.name for place in every if place.failure is None and place.name != GLOBAL
        ),
        failed_regions=(
            *scan.failed_regions,
            *(failure for place in every for failure in place.failures),
            *troubles,
        ),
        partial_failures=tuple(failure for place in every for failure in place.partial_failures),
        interrupted=calls.stop.by_user,
    )


async def _guarded(
    calls: AwsCalls, region_teardown: RegionTeardown, part: Callable[[], Awaitable[None]]
) -> None:
    """The boundary of a region: what goes wrong in one is told in its receipt and stops no other."""
    try:
        await part()
    except CloudError as error:
        region_teardown.failure = api_failure(error)
        calls.emit(
            events.RegionFailed(
                region=region_teardown.name, operation=error.operation, code=error.code, message=error.message
            )
        )
        if classify(error.code).category is Category.CREDENTIALS:
            calls.stop.set(by_user=False)
    except Cancelled:
        pass
    except Exception as error:  # noqa: BLE001 - the boundary of a region: our own mistake here must not stop the others
        region_teardown.failure = calls.internal_error(error, region=region_teardown.name)


async def _wait_for_lag(calls: AwsCalls, until_s: float) -> None:
    with contextlib.suppress(Cancelled):  # what follows sees it, too
        await calls.pause(until_s - calls.clock.monotonic_s())


async def _report_changes(
    calls: AwsCalls, places: Sequence[RegionTeardown], *, since_s: float
) -> list[RegionTeardown]:
    """Where something of ours is that can still go: it was born in a region that was clear, while another was not.

    A look that was taken a moment ago counts, if it was taken after `since_s`.
    """
    if calls.stop.is_set:
        return []
    now_s = calls.clock.monotonic_s()
    fresh_s = max(since_s, now_s - FRESH_S)
    old = [one for one in places if one.failure is None and one.looked_at_s < fresh_s]
    await asyncio.gather(*(_guarded(calls, place, place.scan_all) for place in old))
    return [place for place in old if place.failure is None and not place.is_blocked]


async def _delete_region(region_teardown: RegionTeardown, deadline_s: float) -> None:
    """Until two looks, some seconds apart, show nothing; or nothing that is left can go; or the time is over."""
    while True:
        await _delete_until_idle(region_teardown, deadline_s=deadline_s)
        await region_teardown.calls.pause(SETTLE_S)
        await region_teardown.scan_all()
        if region_teardown.is_blocked or region_teardown.calls.clock.monotonic_s() >= deadline_s:
            return


async def _delete_until_idle(region_teardown: RegionTeardown, *, deadline_s: float) -> None:
    """Until nothing is left that could still go. What does not move is given up, and what waited for it gets its turn."""
    clock, pause_s = region_teardown.calls.clock, POLL_S
    moved_s = clock.monotonic_s()
    while not region_teardown.is_blocked and clock.monotonic_s() < deadline_s:
        before = set(region_teardown.remaining)
        await region_teardown.scan_next()
        asked = await region_teardown.delete_ready()
        moved = asked or set(region_teardown.remaining) != before
        if moved or region_teardown.deleting:
            moved_s = clock.monotonic_s()
        still_s = clock.monotonic_s() - moved_s
        if still_s >= EXPLAIN_S:
            await region_teardown.scan_all()  # what is in the way may be ours, and new
            await region_teardown.explain()
            if region_teardown.all_failed or still_s >= IDLE_S:
                region_teardown.give_up()
                moved_s = clock.monotonic_s()
                continue
        if moved:
            pause_s = POLL_S
            continue
        region_teardown.calls.emit(
            events.Waiting(
                region=region_teardown.name,
                message=region_teardown.status_text,
                remaining=len(region_teardown.remaining),
            )
        )
        await region_teardown.calls.pause(pause_s)
        pause_s = min(SLOW_POLL_S, pause_s * 1.5)
    await region_teardown.explain()
