"""`prune`: removes nodes without an instance from the orchestrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.context import CommandContext, no_api
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.runner import NullProgress
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, Cluster, CommonOptions, Yes
from bacalhau_spot.core.orchestrator.prune import PrunePlan, PruneResult, instances_to_check, prune_exit_code
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.orchestrator import orchestrator_sync
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.formatting import plural
from bacalhau_spot.ui.prompts import Impact

if TYPE_CHECKING:
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.orchestrator.port import Orchestrator


def prune(
    *,
    yes: Yes = False,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    cluster: Cluster = None,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Remove this cluster's terminated nodes from the orchestrator.

    The orchestrator lists a node until it is removed. Shows the nodes and asks. A node that is
    connected, not created by bacalhau-spot, or in a region that could not be scanned is kept.

    Parameters
    ----------
    yes
        Do not ask.
    dry_run
        Show what would be removed and stop.
    cluster
        Another cluster, by its tag value, instead of the configuration's.
    """
    context = CommandContext("prune", common, runtime)
    spec = context.spec(lenient=True)
    forgotten: PruneResult | None = None
    with context.runner(spec) as runner:
        with context.naming_other_clusters(runner, cluster=cluster):
            orchestrator = context.orchestrator(runner, cluster=cluster)
        if orchestrator is None:
            raise no_api("prune")
        plan = runner.run_readonly(
            _gather(runner.calls, orchestrator, cluster=context.label(cluster)), other="the orchestrator"
        )
        preview = views.prune_preview_view(plan, address=orchestrator.address, now=runtime.clock.now())
        view = preview
        if plan.stale and not dry_run:
            context.print_status(preview)
            question = (
                f"Remove {plural(len(plan.stale), 'node')} of {context.naming(cluster).tag_value} "
                f"from the orchestrator {orchestrator.address}?"
            )
            context.confirm(question, impact=Impact.DESTROYS, confirmed=yes)
            names = [decision.member.id for decision in plan.stale]
            forgotten = runner.run_with_progress(
                orchestrator_sync.remove_nodes(orchestrator, names, stop=runner.calls.stop),
                screen=NullProgress,
            )
            view = views.prune_result_view(plan, forgotten)
    code = prune_exit_code(plan, forgotten)
    others = (
        ()
        if plan.decisions
        else views.other_label_warnings(plan.other_clusters, address=orchestrator.address, command="prune")
    )
    failures = (*(forgotten.problems if forgotten else ()), *plan.failed_regions)
    return Result(
        "prune",
        view=view,
        data=json_output.prune_data(plan, forgotten, address=orchestrator.address),
        exit_code=code,
        errors=(*context.errors_of(failures, exit_code=code), *_elsewhere(plan)),
        warnings=others,
        stderr_warnings=others,
    )


def _elsewhere(plan: PrunePlan) -> tuple[UserError, ...]:
    if not plan.elsewhere:
        return ()
    error = UserError(
        "AWS lists no instance of any connected node; these credentials seem to be of another account",
        hint="use a profile of the cluster's account with --profile",
        exit_code=ExitCode.INCOMPLETE,
    )
    return (error,)


async def _gather(calls: AwsCalls, orchestrator: Orchestrator, *, cluster: str) -> PrunePlan:
    """The orchestrator is read first: a node that joins later is not in its list, and cannot be taken for a stale one."""
    nodes = await orchestrator.nodes()
    if not instances_to_check(nodes, cluster=cluster):
        return await orchestrator_sync.find_stale(calls, nodes, cluster=cluster, regions=())
    account = await discovery.load_account(calls)
    return await orchestrator_sync.find_stale(
        calls,
        nodes,
        cluster=cluster,
        regions=discovery.enabled_names(account.regions),
        identity=account.identity,
    )
