"""`prices`: the spot price history of the cluster's pools."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.parsers import moment
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, Cluster, CommonOptions, Regions, several
from bacalhau_spot.cli.state.audit_log import known_usages
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.pricing.price_chart import price_chart
from bacalhau_spot.engine.pricing.prices import HISTORY_DAYS
from bacalhau_spot.ui import chart_files, json_output, views

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import ClusterSpec, Naming
    from bacalhau_spot.core.pricing.price_chart import PriceChart
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


def prices(
    *,
    since: Annotated[str, Parameter(metavar="TIME")] = "7d",
    region: Regions = (),
    instance_type: Annotated[tuple[str, ...], several("--type", "-t", metavar="TYPE")] = (),
    plot: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    cluster: Cluster = None,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Show the spot price history of the cluster's pools, or of the pools that the configuration allows.

    A table with a small curve for each pool; of a single region, a chart, too; or an image with `--plot`, which marks the
    launches and the interruptions of the cluster's instances.

    Parameters
    ----------
    since
        Start: a date such as 2026-11-20 or 2026-11-20T08:30 (UTC), or a duration such as 24h or 7d; at most 90 days.
    region
        Only these regions, such as us-east-1,eu-west-1.
    instance_type
        Only this instance type; may be repeated.
    plot
        Write an image file: .png, .svg or .html. Needs the extra `plot`.
    cluster
        Another cluster, by its tag value, instead of the configuration's.
    """
    context = CommandContext("prices", common, runtime)
    where = None if plot is None else runtime.path(plot)
    if where is not None:
        chart_files.check_format(where)
    now = runtime.clock.now()
    start = max(moment(since, flag="--since", now=now), now - timedelta(days=HISTORY_DAYS))
    spec, naming = context.spec(lenient=True), context.naming(cluster)
    with context.runner() as runner:
        chart, unseen = runner.run_readonly(
            _chart(context, runner.calls, spec, naming, since=start, regions=region, types=instance_type)
        )
    if where is not None and chart.lines:
        chart_files.draw(chart, where)
    return Result(
        "prices",
        view=views.prices_view(chart, picture=where, unseen=unseen),
        data=json_output.prices_data(chart, picture=where),
        exit_code=context.incomplete(unseen),
        errors=context.errors_of(unseen, exit_code=context.incomplete(unseen)),
    )


async def _chart(
    context: CommandContext,
    calls: AwsCalls,
    spec: ClusterSpec,
    naming: Naming,
    *,
    since: datetime,
    regions: Sequence[str],
    types: Sequence[str],
) -> tuple[PriceChart, tuple[ApiFailure, ...]]:
    account = await discovery.load_account(calls)
    discovery.requested_regions(account.regions, regions)  # raises for a region that is not enabled
    return await price_chart(
        calls,
        spec,
        naming,
        enabled=discovery.enabled_names(account.regions),
        logged=known_usages.logged_usages(context, account.identity, cluster=naming.tag_value),
        since=since,
        regions=regions,
        types=types,
    )
