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
from bacalhau_spot.engine.cleanup.resource_scan import ScanRequest
from bacalhau_spot.engine.orchestrator import orchestrator_sync
from bacalhau_spot.instance.user_data import in_ssm
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.formatting import plural
from bacalhau_spot.ui.prompts import Impact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from rich.console import RenderableType

    from bacalhau_spot.core.cleanup.deletion_result import DeletionResult
    from bacalhau_spot.core.model import ClusterSpec, Identity, Naming, Resource
    from bacalhau_spot.core.orchestrator.prune import PruneResult
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.aws_calls.discovery import AccountContext
    from bacalhau_spot.engine.cleanup.resource_scan import ScanResult
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
    """Delete everything of this cluster, in every region, and verify that it is gone.

    Shows what it found and asks. Whatever does not carry the cluster's tag is not touched. Where the orchestrator's API is
    configured, the orchestrator forgets the cluster's nodes whose instances are gone.

    Parameters
    ----------
    yes
        Do not ask.
    dry_run
        Show what would be deleted and stop.
    cluster
        Another cluster than the configuration's, by the value of its tag.
    disable_protection
        Lift the protection against deletion of what is the cluster's.
    timeout
        Seconds after which it gives up and says what is left.
    """
    call = CommandContext("destroy", common, runtime)
    spec = call.spec(lenient=True)
    naming = call.naming(cluster)
    search = _search(spec, naming, named=cluster is not None)
    orchestrator = call.orchestrator()
    with call.runner(spec) as running:
        here, found = running.run_readonly(_scan(running.calls, search))
        if found.empty:
            call.print_status(views.looking_again_view(LAG_S))
            regions = discovery.enabled_names(here.regions)
            found = running.run_readonly(
                resource_scan.look_after_lag(running.calls, search, found, regions=regions)
            )
        others: tuple[str, ...] = ()
        if found.empty:
            enabled = discovery.enabled_names(here.regions)
            others = other_clusters.warnings(running, naming, regions=enabled, command="destroy")
        doomed = [one for one in found.resources if not one.retained]
        preview = views.deletion_preview_view(
            doomed,
            unknown=found.unsupported,
            identity=here.identity,
            cluster=naming.tag_value,
            unseen=found.failures,
            silent=found.partial_failures,
        )
        if dry_run:
            return _preview(call, found, view=preview, warnings=others)
        if doomed:
            call.print_status(preview)
            _agree(call, doomed, identity=here.identity, cluster=naming.tag_value, agreed=yes)
        audit = AuditLog(call, identity=here.identity, cluster=naming.tag_value)
        running.listen(audit.emit)
        part = teardown.delete_resources(
            running.calls,
            search,
            cluster=naming.tag_value,
            scan=found,
            options=DeletionOptions(disable_protection=disable_protection),
            timeout_s=timeout or spec.timeouts.terminate_s + _BESIDE_INSTANCES_S,
        )
        receipt, forgotten = running.run_with_progress(
            _destroy(
                part,
                running.calls,
                orchestrator,
                cluster=call.label(cluster),
                regions=discovery.enabled_names(here.regions),
            ),
            screen=partial(call.screen, sorted(found.busy), title=f"destroying {naming.tag_value}"),
        )
    audit.log_deletion(receipt)
    late = (*others, *call.record(running.calls.mistakes), *filter(None, (audit.trouble,)))
    return _done(
        call, receipt, forgotten, naming=naming, warnings=(*late, *views.not_removed_text(forgotten))
    )


def _agree(
    call: CommandContext, doomed: Sequence[Resource], *, identity: Identity, cluster: str, agreed: bool
) -> None:
    """Raises UserError (exit code 3) unless the user agrees: where nodes run, by typing the cluster's name."""
    running = sum(one.kind == ResourceKind.INSTANCE and one.state not in _ENDING for one in doomed)
    nodes = f" ({plural(running, 'running node')})" if running else ""
    question = (
        f"Delete {plural(len(doomed), 'resource')} of {cluster}{nodes} in account {identity.account_id}?"
    )
    if running:
        call.confirm_typed(
            question, word=cluster, name="the cluster's name", confirmed=agreed, danger=Impact.DESTROYS
        )
    else:
        call.confirm(question, impact=Impact.DESTROYS, confirmed=agreed)


def _done(
    call: CommandContext,
    receipt: DeletionResult,
    forgotten: PruneResult | None,
    *,
    naming: Naming,
    warnings: tuple[str, ...],
) -> Result:
    return Result(
        "destroy",
        view=views.with_prune_result(views.deletion_result_view(receipt, naming=naming), forgotten),
        data=json_output.deletion_data(receipt, forgotten),
        exit_code=receipt.exit_code,
        errors=call.errors_of((*receipt.problems, *receipt.failed_regions), exit_code=receipt.exit_code),
        warnings=warnings,
        stderr_warnings=warnings,
    )


def _preview(
    call: CommandContext, found: ScanResult, *, view: RenderableType, warnings: tuple[str, ...]
) -> Result:
    return Result(
        "destroy",
        view=view,
        data={
            "to_delete": json_output.resources_data(one for one in found.resources if not one.retained),
            "unsupported": json_output.resources_data(found.unsupported),
        },
        errors=call.errors_of(found.failures),
        exit_code=call.incomplete(found.failures),
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
    receipt = await part
    if orchestrator is None or not receipt.outcomes or calls.stop.is_set:
        return receipt, None
    ended = receipt.deleted_ids(ResourceKind.INSTANCE)
    return receipt, await orchestrator_sync.remove_stale(
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
    here = await discovery.load_account(calls)
    return here, await resource_scan.scan_regions(
        calls, search, regions=discovery.enabled_names(here.regions)
    )
