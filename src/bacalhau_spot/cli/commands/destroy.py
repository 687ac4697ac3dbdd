"""`destroy`: deletes this cluster in one run, and verifies the deletion."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime import other_clusters
from bacalhau_spot.cli.runtime.cleanup_command import CleanupCommand, CleanupPreview, CleanupScope
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import (
    NO_OPTIONS,
    TIMEOUT,
    Cluster,
    CommonOptions,
    DeleteResults,
    Yes,
)
from bacalhau_spot.core.cleanup.orchestrator_loss import (
    NO_LOSS,
    OrchestratorLoss,
    ResultsBucket,
    is_of_orchestrator,
    orchestrator_instances,
    without_kept,
)
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import OrchestratorMode, State
from bacalhau_spot.core.pricing.list_prices import Prices, usd_per_hour
from bacalhau_spot.core.tags import cluster_scope
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.cleanup.job_results import (
    configured_home,
    orchestrator_loss,
    results_buckets,
    results_candidates,
)
from bacalhau_spot.engine.cleanup.nuke import prices_of, rates_of
from bacalhau_spot.engine.cleanup.region_teardown import DeletionOptions
from bacalhau_spot.engine.cleanup.scan_result import ScanRequest
from bacalhau_spot.engine.cleanup.teardown import delete_resources
from bacalhau_spot.engine.orchestrator import orchestrator_sync
from bacalhau_spot.instance.user_data import uses_ssm_token
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.formatting import plural
from bacalhau_spot.ui.prompts import Impact

if TYPE_CHECKING:
    from bacalhau_spot.cli.runtime.cluster_lock import ClusterLock
    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.cleanup.deletion_result import DeletionResult
    from bacalhau_spot.core.inventory import AccountContext
    from bacalhau_spot.core.model import ClusterSpec, Naming, Resource
    from bacalhau_spot.core.orchestrator.prune import PruneResult
    from bacalhau_spot.core.pricing.cost import Rates
    from bacalhau_spot.engine.cleanup.scan_result import ScanResult
    from bacalhau_spot.orchestrator.port import Orchestrator

# Deletion takes the time that instances need to terminate, and a little more; doubled.
BESIDE_INSTANCES_S = 300
# States of instances without running workloads.
_ENDING = frozenset({State.SHUTTING_DOWN, State.TERMINATED})


def destroy(
    *,
    yes: Yes = False,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    cluster: Cluster = None,
    disable_protection: Annotated[bool, Parameter(name="--disable-protection", negative="")] = False,
    delete_results: DeleteResults = False,
    timeout: Annotated[int | None, TIMEOUT] = None,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Delete all resources of this cluster in every region, and verify the deletion.

    Shows the resources and asks. Resources without the cluster's tag are not touched. Where the orchestrator's API is
    configured, the cluster's terminated nodes are removed from the orchestrator. A managed orchestrator is deleted after
    the nodes. Its bucket is retained while it contains job results.

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
    delete_results
        Delete the job results in the orchestrator's bucket, and the bucket.
    timeout
        Stop after this many seconds and list the remaining resources.
    """
    context = CommandContext("destroy", common, runtime)
    spec = context.spec(lenient=True)
    naming = context.naming(cluster)
    options = DestroyOptions(
        label=context.label(cluster),
        agreed=yes,
        disable_protection=disable_protection,
        delete_results=delete_results,
        timeout_s=timeout or spec.timeouts.terminate_s + BESIDE_INSTANCES_S,
    )
    named = naming != context.naming()
    request = destroy_request(spec, naming, named=named)
    with context.runner(spec) as runner:
        # A managed orchestrator is deleted with its cluster, and its list of nodes with it.
        managed = spec.orchestrator.mode is OrchestratorMode.MANAGED
        orchestrator = None if managed else context.orchestrator_if_any(runner, cluster=cluster)
        command = DestroyCommand(
            context,
            runner,
            naming=naming,
            request=request,
            orchestrator=orchestrator,
            options=options,
            home=configured_home(spec),
            named=named,
        )
        return command.run(dry_run=dry_run)


@dataclass(frozen=True)
class DestroyOptions:
    """`label`: of the cluster's nodes in the orchestrator. `agreed`: the deletion is confirmed already."""

    label: str
    agreed: bool
    disable_protection: bool
    delete_results: bool
    timeout_s: float


@dataclass(frozen=True, kw_only=True)
class DestroyPreview(CleanupPreview):
    """`deletes_results`: job results are among the resources to delete."""

    account_id: str
    to_delete: tuple[Resource, ...]
    deletes_results: bool


class DestroyCommand(CleanupCommand[DestroyPreview]):
    """One cluster in every region, and its nodes in the orchestrator."""

    name = "destroy"

    def __init__(
        self,
        context: CommandContext,
        runner: Runner,
        *,
        naming: Naming,
        request: ScanRequest,
        orchestrator: Orchestrator | None,
        options: DestroyOptions,
        home: str | None,
        named: bool,
    ) -> None:
        """`home`: the region in which a managed orchestrator's bucket may be that the tag index does not list yet.

        `named`: another cluster than the configuration's.
        """
        super().__init__(context, runner, naming=naming)
        self._cluster = naming.tag_value
        self._request = request
        self._orchestrator = orchestrator
        self._options = options
        self._home = home
        self._named = named

    @property
    def _title(self) -> str:
        return f"destroying {self._cluster}"

    @property
    def _audited_cluster(self) -> str:
        return self._cluster

    def _scope(self, account: AccountContext) -> CleanupScope:
        account_id = account.identity.account_id
        request = replace(
            self._request,
            candidates=results_candidates(self._naming, self._home, account_id=account_id),
            account_id=account_id,
        )
        return CleanupScope(
            account=account, regions=discovery.enabled_names(account.regions), request=request
        )

    def _preview(self, scope: CleanupScope, scan: ScanResult) -> DestroyPreview:
        others: tuple[str, ...] = ()
        if scan.empty:
            others = other_clusters.warnings(
                self._runner, self._naming, regions=scope.regions, command=self.name
            )
        identity = scope.account.identity
        buckets, spot, rates = self._runner.run_readonly(self._details(scan, account_id=identity.account_id))
        deletable = (resource for resource in scan.resources if not resource.retained)
        to_delete = without_kept(deletable, buckets)
        cost = usd_per_hour(to_delete, spot=spot, rates=rates)
        loss = replace(self._loss(to_delete, regions=scope.regions), results=buckets)
        return DestroyPreview(
            view=views.deletion_preview_view(
                to_delete,
                loss=loss,
                delete_results=self._delete_results_command,
                unknown=scan.unsupported,
                cluster=self._cluster,
                unseen=scan.failures,
                silent=scan.partial_failures,
                usd_per_hour=cost,
            ),
            data=json_output.destroy_preview_data(
                to_delete,
                scan.unsupported,
                loss=loss,
                delete_results=self._whole_delete_results_command,
                usd_per_hour=cost,
            ),
            usd_per_hour=cost,
            empty=not to_delete,
            options=DeletionOptions(
                disable_protection=self._options.disable_protection,
                delete_results=self._options.delete_results,
            ),
            failures=scan.failures,
            warnings=others,
            account_id=identity.account_id,
            to_delete=to_delete,
            deletes_results=any(bucket.deleted and not bucket.contents.empty for bucket in buckets),
        )

    async def _details(
        self, scan: ScanResult, *, account_id: str
    ) -> tuple[tuple[ResultsBucket, ...], Prices, Rates]:
        """The buckets with job results, and the prices of the resources, asked at once."""
        return await asyncio.gather(
            results_buckets(self._calls, scan.resources, delete_results=self._options.delete_results),
            prices_of(
                self._calls,
                scan.resources,
                cache=self._context.cache(),
                account_id=account_id,
                sparing=True,
            ),
            rates_of(self._calls, scan.resources),
        )

    def _loss(self, to_delete: tuple[Resource, ...], *, regions: tuple[str, ...]) -> OrchestratorLoss:
        """The orchestrator's own list of nodes decides which clusters use it; without an answer, AWS's."""
        instances = orchestrator_instances(to_delete)
        if not instances:
            return NO_LOSS
        return self._runner.run_readonly(
            orchestrator_loss(
                self._calls,
                to_delete,
                self._context.managed_client(self._runner, self._naming, region=instances[0].region),
                naming=self._naming,
                label=self._options.label,
                regions=regions,
            )
        )

    def _confirm(self, preview: DestroyPreview) -> None:
        """If nodes are running, or work would be lost, the user types the cluster's name."""
        running = sum(map(_is_running_node, preview.to_delete))
        nodes = f" ({plural(running, 'running node')})" if running else ""
        loses = bool(orchestrator_instances(preview.to_delete)) or preview.deletes_results
        question = (
            f"Delete {plural(len(preview.to_delete), 'resource')} of {self._cluster}{nodes} "
            f"in account {preview.account_id}?"
        )
        if running or loses:
            self._context.confirm_typed(
                question,
                word=self._cluster,
                name="the cluster's name",
                confirmed=self._options.agreed,
                danger=Impact.DESTROYS,
            )
        else:
            self._context.confirm(question, impact=Impact.DESTROYS, confirmed=self._options.agreed)

    def _take(self, lock: ClusterLock) -> None:
        lock.take()

    @property
    def _is_confirmed(self) -> bool:
        return self._options.agreed

    @property
    def _locks_all(self) -> bool:
        """A cluster that is named may have its lock in the region of another configuration."""
        return not self._named

    async def _delete(
        self, scope: CleanupScope, scan: ScanResult, preview: DestroyPreview
    ) -> tuple[DeletionResult, PruneResult | None]:
        """Delete from AWS, then remove the deleted nodes from the orchestrator. Failures of the latter are warnings."""
        result = await delete_resources(
            self._calls,
            scope.request,
            cluster=self._cluster,
            scan=scan,
            options=preview.options,
            timeout_s=self._options.timeout_s,
        )
        if self._orchestrator is None or not result.outcomes or self._calls.stop.is_set:
            return result, None
        return result, await orchestrator_sync.remove_stale(
            self._calls,
            self._orchestrator,
            result.deleted_ids(ResourceKind.INSTANCE),
            cluster=self._options.label,
            regions=scope.regions,
        )


def _is_running_node(resource: Resource) -> bool:
    return (
        resource.kind == ResourceKind.INSTANCE
        and resource.state not in _ENDING
        and not is_of_orchestrator(resource)
    )


def destroy_request(spec: ClusterSpec, naming: Naming, *, named: bool) -> ScanRequest:
    """`named`: another cluster than the configuration's, which may use any service, and be in any region."""
    needed = {"ec2", "ssm", "iam"} if named or uses_ssm_token(spec) else {"ec2"}
    if named or spec.orchestrator.mode is OrchestratorMode.MANAGED:
        needed |= {"ssm", "iam", "s3"}
    return ScanRequest(
        cluster_scope(naming),
        with_children=frozenset() if named else frozenset(region.name for region in spec.regions),
        required=frozenset(needed),
    )
