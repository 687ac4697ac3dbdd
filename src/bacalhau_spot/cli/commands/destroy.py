"""`destroy`: this cluster gone, in one run, verified."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime import other_clusters
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import AT_LEAST_ONE, NO_OPTIONS, Cluster, CommonOptions, Yes
from bacalhau_spot.cli.state.audit_log.writer import AuditLog
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import State
from bacalhau_spot.core.tags import cluster_scope
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.aws_calls.consistency import LAG_S
from bacalhau_spot.engine.cleanup import resource_scan, teardown
from bacalhau_spot.engine.cleanup.region_teardown import DeletionOptions
from bacalhau_spot.engine.cleanup.scan_result import ScanRequest
from bacalhau_spot.engine.orchestrator import orchestrator_sync
from bacalhau_spot.instance.user_data import in_ssm
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.formatting import plural
from bacalhau_spot.ui.prompts import Impact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from rich.console import RenderableType

    from bacalhau_spot.core.cleanup.deletion_result import DeletionResult
    from bacalhau_spot.core.inventory import AccountContext
    from bacalhau_spot.core.model import ClusterSpec, Identity, Naming, Resource
    from bacalhau_spot.core.orchestrator.prune import PruneResult
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.cleanup.scan_result import ScanResult
    from bacalhau_spot.orchestrator.port import Orchestrator

# Deleting takes as long as instances take to end, and then a little; doubled.
_BESIDE_INSTANCES_S = 300
# States of instances on which nothing runs any more.
_ENDING = frozenset({State.SHUTTING_DOWN, State.TERMINATED})


def destroy(
    *,
    yes: Yes = False,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    cluster: Cluster = None,
    disable_protection: Annotated[bool, Parameter(name="--disable-protection", negative="")] = False,
    timeout: Annotated[int | None, AT_LEAST_ONE, Parameter(name="--timeout")] = None,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Delete all resources of this cluster in every region, and verify the deletion.

    Shows the resources and asks. Resources without the cluster's tag are not touched. Where the orchestrator's API is
    configured, the cluster's terminated nodes are removed from the orchestrator.

    Parameters
    ----------
    yes
        Do not ask.
    dry_run
        Show what would be deleted and stop.
    cluster
        Another cluster, by its tag value, instead of the configuration's.
    disable_protection
        Disable the protection against deletion of the cluster's resources.
    timeout
        Stop after this many seconds and list the remaining resources.
    """
    context = CommandContext("destroy", common, runtime)
    spec = context.spec(lenient=True)
    naming = context.naming(cluster)
    search = _search(spec, naming, named=cluster is not None)
    orchestrator = context.orchestrator()
    with context.runner(spec) as runner:
        account, scan = runner.run_readonly(_scan(runner.calls, search))
        if scan.empty:
            context.print_status(views.looking_again_view(LAG_S))
            regions = discovery.enabled_names(account.regions)
            scan = runner.run_readonly(
                resource_scan.look_after_lag(runner.calls, search, scan, regions=regions)
            )
        others: tuple[str, ...] = ()
        if scan.empty:
            enabled = discovery.enabled_names(account.regions)
            others = other_clusters.warnings(runner, naming, regions=enabled, command="destroy")
        doomed = [resource for resource in scan.resources if not resource.retained]
        preview = views.deletion_preview_view(
            doomed,
            unknown=scan.unsupported,
            identity=account.identity,
            cluster=naming.tag_value,
            unseen=scan.failures,
            silent=scan.partial_failures,
        )
        if dry_run:
            return _preview(context, scan, view=preview, warnings=others)
        if doomed:
            context.print_status(preview)
            _agree(context, doomed, identity=account.identity, cluster=naming.tag_value, agreed=yes)
        audit = AuditLog(context, identity=account.identity, cluster=naming.tag_value)
        runner.listen(audit.emit)
        part = teardown.delete_resources(
            runner.calls,
            search,
            cluster=naming.tag_value,
            scan=scan,
            options=DeletionOptions(disable_protection=disable_protection),
            timeout_s=timeout or spec.timeouts.terminate_s + _BESIDE_INSTANCES_S,
        )
        receipt, result = runner.run_with_progress(
            _destroy(
                part,
                runner.calls,
                orchestrator,
                cluster=context.label(cluster),
                regions=discovery.enabled_names(account.regions),
            ),
            screen=partial(context.screen, sorted(scan.busy), title=f"destroying {naming.tag_value}"),
        )
    audit.log_deletion(receipt)
    late = (*others, *context.record(runner.calls.mistakes), *filter(None, (audit.trouble,)))
    return _done(context, receipt, result, naming=naming, warnings=(*late, *views.not_removed_text(result)))


def _agree(
    context: CommandContext, doomed: Sequence[Resource], *, identity: Identity, cluster: str, agreed: bool
) -> None:
    """Raises UserError (exit code 3) unless the user agrees: where nodes run, by typing the cluster's name."""
    running = sum(
        resource.kind == ResourceKind.INSTANCE and resource.state not in _ENDING for resource in doomed
    )
    nodes = f" ({plural(running, 'running node')})" if running else ""
    question = (
        f"Delete {plural(len(doomed), 'resource')} of {cluster}{nodes} in account {identity.account_id}?"
    )
    if running:
        context.confirm_typed(
            question, word=cluster, name="the cluster's name", confirmed=agreed, danger=Impact.DESTROYS
        )
    else:
        context.confirm(question, impact=Impact.DESTROYS, confirmed=agreed)


def _done(
    context: CommandContext,
    result: DeletionResult,
    forgotten: PruneResult | None,
    *,
    naming: Naming,
    warnings: tuple[str, ...],
) -> Result:
    return Result(
        "destroy",
        view=views.with_prune_result(views.deletion_result_view(result, naming=naming), forgotten),
        data=json_output.deletion_data(result, forgotten),
        exit_code=result.exit_code,
        errors=context.errors_of((*result.problems, *result.failed_regions), exit_code=result.exit_code),
        warnings=warnings,
        stderr_warnings=warnings,
    )


def _preview(
    context: CommandContext, scan: ScanResult, *, view: RenderableType, warnings: tuple[str, ...]
) -> Result:
    return Result(
        "destroy",
        view=view,
        data={
            "to_delete": json_output.resources_data(
                resource for resource in scan.resources if not resource.retained
            ),
            "unsupported": json_output.resources_data(scan.unsupported),
        },
        errors=context.errors_of(scan.failures),
        exit_code=context.incomplete(scan.failures),
        warnings=warnings,
        stderr_warnings=warnings,
    )


async def _destroy(
    part: Awaitable[DeletionResult],
    calls: AwsCalls,
    orchestrator: Orchestrator | None,
    *,
    cluster: str,
    regions: Sequence[str],
) -> tuple[DeletionResult, PruneResult | None]:
    """What AWS has, then the cluster's nodes in the orchestrator whose instances are gone; trouble with it is only told."""
    result = await part
    if orchestrator is None or not result.outcomes or calls.stop.is_set:
        return result, None
    ended = result.deleted_ids(ResourceKind.INSTANCE)
    return result, await orchestrator_sync.remove_stale(
        calls, orchestrator, ended, cluster=cluster, regions=regions
    )


def _search(spec: ClusterSpec, naming: Naming, *, named: bool) -> ScanRequest:
    """`named`: a cluster that need not be the configuration's. Nobody knows what it was made with: with all that may be."""
    needed = {"ec2", "ssm", "iam"} if named or in_ssm(spec) else {"ec2"}
    return ScanRequest(
        cluster_scope(naming),
        with_children=frozenset(region.name for region in spec.regions),
        required=frozenset(needed),
    )


async def _scan(calls: AwsCalls, search: ScanRequest) -> tuple[AccountContext, ScanResult]:
    account = await discovery.load_account(calls)
    return account, await resource_scan.scan_regions(
        calls, search, regions=discovery.enabled_names(account.regions)
    )
