"""Scans for everything with our tag, in every region and account-wide."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bacalhau_spot.core.kinds import GLOBAL
from bacalhau_spot.engine.aws_calls.consistency import LAG_S
from bacalhau_spot.engine.aws_calls.discovery import check_permitted, in_all_regions
from bacalhau_spot.engine.cleanup.region_scanner import RegionScanner
from bacalhau_spot.engine.cleanup.scan_result import ScanResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.cleanup.scan_result import RegionScan, ScanRequest


async def scan_regions(calls: AwsCalls, request: ScanRequest, *, regions: Sequence[str]) -> ScanResult:
    """Everything in scope in `regions` and account-wide.

    Raises CloudError only when the credentials are refused everywhere, or no region permits a scan.
    """

    async def scan(region: str) -> RegionScan:
        return await RegionScanner(calls, request, region).scan()

    at_s = calls.clock.monotonic_s()
    scans, failed = await in_all_regions((*regions, GLOBAL) if request.shared else regions, scan)
    answered = {region: scan for region, scan in scans.items() if region != GLOBAL}
    check_permitted(answered, [failure for failure in failed if failure.region != GLOBAL])
    return ScanResult(by_region=scans, failed_regions=failed, at_s=at_s, settled_s=at_s + LAG_S)


async def rescan_after_delay(
    calls: AwsCalls, request: ScanRequest, first: ScanResult, *, regions: Sequence[str]
) -> ScanResult:
    """A second scan, for resources created moments before the first. Raises CloudError as `scan_regions`; Cancelled."""
    await calls.pause(max(0.0, first.settled_s - calls.clock.monotonic_s()))
    return replace(await scan_regions(calls, request, regions=regions), settled_s=first.settled_s)
