"""`reconcile`: makes the cluster as configured, once or again and again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.commands.destroy import (
    BESIDE_INSTANCES_S,
    DestroyCommand,
    DestroyOptions,
    destroy_request,
)
from bacalhau_spot.cli.commands.status import StatusReader
from bacalhau_spot.cli.runtime.cluster_lock import ClusterLock
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.fact_sources import fact_sources
from bacalhau_spot.cli.runtime.idle_check import check_idle
from bacalhau_spot.cli.runtime.notices import send_notices, send_or_stop
from bacalhau_spot.cli.runtime.parsers import duration
from bacalhau_spot.cli.runtime.reporting import consoles, unexpected
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.runner import NullProgress
from bacalhau_spot.cli.runtime.shared_options import AT_LEAST_ONE, NO_OPTIONS, CommonOptions
from bacalhau_spot.cli.runtime.termination import sigterm_as_interrupt
from bacalhau_spot.cli.state.audit_log import known_usages
from bacalhau_spot.cli.state.audit_log.writer import AuditLog, budget_key
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.launch.refusals import no_orchestrator_chosen
from bacalhau_spot.core.lifecycle.expiry import ExpiryKind
from bacalhau_spot.core.model import OrchestratorMode
from bacalhau_spot.core.notices import budget_reached, cluster_expired
from bacalhau_spot.core.pricing.estimate import current_cost
from bacalhau_spot.core.reconcile.pass_result import Hindrance, PassActions, PassResult
from bacalhau_spot.core.reconcile.reconcile_plan import reconcile_plan
from bacalhau_spot.engine.cleanup.job_results import configured_home
from bacalhau_spot.engine.iam.ownership import UntaggedResourceError
from bacalhau_spot.engine.launch.facts_gathering import refusal_error
from bacalhau_spot.engine.orchestrator.readiness import OrchestratorAccess
from bacalhau_spot.engine.reconcile.orchestrator_pass import end_nodes, published_differences
from bacalhau_spot.engine.reconcile.reconcile_pass import PassMemory, PassSources, carry_out
from bacalhau_spot.engine.reconcile.template_check import is_gone
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.orchestrator.nats_probe import probe_nats
from bacalhau_spot.ui import json_output, views

if TYPE_CHECKING:
    from decimal import Decimal

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.health.cluster_status import ClusterStatus
    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.core.notices import Notice
    from bacalhau_spot.core.reconcile.reconcile_plan import ReconcilePlan

# A shorter interval finds nothing new: a launched node needs a minute to join.
_SHORTEST = timedelta(seconds=10)
# A longer one leaves the cluster without its nodes for a day; cron or a systemd timer runs single passes.
_LONGEST = timedelta(days=1)
# The longest pause after failed passes, unless the interval is longer.
_LONGEST_PAUSE_S = 600.0
_MOST_DOUBLINGS = 10


def reconcile(
    *,
    every: Annotated[str | None, Parameter(metavar="DURATION")] = None,
    passes: Annotated[int | None, AT_LEAST_ONE, Parameter(metavar="NUMBER")] = None,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    on_orchestrator: Annotated[str | None, Parameter(name="--on-orchestrator", metavar="FOLDER")] = None,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Make the cluster as configured, once or again and again, without questions.

    Launches missing nodes, in other regions where one has no capacity; replaces unhealthy ones, drains surplus ones, and
    removes stale ones from the orchestrator. Keeps to `budget_usd_per_hour` and `max_price_usd_per_hour`. A cluster that
    does not exist is not created: `create` begins it, `destroy` ends it.

    Exit code 0: nothing was wrong, or all is put right. Exit code 1: something remains.

    Parameters
    ----------
    every
        Repeat at this interval, such as 60s or 5m, from 10s to 1d, until Ctrl-C or SIGTERM. The exit code is that of the last
        pass.
    passes
        End after this many passes.
    dry_run
        Show what a pass would change; nothing is changed.
    on_orchestrator
        For the managed orchestrator's machine itself: the address of its API, https://127.0.0.1:1234. The passes need fewer
        permissions, and leave the orchestrator unchanged.
    """
    interval = None if every is None else _interval(every)
    if interval is None and passes not in {None, 1}:
        raise UserError(
            "--passes needs --every, the interval between two passes",
            hint="add `--every 60s`",
            exit_code=ExitCode.USAGE,
        )
    if interval is not None and common.output == "yaml":
        raise UserError(
            "--every prints one result after the other, which is not a single YAML document",
            hint="use -o json or -o ndjson: one envelope a line",
            exit_code=ExitCode.USAGE,
        )
    reconciler = _Reconciler(common, runtime, dry_run=dry_run, local_api=on_orchestrator)
    if interval is None:
        return reconciler.run_once().as_result(reconciler.context)
    return _Repetition(reconciler, runtime, interval_s=interval.total_seconds(), most=passes).run()


def _interval(text: str) -> timedelta:
    """Raises UserError."""
    return duration(
        text,
        flag="--every",
        shortest=_SHORTEST,
        longest=_LONGEST,
        why="a launched node needs about a minute to join, and nothing replaces a node between two passes",
    )


@dataclass(frozen=True)
class _Finished:
    """A pass with a result. `warnings`: about this machine, such as an audit log that cannot be written."""

    result: PassResult
    warnings: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        return self.result.exit_code

    def as_result(self, context: CommandContext) -> Result:
        failures = (*self.result.actions.failures, *self.result.scan_failures)
        return Result(
            "reconcile",
            view=views.pass_view(self.result),
            data=json_output.reconcile_data(self.result),
            exit_code=self.exit_code,
            errors=context.errors_of(failures, exit_code=self.exit_code),
            warnings=self.warnings,
            stderr_warnings=self.warnings,
        )


@dataclass(frozen=True)
class _Failed:
    """A pass that ended with an error, before or between its changes."""

    error: UserError

    @property
    def exit_code(self) -> ExitCode:
        return self.error.exit_code

    def as_result(self, context: CommandContext) -> Result:
        del context
        return Result("reconcile", exit_code=self.exit_code, errors=(self.error,))


@dataclass(frozen=True)
class _Found:
    """The cluster, and what is to be changed."""

    status: ClusterStatus
    plan: ReconcilePlan
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Done:
    """What was changed, and the notices of it."""

    found: _Found
    actions: PassActions
    warnings: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()


class _Change:
    """The changes of one pass, recorded in the audit log."""

    def __init__(
        self,
        context: CommandContext,
        runner: Runner,
        reader: StatusReader,
        spec: ClusterSpec,
        memory: PassMemory,
    ) -> None:
        self._context = context
        self._runner = runner
        self._reader = reader
        self._spec = spec
        self._memory = memory
        self.warnings: tuple[str, ...] = ()
        self.notices: tuple[Notice, ...] = ()

    @property
    def regions(self) -> tuple[str, ...]:
        """All enabled ones."""
        return self._reader.account.enabled_regions

    def run(self, found: _Found) -> PassActions:
        context, runner = self._context, self._runner
        sources = PassSources(
            facts=fact_sources(context),
            access=OrchestratorAccess(nats=probe_nats, api=context.api_client),
            orchestrator=self._reader.orchestrator,
            label=context.label(),
            regions=self.regions,
            on_orchestrator=context.local_api is not None,
        )
        part = partial(carry_out, runner.calls, self._spec, found.status, found.plan, sources, self._memory)
        if found.plan.empty:
            return runner.run_readonly(part())
        identity, cluster = self._reader.account.identity, self._spec.naming.tag_value
        told = known_usages.last_budget_key(context, identity, cluster=cluster) or self._memory.budget_key
        audit = AuditLog(context, identity=identity, cluster=cluster)
        runner.listen(audit.emit)
        actions = runner.run_with_progress(part(), screen=NullProgress)
        audit.log_pass(actions)
        self._memory.budget_key = budget_key(actions)
        if actions.budget is not None and self._memory.budget_key != told:
            self.notices = (budget_reached(cluster, actions.budget, not_launched=actions.not_launched),)
        self.warnings = (*context.record(runner.calls.mistakes), *filter(None, (audit.trouble,)))
        return actions


class _Reconciler:
    """One pass at a time. Each reads the configuration again, so that a change of it takes effect."""

    def __init__(
        self, common: CommonOptions, runtime: Runtime, *, dry_run: bool, local_api: str | None
    ) -> None:
        self._common = common
        self._runtime = runtime
        self._dry_run = dry_run
        self._local_api = local_api
        self._memory = PassMemory()
        self._passes = 0
        self.context = CommandContext("reconcile", common, runtime)

    def run_once(self) -> _Finished:
        """Raises UserError, CloudError, KeyboardInterrupt."""
        self._passes += 1
        self.context = context = CommandContext("reconcile", self._common, self._runtime)
        context.local_api = self._local_api
        spec = context.spec()
        if self._local_api is not None and spec.orchestrator.mode is not OrchestratorMode.MANAGED:
            raise UserError(
                "--on-orchestrator is for the machine of a managed orchestrator, and the configuration has none",
                hint="leave the option out",
                exit_code=ExitCode.USAGE,
            )
        unchosen = no_orchestrator_chosen(spec)
        if unchosen is not None:
            raise refusal_error(unchosen)
        with context.runner(spec, run_id=f"{self._runtime.run_id}-{self._passes}") as runner:
            return self._run(context, runner, spec)

    def _run(self, context: CommandContext, runner: Runner, spec: ClusterSpec) -> _Finished:
        began_at, began_s = runner.calls.clock.now(), runner.calls.clock.monotonic_s()
        reader = StatusReader(context, cluster=None, regions=())
        try:
            found = self._look(reader, runner, spec)
            if self._dry_run:
                done = _Done(found, self._unchanged(runner, spec, found))
            else:
                done = self._change(context, runner, reader, spec, found)
        except (UserError, CloudError):
            send_notices(context, reader.take_notices())
            raise
        late, stopped = send_or_stop(context, (*reader.take_notices(), *done.notices))
        found, actions = done.found, done.actions
        status = found.status
        result = PassResult(
            cluster=spec.naming.tag_value,
            began_at=began_at,
            took=timedelta(seconds=runner.calls.clock.monotonic_s() - began_s),
            calls=runner.calls.sent,
            wanted=status.wanted_total or 0,
            present=status.total.present,
            joined=status.total.joined,
            plan=found.plan,
            actions=actions,
            scan_failures=status.failures,
            orchestrator_broken=status.orchestrator is not None and status.orchestrator.broken,
            usd_per_hour=self._cost(status, spec),
            expires_at=status.expiry.at,
            dry_run=self._dry_run,
            interrupted=stopped or runner.calls.stop.by_user,
        )
        return _Finished(result, (*found.warnings, *done.warnings, *late))

    def _look(self, reader: StatusReader, runner: Runner, spec: ClusterSpec) -> _Found:
        status = reader.now(runner)
        closed = self._memory.backoff.closed(status.snapshot.taken_at)
        idle = check_idle(self.context, runner, spec, status)
        plan = reconcile_plan(status, spec, closed=closed, idle_from=idle.since)
        return _Found(status, plan, tuple(filter(None, [idle.trouble])))

    def _unchanged(self, runner: Runner, spec: ClusterSpec, found: _Found) -> PassActions:
        """Of a dry run. It reads the configuration of the orchestrator's machine in the same cases as a pass that changes."""
        ends = found.plan.ended is not None and self._local_api is None
        hindered = None if found.plan.empty or ends else _other_configuration(runner, spec, found)
        return hindered or PassActions(missing=found.plan.missing)

    def _change(
        self, context: CommandContext, runner: Runner, reader: StatusReader, spec: ClusterSpec, found: _Found
    ) -> _Done:
        """Nothing is asked of AWS for an empty plan."""
        if found.plan.ended is not None and self._local_api is None:
            return self._ended(context, spec, found, PassActions())
        carried_out = _Change(context, runner, reader, spec, self._memory)
        if found.plan.empty:
            return _Done(found, carried_out.run(found))
        gone = is_gone(runner.calls, spec, found.status, regions=carried_out.regions)
        if runner.run_readonly(gone):
            return _Done(found, PassActions(missing=found.plan.missing, hindrance=Hindrance.NO_CLUSTER))
        lock = ClusterLock(
            context, runner, naming=spec.naming, identity=reader.account.identity, command="reconcile"
        )
        with lock:
            try:
                lock.take(wait_s=0)
            except UntaggedResourceError:  # no command of the cluster
                raise
            except UserError as held:
                actions = PassActions(missing=found.plan.missing, hindrance=Hindrance.LOCKED, reason=held.why)
                return _Done(found, actions)
            done = self._locked(runner, reader, spec, found, carried_out)
            if not done.actions.launched:
                lock.ends_in_order()
        done = replace(done, warnings=(*done.warnings, *lock.warnings))
        if done.actions.hindrance is Hindrance.EXPIRED and self._local_api is None:
            return self._ended(context, spec, done.found, done.actions, warnings=done.warnings)
        return done

    def _locked(
        self, runner: Runner, reader: StatusReader, spec: ClusterSpec, found: _Found, change: _Change
    ) -> _Done:
        """The changes, while this pass holds the lock: other commands may have changed the cluster until a moment ago."""
        hindered = _other_configuration(runner, spec, found)
        if hindered is not None:
            return _Done(found, hindered)
        if found.plan.removes:
            found = self._look(reader, runner, spec)
        if found.plan.ended is not None and self._local_api is not None:
            ended = runner.run_with_progress(end_nodes(runner.calls, spec, found.status), screen=NullProgress)
            return _Done(found, ended)
        actions = change.run(found)
        return _Done(found, actions, warnings=change.warnings, notices=change.notices)

    def _ended(
        self,
        context: CommandContext,
        spec: ClusterSpec,
        found: _Found,
        before: PassActions,
        *,
        warnings: tuple[str, ...] = (),
    ) -> _Done:
        """Delete the cluster. A notice is sent once all is deleted: the next pass finds no cluster."""
        ended = self._end(context, spec)
        actions = replace(before, deleted=ended.deleted, hindrance=ended.hindrance, missing=0)
        expired_at = before.expired_at if found.plan.ended is None else found.plan.ended.since
        notices: tuple[Notice, ...] = ()
        if actions.hindrance is None and expired_at is not None:
            nodes = sum(instance.alive for instance in found.status.snapshot.instances)
            idle = found.plan.ended is not None and found.plan.ended.kind is ExpiryKind.IDLE
            notices = (cluster_expired(spec.naming.tag_value, expired_at=expired_at, nodes=nodes, idle=idle),)
        return _Done(found, actions, warnings=warnings, notices=notices)

    def _end(self, context: CommandContext, spec: ClusterSpec) -> PassActions:
        """Delete the expired cluster, as `destroy` does; job results in the orchestrator's bucket stay."""
        managed = spec.orchestrator.mode is OrchestratorMode.MANAGED
        options = DestroyOptions(
            label=context.label(),
            agreed=True,
            disable_protection=False,
            delete_results=False,
            timeout_s=spec.timeouts.terminate_s + BESIDE_INSTANCES_S,
        )
        # Its lock needs another client token than that of the pass.
        with context.runner(spec, run_id=f"{self._runtime.run_id}-{self._passes}-end") as runner:
            command = DestroyCommand(
                context,
                runner,
                naming=spec.naming,
                request=destroy_request(spec, spec.naming, named=False),
                orchestrator=None if managed else context.orchestrator_if_any(runner),
                options=options,
                home=configured_home(spec),
                named=False,
            )
            ended = command.run(dry_run=False)
        resources = (ended.data or {}).get("outcomes", ())
        return PassActions(
            deleted=len(resources),
            hindrance=None if ended.exit_code is ExitCode.DONE else Hindrance.EXPIRED,
        )

    def _cost(self, status: ClusterStatus, spec: ClusterSpec) -> Decimal | None:
        memory = self._memory
        if memory.rates is None:
            return None
        return current_cost(
            [instance for instance in status.snapshot.instances if instance.alive],
            memory.prices,
            memory.rates,
            root_volume_gib=spec.instance.root_volume_gib,
            public_ip=spec.instance.public_ip,
        )


def _other_configuration(runner: Runner, spec: ClusterSpec, found: _Found) -> PassActions | None:
    """The hindrance, if the orchestrator's machine keeps the cluster with another configuration. Raises CloudError, UserError."""
    others = runner.run_readonly(published_differences(runner.calls, spec, found.status))
    if not others:
        return None
    return PassActions(
        missing=found.plan.missing, hindrance=Hindrance.OTHER_CONFIGURATION, reason=", ".join(others)
    )


class _Repetition:
    """Passes until a signal. An error of one does not end them, and makes the next pause longer."""

    def __init__(
        self, reconciler: _Reconciler, runtime: Runtime, *, interval_s: float, most: int | None
    ) -> None:
        self._reconciler = reconciler
        self._runtime = runtime
        self._interval_s = interval_s
        self._most = most
        self._failed = 0  # passes, one after the other

    def run(self) -> Result:
        """Raises UserError for a first pass whose configuration or command line is wrong."""
        last: _Finished | _Failed | None = None
        passes = 0
        try:
            while True:
                begun_s = self._runtime.clock.monotonic_s()
                with sigterm_as_interrupt(self._runtime.signals):
                    last = self._pass(first=passes == 0)
                passes += 1
                self._print(last)
                if passes == self._most or last.exit_code is ExitCode.INTERRUPTED:
                    break
                with sigterm_as_interrupt(self._runtime.signals):
                    self._pause(self._runtime.clock.monotonic_s() - begun_s)
        except KeyboardInterrupt:
            if last is None:
                raise
        return Result("reconcile", exit_code=last.exit_code, already_printed=True)

    def _pass(self, *, first: bool) -> _Finished | _Failed:
        try:
            finished = self._reconciler.run_once()
        except UserError as error:
            if first and error.exit_code is ExitCode.USAGE:
                raise
            self._failed += 1
            return _Failed(error)
        except CloudError as error:
            self._failed += 1
            return _Failed(unexpected(error, self._runtime))
        self._failed = 0
        return finished

    def _pause(self, took_s: float) -> None:
        """Until the next pass is due; longer after failures. A late pass is not followed by two at once."""
        wait_s = self._interval_s
        if self._failed:
            longest_s = max(self._interval_s, _LONGEST_PAUSE_S)
            wait_s = min(longest_s, self._interval_s * 2 ** min(self._failed, _MOST_DOUBLINGS))
        asyncio.run(self._runtime.clock.sleep(max(0.0, wait_s - took_s)))

    def _print(self, ended: _Finished | _Failed) -> None:
        result = ended.as_result(self._reconciler.context)
        if self._reconciler.context.for_people:
            out, err = consoles(self._runtime)
            if result.view is not None:
                out.print(result.view, crop=False)
            for warning in result.stderr_warnings:
                err.print(views.note("warning", warning), crop=False)
            for error in result.errors:
                err.print(views.error_view(error), crop=False)
        else:
            self._print_line(result)
        self._runtime.stdout.flush()

    def _print_line(self, result: Result) -> None:
        envelope = json_output.envelope(
            command="reconcile",
            data=result.data,
            exit_code=result.exit_code,
            errors=result.errors,
            warnings=result.warnings,
            endpoint=self._reconciler.context.endpoint,
        )
        form = "ndjson" if self._reconciler.context.common.output == "ndjson" else "line"
        json_output.write_envelope(self._runtime.stdout, envelope, form=form)
