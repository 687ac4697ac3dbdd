"""The requests of the Python API: the same for its asynchronous and its blocking form.

A command is imported in its thread: with AWS's library that takes a second, during which an event loop would stand still.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bacalhau_spot.api import parsing
from bacalhau_spot.api.arguments import check_arguments
from bacalhau_spot.api.command_thread import CommandThread
from bacalhau_spot.cli.runtime.cancellation import Cancellation, thread_name
from bacalhau_spot.core.lifecycle.durations import duration_text
from bacalhau_spot.errors import ExitCode, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
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
    from bacalhau_spot.cli.runtime.result import Result

    Tell = Callable[[ProgressEvent], object]
    Command = Callable[..., Result]

T = TypeVar("T")

# What `status` finds wrong is its result.
_OBSERVED = frozenset({ExitCode.DONE, ExitCode.FAILED, ExitCode.INCOMPLETE})


@dataclass(frozen=True, kw_only=True)
class Access:
    """The configuration file, the AWS profile, or the sandbox; `cluster`: another one than the configuration's."""

    config: str | Path | None
    profile: str | None
    sandbox: bool
    cluster: str | None = None

    def __post_init__(self) -> None:
        check_arguments(config=self.config, profile=self.profile, sandbox=self.sandbox, cluster=self.cluster)


@dataclass(frozen=True, kw_only=True)
class CommandRequest(Generic[T]):
    """`load`: imports the command's function. `read`: its result from the output. `returned`: exit codes of results."""

    name: str
    access: Access
    load: Callable[[], Command]
    read: Callable[[Mapping[str, Any]], T]
    options: Mapping[str, Any] = field(default_factory=dict)
    returned: frozenset[ExitCode] = frozenset({ExitCode.DONE})


def command_thread(request: CommandRequest[T], tell: Tell) -> CommandThread[T]:
    """The thread for a request, not yet started. `tell` is called in it, with each event."""
    cancellation = Cancellation()
    run_id = uuid.uuid4().hex

    def work() -> T:
        from bacalhau_spot.api.execution import execute  # noqa: PLC0415 - see above

        return execute(request, tell, run_id=run_id, cancellation=cancellation)

    return CommandThread(work, name=thread_name(run_id), cancellation=cancellation)


def launch_options(
    *,
    max_price_usd_per_hour: Decimal | None,
    budget_usd_per_hour: Decimal | None,
    ttl: timedelta | None,
    without_orchestrator: bool,
    allow_removal: bool,
) -> dict[str, Any]:
    """The options of `create`, as they are typed."""
    check_arguments(
        max_price_usd_per_hour=max_price_usd_per_hour,
        budget_usd_per_hour=budget_usd_per_hour,
        ttl=ttl,
        without_orchestrator=without_orchestrator,
        allow_removal=allow_removal,
    )
    return {
        "max_price": None if max_price_usd_per_hour is None else str(max_price_usd_per_hour),
        "budget": None if budget_usd_per_hour is None else str(budget_usd_per_hour),
        "ttl": None if ttl is None else duration_text(int(ttl.total_seconds())),
        "without_orchestrator": without_orchestrator,
        "allow_removal": allow_removal,
    }


def plan_request(access: Access, options: dict[str, Any]) -> CommandRequest[ClusterPlan]:
    """Of `create --dry-run`."""
    return CommandRequest(
        name="create",
        access=access,
        load=_load_create,
        options={**options, "dry_run": True},
        read=parsing.plan_from_output,
    )


def create_request(
    access: Access, options: dict[str, Any], *, wait: str | None, grace: timedelta | None
) -> CommandRequest[LaunchReceipt]:
    """Of `create --yes`."""
    check_arguments(wait=wait, grace=grace)
    given = {"yes": True, "wait": wait, "grace": None if grace is None else _grace_text(grace)}
    return CommandRequest(
        name="create",
        access=access,
        load=_load_create,
        options={**options, **given},
        read=parsing.receipt_from_output,
    )


def _grace_text(grace: timedelta) -> str:
    seconds = int(grace.total_seconds())
    return f"{seconds}s" if seconds else "0"


def status_request(access: Access, regions: Sequence[str]) -> CommandRequest[ClusterHealth]:
    """Of `status`."""
    check_arguments(regions=regions)
    return CommandRequest(
        name="status",
        access=access,
        load=_load_status,
        options={"region": list(regions), "cluster": access.cluster},
        read=parsing.health_from_output,
        returned=_OBSERVED,
    )


def deletion_request(
    access: Access, options: dict[str, Any], *, dry_run: bool
) -> CommandRequest[CleanupReport]:
    """Of `destroy --yes`."""
    check_arguments(dry_run=dry_run)
    return CommandRequest(
        name="destroy",
        access=access,
        load=_load_destroy,
        options={**options, "dry_run": dry_run, "yes": True, "cluster": access.cluster},
        read=parsing.report_from_output,
    )


def nuke_request(
    access: Access, options: dict[str, Any], *, regions: Sequence[str] | None, force: bool, dry_run: bool
) -> CommandRequest[CleanupReport]:
    """Of `nuke --force`; without `force`, of its list."""
    check_arguments(force=force, dry_run=dry_run)
    if regions is not None:
        check_arguments(regions=regions)
    return CommandRequest(
        name="nuke",
        access=access,
        load=_load_nuke,
        options={
            **options,
            "dry_run": dry_run or not force,
            "regions": regions,
        },
        read=parsing.report_from_output,
    )


def deletion_options(
    *, disable_protection: bool, delete_results: bool, timeout_s: int | None
) -> dict[str, Any]:
    """The options of `destroy` and `nuke`."""
    check_arguments(disable_protection=disable_protection, delete_results=delete_results, timeout_s=timeout_s)
    given = {} if timeout_s is None else {"timeout": timeout_s}
    return {"disable_protection": disable_protection, "delete_results": delete_results, **given}


def _load_create() -> Command:
    from bacalhau_spot.cli.commands.create import create  # noqa: PLC0415 - in the thread of the command

    return create


def _load_status() -> Command:
    from bacalhau_spot.cli.commands.status import status  # noqa: PLC0415 - as above

    return status


def _load_destroy() -> Command:
    from bacalhau_spot.cli.commands.destroy import destroy  # noqa: PLC0415 - as above

    return destroy


def _load_nuke() -> Command:
    from bacalhau_spot.cli.commands.nuke import NukeOptions, nuke  # noqa: PLC0415 - as above

    def nuke_with(
        *, regions: Sequence[str] | None, dry_run: bool, common: Any, runtime: Any, **options: Any
    ) -> Result:
        choice = NukeOptions(region=_chosen(regions), **options)
        return nuke(force=True, dry_run=dry_run, choice=choice, common=common, runtime=runtime)

    return nuke_with


def _chosen(regions: Sequence[str] | None) -> tuple[str, ...]:
    """Each region once; empty for every region. Raises UserError for an empty choice, which would be all of them."""
    if regions is not None and not regions:
        raise UserError(
            "regions is empty: it would mean every region",
            hint="name a region, or leave out `regions` to scan every one",
            exit_code=ExitCode.USAGE,
        )
    return tuple(dict.fromkeys(regions or ()))
