"""`extend`: moves the end of the cluster's lifetime."""

from __future__ import annotations

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
    from datetime import datetime

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
        healed = healed_regions(spec) if cluster is None else ()
        configured = [region.name for region in spec.regions] if cluster is None else None
        living = runner.run_readonly(
            engine.find_cluster(runner.calls, naming, configured=configured, healed=healed)
        )
        planned = move_expiry(living.instances, at, now=runtime.clock.now(), groups=living.groups)
        if not planned.living and not planned.retag and not _launches(living):
            raise _nothing(living, cluster=naming.tag_value)
        change = ExpiryChange(planned, failed_regions=living.failed_regions)
        if planned.changes and not dry_run:
            if planned.shortens:
                context.print_status(views.extension_view(planned))
                where = f"{naming.tag_value} in account {living.identity.account_id}"
                context.confirm(f"End {where} earlier than before?", impact=Impact.DESTROYS, confirmed=yes)
            with ClusterLock(
                context, runner, naming=naming, identity=living.identity, command="extend", creates=False
            ) as lock:
                lock.take()
                if not lock.is_exclusive:
                    # The lock of a dead command is a launch template that the first scan may have listed.
                    living = runner.run_readonly(
                        engine.find_cluster(runner.calls, naming, configured=configured, healed=healed)
                    )
                    planned = move_expiry(living.instances, at, now=runtime.clock.now(), groups=living.groups)
                change = runner.run_with_progress(
                    engine.change_expiry(runner.calls, naming, living, planned), screen=NullProgress
                )
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


def _launches(living: LivingCluster) -> bool:
    """Whether a group is about to launch nodes."""
    return any(group.desired and not group.deleting for group in living.groups)


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
