"""`clusters`: every cluster in the account, at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_TABULAR_OPTIONS, Regions, TabularOptions
from bacalhau_spot.cli.state.audit_log import known_usages
from bacalhau_spot.cli.state.known_nodes import remember_clusters
from bacalhau_spot.core.clusters.cluster_summary import cluster_overview
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.clusters import account_clusters as engine
from bacalhau_spot.ui import csv_output, json_output, views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.clusters.cluster_summary import AccountResources, ClusterOverview, CurrentPrices
    from bacalhau_spot.core.inventory import AccountContext
    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


def clusters(
    *,
    region: Regions = (),
    common: TabularOptions = NO_TABULAR_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """List every cluster in the account with its nodes, regions, cost per hour, owner and expiry.

    A cluster is a value of the configured tag key. The list includes clusters without instances of which other resources
    remain, and lists resources of other programs under the same key apart. Changes nothing.

    Parameters
    ----------
    region
        Only these regions, such as us-east-1,eu-west-1.
    """
    context = CommandContext("clusters", common, runtime)
    naming = context.naming()
    configured = [at.name for at in context.spec(lenient=True).regions]
    with context.runner() as runner:
        account, found, prices = runner.run_readonly(
            _gather(runner.calls, naming, regions=region, configured=configured)
        )
    overview = cluster_overview(
        found,
        naming,
        account_id=account.identity.account_id,
        prices=prices,
        launched_by=known_usages.launched_by(context, account.identity),
        now=runtime.clock.now(),
    )
    remember_clusters(context, (cluster.name for cluster in overview.clusters))
    return _result(context, overview)


async def _gather(
    calls: AwsCalls, naming: Naming, *, regions: Sequence[str], configured: Sequence[str]
) -> tuple[AccountContext, AccountResources, CurrentPrices]:
    account = await discovery.load_account(calls)
    where = discovery.requested_regions(account.regions, regions)
    found = await engine.account_resources(calls, naming, regions=where, certain=configured)
    return account, found, await engine.current_prices(calls, found)


def _result(context: CommandContext, overview: ClusterOverview) -> Result:
    return Result(
        "clusters",
        view=views.clusters_view(overview, wide=context.common.output == "wide"),
        data=json_output.clusters_data(overview),
        rows=csv_output.cluster_rows(overview),
        exit_code=overview.exit_code,
        errors=context.errors_of(overview.incomplete, exit_code=overview.exit_code),
    )
