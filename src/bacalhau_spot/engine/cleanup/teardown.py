"""Tear down all regions, and then what is the same in all of them.

The verifying scan decides, not the calls: "deleted" means that AWS no longer shows it. What is the same in all regions goes
when the regions are done, and stays while anything is left that may use it. The last scan is of every region, also of those
that were clear before: somebody may have made something in them while the others took their time.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.cleanup.deletion_result import DeletionResult
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import GLOBAL
from bacalhau_spot.core.launch import events
from bacalhau_spot.engine.aws_calls.caller import Cancelled, api_failure
from bacalhau_spot.engine.cleanup.region_teardown import DeletionOptions, RegionTeardown
from bacalhau_spot.engine.cleanup.scan_result import ScanResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.cleanup.scan_result import ScanRequest

T = TypeVar("T")

# As long as reads may lag: an older scan of a region does not vouch for it when the others are done.
FRESH_S = 5.0


async def delete_resources(
    calls: AwsCalls,
    request: ScanRequest,
    *,
    cluster: str,
    scan: ScanResult,
    timeout_s: float,
    options: DeletionOptions | None = None,
) -> DeletionResult:
    """Delete what `scan` shows and what appears meanwhile. Never raises for what AWS refuses: the result has it."""
    teardown = _Teardown(calls, request, scan, options=options or DeletionOptions())
    await teardown.run(deadline_s=calls.clock.monotonic_s() + timeout_s)
    return teardown.result(cluster)


class _Teardown:
    """The regions of a scan at once, each in its own time; `_account` is what is the same in all of them."""

    def __init__(
        self, calls: AwsCalls, request: ScanRequest, scan: ScanResult, *, options: DeletionOptions
    ) -> None:
        self._calls = calls
        self._request = request
        self._scan = scan
        teardowns = {name: RegionTeardown(calls, request, name, options=options) for name in scan.by_region}
        self._account = teardowns.pop(GLOBAL, None)
        self._regions = tuple(teardowns.values())
        for teardown in self._all:
            teardown.add_scan(scan.by_region[teardown.name], at_s=scan.at_s)

    @property
    def _all(self) -> tuple[RegionTeardown, ...]:
        return (*self._regions, *filter(None, (self._account,)))

    async def run(self, *, deadline_s: float) -> None:
        busy = [region for region in self._regions if self._is_busy(region)]
        while True:
            await asyncio.gather(*(self._delete(region, deadline_s=deadline_s) for region in busy))
            busy = await self._changed_during_lag()
            if not busy:
                await self._delete_account(deadline_s=deadline_s)
                busy = await self._changed()
            if not busy or self._calls.clock.monotonic_s() >= deadline_s:
                return

    def _is_busy(self, region: RegionTeardown) -> bool:
        scan = self._scan.by_region[region.name]
        return (
            bool(region.inventory.remaining or scan.unsupported) or region.name in self._request.with_children
        )

    async def _delete(self, region: RegionTeardown, *, deadline_s: float) -> None:
        await self._guarded(region, partial(region.run, deadline_s=deadline_s))

    async def _delete_account(self, *, deadline_s: float) -> None:
        """Only when every region was scanned and is clear: any of them may still use it."""
        in_use = any(region.inventory.remaining or region.failure for region in self._regions)
        if self._account is not None and not self._scan.failed_regions and not in_use:
            await self._delete(self._account, deadline_s=deadline_s)

    async def _changed_during_lag(self) -> list[RegionTeardown]:
        """What was created just before the first scan may be anywhere, also where nothing was shown."""
        lag_s = self._scan.settled_s - self._calls.clock.monotonic_s()
        if lag_s <= 0:
            return []
        with contextlib.suppress(Cancelled):  # what follows sees it, too
            await self._calls.pause(lag_s)
        return await self._changed()

    async def _changed(self) -> list[RegionTeardown]:
        """Regions with something of ours that can still go: it was created in a region that was clear, while another was not.

        A scan that was taken a moment ago counts, if it was taken when nothing was hidden any more.
        """
        if self._calls.stop.is_set:
            return []
        fresh_s = max(self._scan.settled_s, self._calls.clock.monotonic_s() - FRESH_S)
        old = [region for region in self._regions if region.failure is None and region.scanned_at_s < fresh_s]
        await asyncio.gather(*(self._guarded(region, region.scan_all) for region in old))
        return [region for region in old if region.failure is None and not region.is_blocked]

    async def _guarded(self, region: RegionTeardown, part: Callable[[], Awaitable[None]]) -> None:
        """The boundary of a region: what goes wrong in one is in its outcome and stops no other."""
        try:
            await part()
        except CloudError as error:
            region.failure = api_failure(error)
            self._calls.emit(
                events.RegionFailed(
                    region=region.name, operation=error.operation, code=error.code, message=error.message
                )
            )
            if classify(error.code).category is Category.CREDENTIALS:
                self._calls.stop.set(by_user=False)
        except Cancelled:
            pass
        except Exception as error:  # noqa: BLE001 - the boundary of a region: our own mistake here must not stop the others
            region.failure = self._calls.internal_error(error, region=region.name)

    def result(self, cluster: str) -> DeletionResult:
        last_scans = ScanResult(
            by_region={teardown.name: teardown.inventory.last_scan for teardown in self._all},
            failed_regions=self._scan.failed_regions,
        )
        ended_early = (teardown.failure for teardown in self._all if teardown.failure is not None)
        return DeletionResult(
            cluster=cluster,
            outcomes=_flat(teardown.report.outcomes for teardown in self._all),
            remaining=_flat(teardown.inventory.remaining.values() for teardown in self._all),
            unsupported=last_scans.unsupported,
            regions_scanned=tuple(region.name for region in self._regions if region.failure is None),
            failed_regions=(*last_scans.failures, *ended_early),
            partial_failures=last_scans.partial_failures,
            interrupted=self._calls.stop.by_user,
        )


def _flat(parts: Iterable[Iterable[T]]) -> tuple[T, ...]:
    return tuple(chain.from_iterable(parts))
