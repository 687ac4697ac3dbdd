"""The asynchronous form of the Python API: for programs with an event loop, which goes on while a command runs."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Literal, TypeVar

from bacalhau_spot.api import requests
from bacalhau_spot.api.arguments import check_arguments
from bacalhau_spot.api.errors import unconfirmed
from bacalhau_spot.api.requests import Access

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta
    from decimal import Decimal
    from pathlib import Path

    from bacalhau_spot.api.models import (
        CleanupReport,
        ClusterHealth,
        ClusterPlan,
        LaunchReceipt,
        ProgressEvent,
    )
    from bacalhau_spot.api.requests import CommandRequest

    OnEvent = Callable[[ProgressEvent], object]

T = TypeVar("T")


async def plan(
    config: str | Path | None = None,
    *,
    profile: str | None = None,
    sandbox: bool = False,
    allow_removal: bool = False,
    max_price_usd_per_hour: Decimal | None = None,
    budget_usd_per_hour: Decimal | None = None,
    ttl: timedelta | None = None,
    without_orchestrator: bool = False,
) -> ClusterPlan:
    """Compare the configuration with AWS, and return the changes that `create` would make, with their price.

    Changes nothing. Raises ApiError, also for a plan that `create` would refuse.
    """
    options = requests.launch_options(
        max_price_usd_per_hour=max_price_usd_per_hour,
        budget_usd_per_hour=budget_usd_per_hour,
        ttl=ttl,
        without_orchestrator=without_orchestrator,
        allow_removal=allow_removal,
    )
    access = Access(config=config, profile=profile, sandbox=sandbox)
    return await _finished(requests.plan_request(access, options))


async def create(  # noqa: PLR0913 -- one parameter for each option
    config: str | Path | None = None,
    *,
    profile: str | None = None,
    sandbox: bool = False,
    allow_removal: bool = False,
    grace: timedelta | None = None,
    max_price_usd_per_hour: Decimal | None = None,
    budget_usd_per_hour: Decimal | None = None,
    ttl: timedelta | None = None,
    without_orchestrator: bool = False,
    wait: Literal["joined", "running", "none"] | None = None,
    on_event: OnEvent | None = None,
) -> LaunchReceipt:
    """Launch the nodes that the configuration asks for and that do not exist yet. The call is the confirmation.

    Running it again adds only the missing nodes. `grace`: with `allow_removal`, the time for running jobs (default: ten minutes).
    Raises ApiError; an IncompleteError has the receipt of a part of the nodes.
    """
    options = requests.launch_options(
        max_price_usd_per_hour=max_price_usd_per_hour,
        budget_usd_per_hour=budget_usd_per_hour,
        ttl=ttl,
        without_orchestrator=without_orchestrator,
        allow_removal=allow_removal,
    )
    access = Access(config=config, profile=profile, sandbox=sandbox)
    return await _finished(requests.create_request(access, options, wait=wait, grace=grace), on_event)


async def status(
    config: str | Path | None = None,
    *,
    profile: str | None = None,
    sandbox: bool = False,
    cluster: str | None = None,
    regions: Sequence[str] = (),
) -> ClusterHealth:
    """Return the cluster's health from EC2, the orchestrator and the nodes. Changes nothing.

    An unhealthy or incomplete result is not an error. `cluster`: another one, by its tag value. `regions`: only these.
    """
    access = Access(config=config, profile=profile, sandbox=sandbox, cluster=cluster)
    return await _finished(requests.status_request(access, regions))


async def destroy(  # noqa: PLR0913 -- one parameter for each option
    config: str | Path | None = None,
    *,
    profile: str | None = None,
    sandbox: bool = False,
    cluster: str | None = None,
    dry_run: bool = False,
    disable_protection: bool = False,
    delete_results: bool = False,
    timeout_s: int | None = None,
    on_event: OnEvent | None = None,
) -> CleanupReport:
    """Delete all resources of the cluster in every region, and verify the deletion. The call is the confirmation.

    `dry_run`: only list them. Raises ApiError; an IncompleteError has the report with the remaining resources.
    """
    options = requests.deletion_options(
        disable_protection=disable_protection, delete_results=delete_results, timeout_s=timeout_s
    )
    access = Access(config=config, profile=profile, sandbox=sandbox, cluster=cluster)
    request = requests.deletion_request(access, options, dry_run=dry_run)
    return await _finished(request, on_event)


async def nuke_resources(  # noqa: PLR0913 -- one parameter for each option
    regions: Sequence[str] | None = None,
    force: bool = False,  # noqa: FBT001 FBT002 - the signature that users of the first tool know
    *,
    config: str | Path | None = None,
    profile: str | None = None,
    sandbox: bool = False,
    dry_run: bool = False,
    disable_protection: bool = False,
    delete_results: bool = False,
    timeout_s: int | None = None,
    on_event: OnEvent | None = None,
) -> CleanupReport:
    """Delete all resources that carry the cluster tag, in these regions or in every region, and verify the deletion.

    Without `force`: raises ConfirmationError with the list, and deletes nothing. `dry_run`: returns the list.
    """
    options = requests.deletion_options(
        disable_protection=disable_protection, delete_results=delete_results, timeout_s=timeout_s
    )
    access = Access(config=config, profile=profile, sandbox=sandbox)
    request = requests.nuke_request(access, options, regions=regions, force=force, dry_run=dry_run)
    report = await _finished(request, on_event)
    if report.to_delete and not dry_run:
        raise unconfirmed(report)
    return report


async def _finished(request: CommandRequest[T], on_event: OnEvent | None = None) -> T:
    check_arguments(on_event=on_event)
    loop = asyncio.get_running_loop()

    def tell(event: ProgressEvent) -> None:
        if on_event is not None:
            with contextlib.suppress(RuntimeError):  # a caller that has left twice has closed its event loop
                loop.call_soon_threadsafe(on_event, event)

    return await requests.command_thread(request, tell).wait()
