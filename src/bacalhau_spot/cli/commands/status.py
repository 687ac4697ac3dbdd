"""`status`: the health of the whole cluster, once or repeatedly."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime import other_clusters, safe_streams
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.notices import observation_notices, send_notices, send_or_stop
from bacalhau_spot.cli.runtime.reporting import consoles
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import (
    INTERVAL,
    NO_TABULAR_OPTIONS,
    Cluster,
    Regions,
    TabularOptions,
)
from bacalhau_spot.cli.runtime.watch_keys import WatchKeys, watch_keys
from bacalhau_spot.cli.state import known_nodes
from bacalhau_spot.cli.state.audit_log import known_usages
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.health.cluster_status import ClusterSnapshot, ClusterStatus
from bacalhau_spot.core.health.cluster_status import cluster_status as judged
from bacalhau_spot.core.health.observation import ApiAvailability
from bacalhau_spot.core.history.interruptions import interruptions_since
from bacalhau_spot.core.history.node_records import node_records
from bacalhau_spot.core.launch.group_plan import healed_regions
from bacalhau_spot.core.orchestrator.managed_state import newest_usable
from bacalhau_spot.core.pricing.usage_history import AwsInventory, ended_usages
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.health import cluster_snapshot as looking
from bacalhau_spot.engine.pricing.cost_summary import PriceMemory, listed_cost
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import csv_output, json_output, views
from bacalhau_spot.ui.progress import status_watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.history.node_records import NodeRecord
    from bacalhau_spot.core.inventory import AccountContext
    from bacalhau_spot.core.model import ClusterSpec, Identity, Naming
    from bacalhau_spot.core.notices import Notice
    from bacalhau_spot.core.pricing.cost_summary import CostSummary
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.orchestrator.port import Orchestrator

# The period of the line about interruptions.
_INTERRUPTIONS_OF = timedelta(hours=24)
# The interval of the questions for prices, with --watch.
_PRICES_S = 60.0


def status(
    *,
    watch: Annotated[bool, Parameter(name=["--watch", "-w"], negative="")] = False,
    interval: Annotated[float, INTERVAL] = 5.0,
    region: Regions = (),
    cluster: Cluster = None,
    common: TabularOptions = NO_TABULAR_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Show the cluster's health from EC2, the orchestrator and the nodes, with a remedy for each problem.

    Exit code 0: the cluster matches the configuration and every node has joined. Exit code 1: it does not.

    Parameters
    ----------
    watch
        Repeat until Ctrl-C or the key q. The exit code is that of the latest check. On a terminal, keys select a node and
        open its console, ssh or its replacement; `?` shows them.
    interval
        Seconds between two checks.
    region
        Only these regions, such as us-east-1,eu-west-1.
    cluster
        Another cluster, by its tag value, instead of the configuration's.
    """
    context = CommandContext("status", common, runtime)
    if watch and common.output in {"json", "yaml"}:
        raise UserError(
            "--watch prints one result after the other, which is not a single JSON or YAML document",
            hint="use -o ndjson: one envelope a line",
            exit_code=ExitCode.USAGE,
        )
    if watch and (common.output == "csv" or common.columns):
        raise UserError(
            "--watch prints one result after the other, which is not a single table",
            hint="leave out --watch, or -o csv and --columns; -o ndjson prints one envelope a line",
            exit_code=ExitCode.USAGE,
        )
    reader = StatusReader(context, cluster=cluster, regions=region, with_cost=not region)
    if watch:
        return _watch(context, reader, interval_s=interval)
    with context.runner() as runner:
        found = reader.now(runner)
        alive = any(
            node.observation.instance is not None and node.observation.instance.alive for node in found.nodes
        )
        others = () if alive else reader.other_clusters(runner)
    return _result(context, found, warnings=(*others, *send_notices(context, reader.take_notices())))


class StatusReader:
    """A repeatable check: the identity and the regions are read only once, the orchestrator's address until its API answers."""

    def __init__(
        self,
        context: CommandContext,
        *,
        cluster: str | None,
        regions: tuple[str, ...],
        with_cost: bool = False,
    ) -> None:
        self._with_cost = with_cost
        self._cost: CostSummary | None = None
        self._cost_at_s: float | None = None
        self._call = context
        spec = context.spec(lenient=True)
        self.naming: Naming = context.naming(cluster)
        self._own: ClusterSpec | None = spec if self.naming == spec.naming else None
        self._timeouts = spec.timeouts
        self._label = context.label(cluster)
        self._only = regions
        self._cluster = cluster
        self._orchestrator: Orchestrator | None = None
        self._unreadable: ApiFailure | None = None
        self._answers = False
        self._here: AccountContext | None = None
        self._notices: tuple[Notice, ...] = ()

    @property
    def account(self) -> AccountContext:
        """Call `now` first."""
        if self._here is None:
            raise AssertionError("the account is known after the first check")
        return self._here

    @property
    def orchestrator(self) -> Orchestrator | None:
        """The one that the latest check asked; None without an API."""
        return self._orchestrator

    def take_notices(self) -> tuple[Notice, ...]:
        """The notices of the checks since the last call: each has to be sent once."""
        taken, self._notices = self._notices, ()
        return taken

    def other_clusters(self, runner: Runner) -> tuple[str, ...]:
        """Other clusters under the tag key, for a cluster without running nodes. Call `now` first."""
        if self._here is None:
            return ()
        reachable = discovery.requested_regions(self._here.regions, self._only)
        return other_clusters.warnings(runner, self.naming, regions=reachable, command="status")

    def now(self, runner: Runner) -> ClusterStatus:
        """Raises CloudError, and UserError for a region that the account does not have."""
        if self._here is None:
            self._here = runner.run_readonly(discovery.load_account(runner.calls))
        if not self._answers:
            found = self._call.orchestrator_or_failure(runner, cluster=self._cluster)
            self._orchestrator, self._unreadable = found
        regions = discovery.requested_regions(self._here.regions, self._only)
        snapshot = self._snapshot(runner, regions)
        if not self._answers and self._finds_managed(runner, snapshot):
            snapshot = self._snapshot(runner, regions)
        self._answers = snapshot.api is ApiAvailability.AVAILABLE
        everywhere = self._records(snapshot, self._here.identity)
        records = tuple(record for record in everywhere if not self._only or record.region in self._only)
        known_nodes.remember_nodes(self._call, self.naming.tag_value, snapshot.instances)
        # A failure to write the log does not prevent the check.
        new = known_usages.log_observations(
            self._call,
            self._here.identity,
            cluster=self.naming.tag_value,
            ended=ended_usages((*snapshot.instances, *snapshot.orchestrators), snapshot.spots),
            nodes=records,
        )
        self._notices += observation_notices(
            self._call, self._here.identity, new, cluster=self.naming.tag_value, records=everywhere
        )
        health = judged(
            snapshot,
            cluster=self.naming.tag_value,
            label=self._label,
            timeouts=self._timeouts,
            spec=self._own,
            only=self._only,
            terminated_by=known_usages.terminated_by(self._call, self._here.identity),
            drifted=self._call.drifted(snapshot.instances, cluster=self._cluster),
        )
        return replace(
            health,
            interruptions=interruptions_since(records, snapshot.taken_at - _INTERRUPTIONS_OF),
            cost=self._current_cost(runner, snapshot, self._here.identity),
        )

    def _current_cost(
        self, runner: Runner, snapshot: ClusterSnapshot, identity: Identity
    ) -> CostSummary | None:
        """Of the whole cluster. Repeated checks ask for prices once a minute."""
        if not self._with_cost:
            return None
        now_s = runner.calls.clock.monotonic_s()
        if self._cost_at_s is None or now_s - self._cost_at_s >= _PRICES_S:
            self._cost_at_s = now_s
            self._cost = runner.run_readonly(
                listed_cost(
                    runner.calls,
                    self._call.spec(lenient=True),
                    (*snapshot.instances, *snapshot.orchestrators),
                    known_usages.logged_usages(self._call, identity, cluster=self.naming.tag_value),
                    cluster=self.naming.tag_value,
                    memory=PriceMemory(self._call.cache(), identity.account_id),
                    unseen=[failure.region for failure in snapshot.failed_regions],
                )
            )
        return self._cost

    def _records(self, snapshot: ClusterSnapshot, identity: Identity) -> tuple[NodeRecord, ...]:
        """From this check and the audit log."""
        logged = known_usages.logged_usages(self._call, identity, cluster=self.naming.tag_value)
        return node_records(
            AwsInventory(instances=snapshot.instances, requests=snapshot.requests),
            logged,
            now=snapshot.taken_at,
            listing=snapshot.listing,
        )

    def _snapshot(self, runner: Runner, regions: Sequence[str]) -> ClusterSnapshot:
        return runner.run_readonly(
            looking.cluster_snapshot(
                runner.calls,
                self.naming,
                regions=regions,
                orchestrator=self._orchestrator,
                unreadable=self._unreadable,
                healed=() if self._own is None else healed_regions(self._own),
            ),
            other="the orchestrator" if self._orchestrator else "",
        )

    def _finds_managed(self, runner: Runner, snapshot: ClusterSnapshot) -> bool:
        """Whether the cluster has a managed orchestrator that the configuration does not name; from then on it is asked."""
        instance = newest_usable(snapshot.orchestrators)
        if instance is None or self._call.spec(lenient=True).orchestrator.in_account:
            return False
        self._orchestrator = self._call.managed_client(runner, self.naming, region=instance.region)
        return True


def _result(context: CommandContext, found: ClusterStatus, *, warnings: tuple[str, ...] = ()) -> Result:
    return Result(
        "status",
        view=views.status_view(found, wide=context.common.output == "wide"),
        data=json_output.status_data(found),
        rows=csv_output.status_rows(found),
        exit_code=found.exit_code,
        errors=context.errors_of(found.failures, exit_code=found.exit_code),
        warnings=warnings,
        stderr_warnings=warnings,
    )


def _watch(context: CommandContext, reader: StatusReader, *, interval_s: float) -> Result:
    """Until Ctrl-C, or until nobody reads any more. The first check may raise; after a later failure the previous result
    remains on screen.
    """
    found: ClusterStatus | None = None
    watcher: status_watch.StatusWatcher | None = None
    warnings: dict[str, None] = {}
    try:
        with context.runner() as runner, contextlib.ExitStack() as stack:
            found = reader.now(runner)
            runner.hide_looks()  # the watcher shows the time of the last check
            watcher = _watcher(context, interval_s=interval_s)
            keys = stack.enter_context(watch_keys(context, watcher))
            watcher.show(found)
            while True:
                late, stopped = send_or_stop(context, reader.take_notices())
                warnings.update(dict.fromkeys(late))
                if not isinstance(watcher, status_watch.LiveWatcher):
                    _print_warnings(context, late)
                if stopped:
                    break
                if _pause(context, runner, keys, interval_s=interval_s):
                    break
                try:
                    found = reader.now(runner)
                    watcher.show(found)
                except CloudError as error:
                    watcher.fail(f"{error.operation}: {error.code}")
    except KeyboardInterrupt:
        if found is None:
            raise
    finally:
        if watcher is not None:
            watcher.close()
    if isinstance(watcher, status_watch.LiveWatcher):
        return _result(context, found, warnings=tuple(warnings))
    return Result("status", exit_code=found.exit_code, already_printed=True)


def _pause(context: CommandContext, runner: Runner, keys: WatchKeys | None, *, interval_s: float) -> bool:
    """Until the next check; whether there is none: nobody reads any more, or the user quits with a key."""
    if not safe_streams.is_read(context.runtime.stdout):
        return True
    if keys is not None:
        return keys.wait(runner, context.runtime.clock, interval_s)
    runner.run_readonly(context.runtime.clock.sleep(interval_s))
    return False


def _print_warnings(context: CommandContext, warnings: Sequence[str]) -> None:
    for warning in warnings:
        context.err.print(views.note("warning", warning), crop=False)


def _watcher(context: CommandContext, *, interval_s: float) -> status_watch.StatusWatcher:
    if context.common.output == "ndjson":
        return status_watch.JsonWatcher(context.runtime.stdout, endpoint=context.endpoint)
    wide = context.common.output == "wide"
    out, _ = consoles(context.runtime)
    if out.is_terminal:
        return status_watch.LiveWatcher(out, interval_s=interval_s, wide=wide)
    return status_watch.PlainWatcher(out, wide=wide)
