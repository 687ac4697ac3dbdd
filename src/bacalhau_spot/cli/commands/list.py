"""`list`: the instances and other resources with the cluster's tag, in every region."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime import other_clusters
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.notices import observation_notices, send_notices
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_TABULAR_OPTIONS, Cluster, Regions, TabularOptions
from bacalhau_spot.cli.state import known_nodes
from bacalhau_spot.cli.state.audit_log import known_usages
from bacalhau_spot.core.launch.group_plan import healed_regions
from bacalhau_spot.core.model import State
from bacalhau_spot.core.pricing.usage_history import ended_usages
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.cleanup.job_results import with_results_bucket
from bacalhau_spot.engine.pricing.cost_summary import PriceMemory, listed_cost
from bacalhau_spot.engine.scaling_group.groups import with_groups
from bacalhau_spot.ui import csv_output, json_output, views

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from bacalhau_spot.core.clusters.listing import Listing
    from bacalhau_spot.core.inventory import AccountContext
    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.core.pricing.cost_summary import CostSummary
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


def list_(
    *,
    region: Regions = (),
    state: Annotated[
        list[State] | None, Parameter(name=["--state", "-s"], negative="", metavar="STATE...")
    ] = None,
    show_all: Annotated[bool, Parameter(name=["--all", "-a"], negative="")] = False,
    cluster: Cluster = None,
    common: TabularOptions = NO_TABULAR_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """List the cluster's instances in all regions, as AWS reports them now.

    A managed orchestrator is listed apart.

    Parameters
    ----------
    region
        Only these regions, such as us-east-1,eu-west-1.
    state
        Only instances in this state; may be repeated.
    show_all
        Include terminated instances, while AWS still lists them.
    cluster
        Another cluster, by its tag value, instead of the configuration's.
    """
    context = CommandContext("list", common, runtime)
    naming = context.naming(cluster)
    spec = context.spec(lenient=True)
    healed = healed_regions(spec) if cluster is None else ()
    configured = [at.name for at in spec.regions] if cluster is None else []
    with context.runner() as runner:

        async def cost_of(account: AccountContext, found: Listing) -> CostSummary | None:
            if region:
                return None  # the cost is that of the whole cluster
            return await listed_cost(
                runner.calls,
                spec,
                [*found.instances, *([found.orchestrator] if found.orchestrator else [])],
                known_usages.logged_usages(context, account.identity, cluster=naming.tag_value),
                cluster=naming.tag_value,
                memory=PriceMemory(context.cache(), account.identity.account_id),
                unseen=[failure.region for failure in found.failed_regions],
            )

        account, found = runner.run_readonly(
            _listing(
                runner.calls, naming, regions=region, healed=healed, configured=configured, cost_of=cost_of
            )
        )
        others: tuple[str, ...] = ()
        if not found.orchestrator and not any(instance.alive for instance in found.instances):
            where = discovery.requested_regions(account.regions, region)
            others = other_clusters.warnings(runner, naming, regions=where, command="list")
    known_nodes.remember_nodes(context, naming.tag_value, found.instances)
    # A failure to write the log does not prevent the listing.
    new = known_usages.log_observations(
        context, account.identity, cluster=naming.tag_value, ended=ended_usages(found.instances)
    )
    late = send_notices(
        context, observation_notices(context, account.identity, new, cluster=naming.tag_value)
    )
    drifted = context.drifted(found.instances, cluster=cluster)
    chosen = _filtered(replace(found, drifted=drifted), states=state, show_all=show_all)
    return Result(
        "list",
        view=views.listing_view(
            chosen, wide=common.output == "wide", now=runtime.clock.now(), configured=cluster is None
        ),
        data=json_output.listing_data(chosen),
        rows=csv_output.listing_rows(chosen),
        exit_code=found.exit_code,
        errors=context.errors_of(found.failed_regions, exit_code=found.exit_code),
        warnings=(*others, *late),
        stderr_warnings=(*others, *late),
    )


async def _listing(
    calls: AwsCalls,
    naming: Naming,
    *,
    regions: Sequence[str],
    healed: Collection[str],
    configured: Collection[str],
    cost_of: Callable[[AccountContext, Listing], Awaitable[CostSummary | None]],
) -> tuple[AccountContext, Listing]:
    account = await discovery.load_account(calls)
    where = discovery.requested_regions(account.regions, regions)
    found = await discovery.cluster_listing(
        calls, naming, cluster=naming.tag_value, regions=where, configured=configured
    )

    async def second_look() -> Listing:
        bucket = await with_results_bucket(calls, naming, found, account_id=account.identity.account_id)
        return await with_groups(calls, naming, bucket, healed=healed)

    complete, cost = await asyncio.gather(second_look(), cost_of(account, found))
    return account, replace(complete, cost=cost)


def _filtered(listing: Listing, *, states: list[State] | None, show_all: bool) -> Listing:
    def wanted(state: State) -> bool:
        if states:
            return state in states
        return show_all or state is not State.TERMINATED

    orchestrator = listing.orchestrator
    return replace(
        listing,
        instances=tuple(instance for instance in listing.instances if wanted(instance.state)),
        orchestrator=orchestrator if orchestrator and wanted(orchestrator.state) else None,
    )
