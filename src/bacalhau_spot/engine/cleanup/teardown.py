"""Tears down all regions, and then the account-wide resources.

The verifying scan decides, not the calls: "deleted" means that AWS no longer lists the resource. Account-wide resources
are deleted after the regions, and retained while a region has resources that may use them. The last scan covers every
region, including those that were clear before: something may have been created there meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.cleanup.deletion_result import DeletionResult
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import GLOBAL
from bacalhau_spot.core.launch import events
from bacalhau_spot.engine.aws_calls.caller import Cancelled, api_failure
from bacalhau_spot.engine.cleanup.deletion_report import DeletionEnding
from bacalhau_spot.engine.cleanup.region_teardown import DeletionOptions, RegionTeardown
from bacalhau_spot.engine.cleanup.scan_result import ScanResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.cleanup.scan_result import ScanRequest

T = TypeVar("T")

# The lag of reads: an older scan of a region is repeated when the others are done.
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
    """Delete the resources of `scan` and those that appear meanwhile. AWS's refusals are in the result, not raised."""
    # Where nothing may have been created a moment before the scan, the scan is complete, as with the lock.
    request = replace(request, exclusive=request.exclusive or scan.is_settled)
    teardown = _Teardown(calls, request, scan, options=options or DeletionOptions())
    deadline_s = calls.clock.monotonic_s() + timeout_s
    await teardown.run(deadline_s=deadline_s)
    is_over = calls.clock.monotonic_s() >= deadline_s
    return teardown.result(cluster, time_over_s=timeout_s if is_over else None)


class _Teardown:
    """The regions of a scan in parallel, each at its own pace; `_account` has the account-wide resources."""

    def __init__(
        self, calls: AwsCalls, request: ScanRequest, scan: ScanResult, *, options: DeletionOptions
    ) -> None:
        self._calls = calls
        self._request = request
        self._scan = scan
        teardowns = {
            name: RegionTeardown(
                calls, request, name, options=options, nodes_elsewhere=partial(self._nodes_outside, name)
            )
            for name in scan.by_region
        }
        self._account = teardowns.pop(GLOBAL, None)
        self._regions = tuple(teardowns.values())
        for teardown in self._all:
            teardown.add_scan(scan.by_region[teardown.name], at_s=scan.at_s)

    @property
    def _all(self) -> tuple[RegionTeardown, ...]:
        return (*self._regions, *filter(None, (self._account,)))

    def _nodes_outside(self, name: str) -> bool:
        return any(region.has_nodes for region in self._regions if region.name != name)

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
        may_have_more = region.name in self._request.with_children and not self._request.exclusive
        return bool(region.inventory.remaining or scan.unsupported) or may_have_more

    async def _delete(self, region: RegionTeardown, *, deadline_s: float) -> None:
        await self._guarded(region, partial(region.run, deadline_s=deadline_s))

    async def _delete_account(self, *, deadline_s: float) -> None:
        """Only if every region was scanned and is clear: any of them may still use these resources."""
        in_use = any(region.inventory.remaining or region.failure for region in self._regions)
        if self._account is not None and not self._scan.failed_regions and not in_use:
            await self._delete(self._account, deadline_s=deadline_s)

    async def _changed_during_lag(self) -> list[RegionTeardown]:
        """Resources created just before the first scan may be in any region, including those that seemed empty."""
        lag_s = self._scan.settled_s - self._calls.clock.monotonic_s()
        if lag_s <= 0:
            return []
        for region in filter(self._is_busy, self._regions):
            self._calls.emit(
                events.Waiting(
                    region=region.name,
                    message=f"waiting {math.ceil(lag_s)} s for AWS's lists to settle",
                    remaining=0,
                )
            )
        with contextlib.suppress(Cancelled):  # the caller checks for a stop, too
            await self._calls.settle(self._scan.settled_s)
        return await self._changed()

    async def _changed(self) -> list[RegionTeardown]:
        """Regions with managed resources that can be deleted, created after the region was clear while another was not.

        A recent scan counts, if the lag had passed when it was taken; with the lock, every such scan: nobody else creates.
        """
        if self._calls.stop.is_set:
            return []
        fresh_s = self._scan.settled_s
        if not self._request.exclusive:
            fresh_s = max(fresh_s, self._calls.clock.monotonic_s() - FRESH_S)
        old = [region for region in self._regions if region.failure is None and region.scanned_at_s < fresh_s]
        await asyncio.gather(*(self._guarded(region, region.scan_again) for region in old))
        return [region for region in old if region.failure is None and not region.is_blocked]

    async def _guarded(self, region: RegionTeardown, part: Callable[[], Awaitable[None]]) -> None:
        """The boundary of a region: a failure in one is in its outcome and does not stop the others."""
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
        except Exception as error:  # noqa: BLE001 - the boundary of a region: an internal error here must not stop the others
            region.failure = self._calls.internal_error(error, region=region.name)

    def result(self, cluster: str, *, time_over_s: float | None) -> DeletionResult:
        """`time_over_s`: the time that the deletion had; None if that was enough."""
        ending = DeletionEnding(interrupted=self._calls.stop.is_set, time_over_s=time_over_s)
        last_scans = ScanResult(
            by_region={teardown.name: teardown.inventory.last_scan for teardown in self._all},
            failed_regions=self._scan.failed_regions,
        )
        ended_early = (teardown.failure for teardown in self._all if teardown.failure is not None)
        return DeletionResult(
            cluster=cluster,
            outcomes=_flat(teardown.report.outcomes(ending) for teardown in self._all),
            remaining=_flat(teardown.inventory.remaining.values() for teardown in self._all),
            unsupported=last_scans.unsupported,
            regions_scanned=tuple(region.name for region in self._regions if region.failure is None),
            failed_regions=(*last_scans.failures, *ended_early),
            partial_failures=last_scans.partial_failures,
            interrupted=self._calls.stop.by_user,
        )


def _flat(parts: Iterable[Iterable[T]]) -> tuple[T, ...]:
    return tuple(chain.from_iterable(parts))
