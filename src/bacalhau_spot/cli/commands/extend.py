"""`extend`: moves the end of the cluster's lifetime."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.cluster_lock import ClusterLock
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.parsers import end_time, lifetime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.runner import NullProgress
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, Cluster, CommonOptions, Yes
from bacalhau_spot.core.launch.group_plan import healed_regions
from bacalhau_spot.core.lifecycle.expiry import expiry_warnings, move_expiry
from bacalhau_spot.core.lifecycle.extension import ExpiryChange
from bacalhau_spot.engine.lifecycle import extend as engine
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.prompts import Impact

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.lifecycle.expiry import ExpiryPlan
    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.engine.lifecycle.extend import LivingCluster


def extend(
    duration: str | None = None,
    /,
    *,
    until: Annotated[str | None, Parameter(metavar="TIME")] = None,
    never: Annotated[bool, Parameter(negative="")] = False,
    yes: Yes = False,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    cluster: Cluster = None,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Move the end of the cluster's lifetime: `extend 4h` ends it four hours from now.

    The new end applies to all instances, the managed orchestrator's included, and to Auto Scaling groups. Asks before a cluster
    gets an earlier end than before.

    Parameters
    ----------
    duration
        The remaining lifetime from now on, such as `90m`, `4h`, `2d` or `1h30m`.
    until
        The end as a time, such as `2026-11-28T20:00`, in UTC unless it has another offset.
    never
        Remove the end: the cluster runs until `destroy`.
    yes
        Do not ask.
    dry_run
        Show the change and stop.
    cluster
        Another cluster, by its tag value, instead of the configuration's.
    """
    context = CommandContext("extend", common, runtime)
    at = _end(duration, until=until, never=never, now=runtime.clock.now())
    spec = context.spec(lenient=True)
    naming = context.naming(cluster)
    with context.runner(spec) as runner:
        search = _Search(
            naming,
            configured=[region.name for region in spec.regions] if cluster is None else None,
            healed=healed_regions(spec) if cluster is None else (),
            at=at,
        )
        found = search.run(runner, now=runtime.clock.now())
        if not found.has_instances:
            raise _nothing(found.living, cluster=naming.tag_value)
        change = ExpiryChange(found.planned, failed_regions=found.living.failed_regions)
        if found.planned.changes and not dry_run:
            _agree(context, found, cluster=naming.tag_value, yes=yes)
            found, change = _carry_out(context, runner, search, found)
    planned = found.planned
    code = change.exit_code
    return Result(
        "extend",
        view=views.extension_view(planned) if dry_run else views.extension_result_view(change),
        data=json_output.extension_data(change, cluster=naming.tag_value, carried_out=not dry_run),
        exit_code=code,
        errors=context.errors_of((*change.failed, *change.failed_regions), exit_code=code),
        warnings=expiry_warnings(planned),
        stderr_warnings=expiry_warnings(planned),
    )


@dataclass(frozen=True)
class _Found:
    """The cluster, and the changes of its end."""

    living: LivingCluster
    planned: ExpiryPlan

    @property
    def has_instances(self) -> bool:
        """Also if a group is about to launch them."""
        if self.planned.living or self.planned.retag:
            return True
        return any(group.desired and not group.deleting for group in self.living.groups)


@dataclass(frozen=True)
class _Search:
    naming: Naming
    configured: Collection[str] | None
    healed: Collection[str]
    at: datetime | None  # the new end

    def run(self, runner: Runner, *, now: datetime) -> _Found:
        living = runner.run_readonly(
            engine.find_cluster(runner.calls, self.naming, configured=self.configured, healed=self.healed)
        )
        return _Found(living, move_expiry(living.instances, self.at, now=now, groups=living.groups))


def _agree(context: CommandContext, found: _Found, *, cluster: str, yes: bool) -> None:
    """Raises UserError if the user does not want an earlier end."""
    if not found.planned.shortens:
        return
    context.print_status(views.extension_view(found.planned))
    where = f"{cluster} in account {found.living.identity.account_id}"
    context.confirm(f"End {where} earlier than before?", impact=Impact.DESTROYS, confirmed=yes)


def _carry_out(
    context: CommandContext, runner: Runner, search: _Search, found: _Found
) -> tuple[_Found, ExpiryChange]:
    """Under the cluster's lock. Searches again if another command may have changed something since."""
    with ClusterLock(
        context,
        runner,
        naming=search.naming,
        identity=found.living.identity,
        command="extend",
        creates=False,
    ) as lock:
        lock.take()
        if not lock.is_exclusive:
            # The lock of a dead command is a launch template that the first scan may have listed.
            found = search.run(runner, now=context.runtime.clock.now())
        change = runner.run_with_progress(
            engine.change_expiry(runner.calls, search.naming, found.living, found.planned),
            screen=NullProgress,
        )
    return found, change


def _end(duration: str | None, *, until: str | None, never: bool, now: datetime) -> datetime | None:
    """None: never. Raises UserError unless exactly one of the three is given."""
    if sum((duration is not None, until is not None, never)) != 1:
        raise UserError(
            "extend needs a duration, --until or --never"
            if duration is until is None
            else "extend takes one end only",
            hint="`bacalhau-spot extend 4h`, `extend --until 2026-11-28T20:00` or `extend --never`",
            exit_code=ExitCode.USAGE,
        )
    if duration is not None:
        return now + timedelta(seconds=lifetime(duration, flag="extend"))
    return None if until is None else end_time(until, flag="--until", now=now)


def _nothing(living: LivingCluster, *, cluster: str) -> UserError:
    unseen = living.failed_regions
    return UserError(
        f"no instance of cluster {cluster} is running"
        + (f" in the regions that could be scanned; {len(unseen)} could not" if unseen else ""),
        hint="`bacalhau-spot list` shows the cluster; `bacalhau-spot create` launches its nodes",
        exit_code=ExitCode.INCOMPLETE if unseen else ExitCode.FAILED,
    )
