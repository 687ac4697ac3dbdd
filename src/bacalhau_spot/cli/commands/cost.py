"""`cost`: the cluster's cost since its creation, and its current cost per hour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from bacalhau_spot.cli.runtime import other_clusters
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.notices import observation_notices, send_notices
from bacalhau_spot.cli.runtime.parsers import moment
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_TABULAR_OPTIONS, Cluster, TabularOptions
from bacalhau_spot.cli.state.audit_log import known_usages
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.pricing import cost as engine
from bacalhau_spot.ui import csv_output, json_output, views

if TYPE_CHECKING:
    from datetime import datetime

    from bacalhau_spot.core.inventory import AccountContext
    from bacalhau_spot.core.model import ClusterSpec, Naming
    from bacalhau_spot.core.pricing.cost_report import CostReport
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

Grouping = Literal["region", "zone", "type", "pool", "instance"]


def cost(
    *,
    since: Annotated[str | None, Parameter(metavar="TIME")] = None,
    by: Annotated[Grouping, Parameter(metavar="WHAT")] = "region",
    cluster: Cluster = None,
    common: TabularOptions = NO_TABULAR_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Show the cluster's cost so far and its current cost per hour.

    From AWS, and from this machine's audit log for instances that AWS no longer lists. Covers instances at their spot
    prices by the second, volumes, public addresses and a managed orchestrator, and compares them with on-demand prices.

    Parameters
    ----------
    since
        Only costs since then: a date such as 2026-11-20 or 2026-11-20T08:30 (UTC), or a duration such as 24h or 7d.
    by
        Group by.
    cluster
        Another cluster, by its tag value, instead of the configuration's.
    """
    context = CommandContext("cost", common, runtime)
    start = moment(since, flag="--since", now=runtime.clock.now()) if since is not None else None
    spec, naming = context.spec(lenient=True), context.naming(cluster)
    with context.runner() as runner:
        look = _gather(context, runner.calls, naming, since=start, spec=spec)
        account, report = runner.run_readonly(look)
        others: tuple[str, ...] = ()
        if not any(charge.usage.ended_at is None for charge in report.charges):
            enabled = discovery.enabled_names(account.regions)
            others = other_clusters.warnings(runner, naming, regions=enabled, command="cost")
    ended = [usage for usage in report.usages.usages if usage.id not in report.usages.unknown_end_ids]
    trouble = known_usages.log_trouble(context, account.identity, cluster=report.cluster)
    new = known_usages.log_observations(context, account.identity, cluster=report.cluster, ended=ended)
    notices = observation_notices(context, account.identity, new, cluster=report.cluster)
    late = (*others, *trouble, *new.warnings, *send_notices(context, notices))
    return Result(
        "cost",
        view=views.cost_view(report, by=by, wide=common.output == "wide"),
        data=json_output.cost_data(report),
        rows=csv_output.cost_rows(report),
        exit_code=report.exit_code,
        errors=context.errors_of(report.incomplete, exit_code=report.exit_code),
        warnings=late,
        stderr_warnings=late,
    )


async def _gather(
    context: CommandContext, calls: AwsCalls, naming: Naming, *, since: datetime | None, spec: ClusterSpec
) -> tuple[AccountContext, CostReport]:
    """The account and the cost report."""
    account = await discovery.load_account(calls)
    usage = await engine.cluster_usage(
        calls,
        naming,
        regions=discovery.enabled_names(account.regions),
        logged=known_usages.logged_usages(context, account.identity, cluster=naming.tag_value),
        root_volume_gib=spec.instance.root_volume_gib,
        data_volume_gib=spec.orchestrator.volume_gib,
        since=since,
    )
    return account, await engine.cost_report(calls, usage)
