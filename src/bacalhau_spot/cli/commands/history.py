"""`history`: the launches, joins, interruptions and replacements of the cluster's nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime import other_clusters
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.notices import observation_notices, send_notices
from bacalhau_spot.cli.runtime.parsers import moment
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_TABULAR_OPTIONS, Cluster, Regions, TabularOptions
from bacalhau_spot.cli.state.audit_log import known_usages
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.history.cluster_history import LogRecords, cluster_history
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.history_rows import history_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.history.history_report import HistoryReport
    from bacalhau_spot.core.inventory import AccountContext
    from bacalhau_spot.core.model import Naming


def history(
    *,
    since: Annotated[str, Parameter(metavar="TIME")] = "7d",
    region: Regions = (),
    cluster: Cluster = None,
    common: TabularOptions = NO_TABULAR_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Show the launches, joins, interruptions and replacements of the cluster's nodes, the newest last.

    From AWS, from the orchestrator, and from this machine's audit log for nodes that AWS no longer lists. With AWS's reason,
    zone, type, age and spot price, and the time from each interruption until its replacement joined.

    Parameters
    ----------
    since
        Start: a date such as 2026-11-20 or 2026-11-20T08:30 (UTC), or a duration such as 24h or 7d.
    region
        Only events in these regions, such as us-east-1,eu-west-1.
    cluster
        Another cluster, by its tag value, instead of the configuration's.
    """
    context = CommandContext("history", common, runtime)
    start = moment(since, flag="--since", now=runtime.clock.now())
    naming = context.naming(cluster)
    with context.runner() as runner:
        account = runner.run_readonly(discovery.load_account(runner.calls))
        enabled = discovery.enabled_names(account.regions)
        only = discovery.requested_regions(account.regions, region) if region else ()
        found = _read(context, runner, account, naming, since=start, only=only)
        others: tuple[str, ...] = ()
        if not found.timeline.events:
            others = other_clusters.warnings(runner, naming, regions=enabled, command="history")
    trouble = known_usages.log_trouble(context, account.identity, cluster=found.cluster)
    new = known_usages.log_observations(
        context,
        account.identity,
        cluster=found.cluster,
        ended=[record.usage for record in found.records if record.ended_at is not None],
        nodes=found.records,
    )
    notices = observation_notices(
        context, account.identity, new, cluster=found.cluster, records=found.records
    )
    late = (*others, *trouble, *new.warnings, *send_notices(context, notices))
    return Result(
        "history",
        view=views.history_view(found),
        data=json_output.history_data(found),
        rows=history_rows(found),
        exit_code=found.exit_code,
        errors=context.errors_of(found.incomplete, exit_code=found.exit_code),
        warnings=late,
        stderr_warnings=late,
    )


def _read(
    context: CommandContext,
    runner: Runner,
    account: AccountContext,
    naming: Naming,
    *,
    since: datetime,
    only: Sequence[str],
) -> HistoryReport:
    """Raises CloudError."""
    cluster = naming.tag_value
    orchestrator, unreadable = context.orchestrator_or_failure(runner, cluster=cluster)
    log = LogRecords(
        known_usages.logged_usages(context, account.identity, cluster=cluster),
        known_usages.terminated_by(context, account.identity),
    )
    return runner.run_readonly(
        cluster_history(
            runner.calls,
            naming,
            regions=discovery.enabled_names(account.regions),
            only=only,
            since=since,
            log=log,
            orchestrator=orchestrator,
            unreadable=unreadable,
        )
    )
