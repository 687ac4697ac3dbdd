"""Scans for everything with our tag, in every region and account-wide."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bacalhau_spot.core.cleanup.deletion_order import RUNNING
from bacalhau_spot.core.kinds import GLOBAL
from bacalhau_spot.core.lifecycle.operator_lock import LOCK_ROLE
from bacalhau_spot.core.model import ROLE_KEY
from bacalhau_spot.engine.aws_calls.consistency import LAG_S
from bacalhau_spot.engine.aws_calls.discovery import check_permitted, in_all_regions
from bacalhau_spot.engine.cleanup.region_scanner import RegionScanner
from bacalhau_spot.engine.cleanup.scan_result import ScanResult

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.cleanup.scan_result import RegionScan, ScanRequest

# Far more than lists lag, because the clocks of this machine and of AWS may differ: AWS refuses requests that are five
# minutes off (IAM user guide, "AWS Signature Version 4").
YOUNG = timedelta(minutes=15)


async def scan_regions(calls: AwsCalls, request: ScanRequest, *, regions: Sequence[str]) -> ScanResult:
    """Everything in scope in `regions` and account-wide.

    Raises CloudError only when the credentials are refused everywhere, or no region permits a scan.
    """

    async def scan(region: str) -> RegionScan:
        return await RegionScanner(calls, request, region).scan()

    return await _scan(calls, request, scan, regions=regions)


async def _scan(
    calls: AwsCalls,
    request: ScanRequest,
    scan: Callable[[str], Coroutine[object, object, RegionScan]],
    *,
    regions: Sequence[str],
) -> ScanResult:
    at_s = calls.clock.monotonic_s()
    scans, failed = await in_all_regions((*regions, GLOBAL) if request.shared else regions, scan)
    answered = {region: scan for region, scan in scans.items() if region != GLOBAL}
    check_permitted(answered, [failure for failure in failed if failure.region != GLOBAL])
    result = ScanResult(by_region=scans, failed_regions=failed, at_s=at_s)
    is_settled = _is_settled(result.resources, request, now=calls.clock.now())
    return replace(result, settled_s=at_s if is_settled else at_s + LAG_S)


def _is_settled(resources: Sequence[Resource], request: ScanRequest, *, now: datetime) -> bool:
    """Whether nothing indicates a creation so recent that the lists may omit it.

    With the lock, nobody else creates: every command of the cluster holds it while it creates, and leaves it behind if it
    was killed, or failed before AWS listed everything. Another configuration, with other regions, may have another lock:
    the resources then show it. Without the lock of each cluster in scope, the age of the resources decides.
    """
    if request.changed_here or any(resource.tags.get(ROLE_KEY) == LOCK_ROLE for resource in resources):
        return False
    regions = {resource.region for resource in resources} - {GLOBAL}
    if request.exclusive:
        return not request.with_children or regions <= request.with_children
    if not request.lock_free:
        return False
    return not resources or (request.scope.one_cluster and _all_old(resources, now=now))


def _all_old(resources: Sequence[Resource], *, now: datetime) -> bool:
    """Whether the last creation was long ago, in every region with resources: one without a date may be new."""
    youngest: dict[str, datetime] = {}
    for resource in resources:
        if resource.created_at is not None:
            before = youngest.get(resource.region, resource.created_at)
            youngest[resource.region] = max(before, resource.created_at)
    regions = {resource.region for resource in resources} - {GLOBAL}
    return regions <= set(youngest) and all(date < now - YOUNG for date in youngest.values())


async def rescan_after_delay(
    calls: AwsCalls, request: ScanRequest, first: ScanResult, *, regions: Sequence[str]
) -> ScanResult:
    """A second scan after an empty one, for resources created moments before. Raises CloudError as `scan_regions`; Cancelled."""
    await calls.settle(first.settled_s)

    async def scan(region: str) -> RegionScan:
        scanner = RegionScanner(calls, request, region)
        before = first.by_region.get(region)
        if before is None or not before.complete:
            return await scanner.scan()
        return await scanner.scan_again(ended=[key for key in before.indexed if key[0] in RUNNING])

    return replace(await _scan(calls, request, scan, regions=regions), settled_s=first.settled_s)
