"""The common steps of `destroy` and `nuke`, in the order that the user sees: scan, show, ask, delete, verify."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from bacalhau_spot.cli.runtime.cluster_lock import ClusterLock
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.state.audit_log.writer import AuditLog
from bacalhau_spot.cli.state.recent_changes import changed_recently
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.aws_calls.consistency import LAG_S
from bacalhau_spot.engine.cleanup.resource_scan import rescan_after_delay, scan_regions
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.terminal import with_invocation_flags

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from decimal import Decimal

    from rich.console import RenderableType

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.cleanup.deletion_result import DeletionResult
    from bacalhau_spot.core.inventory import AccountContext
    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.core.orchestrator.prune import PruneResult
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.cleanup.region_teardown import DeletionOptions
    from bacalhau_spot.engine.cleanup.scan_result import ScanRequest, ScanResult


@dataclass(frozen=True)
class CleanupScope:
    """The regions to scan, and the resources to look for."""

    account: AccountContext
    regions: tuple[str, ...]
    request: ScanRequest


@dataclass(frozen=True, kw_only=True)
class CleanupPreview:
    """The resources that would be deleted, before confirmation. `empty`: there are none, so no question is asked."""

    view: RenderableType
    data: json_output.Data
    empty: bool
    options: DeletionOptions
    failures: tuple[ApiFailure, ...]
    warnings: tuple[str, ...] = ()
    usd_per_hour: Decimal | None = None  # of the resources; None: unknown


PreviewT = TypeVar("PreviewT", bound=CleanupPreview)


class CleanupCommand(ABC, Generic[PreviewT]):
    """One run. The commands differ in scope, preview, confirmation, and steps that accompany the deletion."""

    name: ClassVar[str]

    def __init__(self, context: CommandContext, runner: Runner, *, naming: Naming) -> None:
        self._context = context
        self._runner = runner
        self._calls = runner.calls
        self._naming = naming

    def run(self, *, dry_run: bool) -> Result:
        """The lock comes before the scan, and stays during the question: nothing is created behind the scan's back."""
        scope = self._scope(self._runner.run_readonly(discovery.load_account(self._calls)))
        with ExitStack() as stack:
            lock: ClusterLock | None = None
            if self._may_go_on and not dry_run:
                lock = stack.enter_context(self._lock(scope))
                self._take(lock)
            scope = self._known(scope, lock, dry_run=dry_run)
            scan = self._scan(scope)
            preview = self._preview(scope, scan)
            if dry_run:
                return self._dry_run_result(preview)
            if not preview.empty:
                self._context.print_status(preview.view)
                self._confirm(preview)
                if lock is not None and lock.id is not None and not lock.is_valid:
                    lock, scope, scan = self._locked_again(scope, scan, lock, stack)
            return self._deleted(scope, scan, preview, lock=lock)

    @property
    def _may_go_on(self) -> bool:
        """Whether the deletion is confirmed, or somebody can be asked."""
        return self._is_confirmed or self._context.asks

    def _known(self, scope: CleanupScope, lock: ClusterLock | None, *, dry_run: bool) -> CleanupScope:
        """With the signs of creations a moment ago, and without the lock itself. A dry run takes no lock."""
        was_free = lock is not None and lock.is_exclusive
        now = self._context.runtime.clock.now()
        request = replace(
            scope.request,
            held=frozenset(filter(None, (lock.id if lock else None,))),
            exclusive=was_free and self._locks_all,
            lock_free=was_free or dry_run,
            changed_here=changed_recently(self._context.cache_dir, now=now),
        )
        return replace(scope, request=request)

    def _locked_again(
        self, scope: CleanupScope, scan: ScanResult, expired: ClusterLock, stack: ExitStack
    ) -> tuple[ClusterLock, CleanupScope, ScanResult]:
        """After an answer that took longer than the lock lasts: other commands may have changed the cluster since."""
        with expired:
            pass
        lock = stack.enter_context(self._lock(scope))
        self._take(lock)
        scope = self._known(scope, lock, dry_run=False)
        scope = replace(scope, request=replace(scope.request, exclusive=False))
        return lock, scope, replace(scan, settled_s=self._calls.clock.monotonic_s() + LAG_S)

    def _deleted(
        self, scope: CleanupScope, scan: ScanResult, preview: PreviewT, *, lock: ClusterLock | None = None
    ) -> Result:
        audit = AuditLog(self._context, identity=scope.account.identity, cluster=self._audited_cluster)
        self._runner.listen(audit.emit)
        began_s = self._calls.clock.monotonic_s()
        result, pruned = self._runner.run_with_progress(
            self._delete(scope, scan, preview),
            screen=partial(self._context.screen, sorted(scan.busy), title=self._title),
        )
        audit.log_deletion(result)
        warnings = (
            *preview.warnings,
            *self._context.record(self._calls.mistakes),
            *filter(None, (audit.trouble,)),
            *views.not_removed_text(pruned),
            *(lock.warnings if lock else ()),
        )
        elapsed_s = self._calls.clock.monotonic_s() - began_s
        return self._result(
            result, pruned, warnings=warnings, elapsed_s=elapsed_s, usd_per_hour=preview.usd_per_hour
        )

    @abstractmethod
    def _scope(self, account: AccountContext) -> CleanupScope:
        """Raises UserError for regions that cannot be scanned."""

    @abstractmethod
    def _preview(self, scope: CleanupScope, scan: ScanResult) -> PreviewT: ...

    @abstractmethod
    def _confirm(self, preview: PreviewT) -> None:
        """Raises UserError (exit code 3) unless the user agrees."""

    @abstractmethod
    def _delete(
        self, scope: CleanupScope, scan: ScanResult, preview: PreviewT
    ) -> Coroutine[object, object, tuple[DeletionResult, PruneResult | None]]:
        """The deletion's result, and that of the orchestrator's cleanup, if there was one."""

    def _lock(self, scope: CleanupScope) -> ClusterLock:
        """The lock of the configured cluster, or of the named one in the configured region."""
        return ClusterLock(
            self._context,
            self._runner,
            naming=self._naming,
            identity=scope.account.identity,
            command=self.name,
            creates=False,
        )

    @abstractmethod
    def _take(self, lock: ClusterLock) -> None:
        """Before the scan."""

    @property
    @abstractmethod
    def _is_confirmed(self) -> bool:
        """By an option: nobody is asked."""

    @property
    @abstractmethod
    def _locks_all(self) -> bool:
        """Whether every command that creates something in the scope holds the same lock."""

    @property
    @abstractmethod
    def _title(self) -> str:
        """Of the progress display."""

    @property
    def _delete_results_command(self) -> str:
        """The command that deletes retained job results, for a view, which adds the options of this run."""
        return f"bacalhau-spot {self.name} --delete-results"

    @property
    def _whole_delete_results_command(self) -> str:
        """The same for programs: with the options of this run."""
        return with_invocation_flags(self._context.err, self._delete_results_command)

    @property
    def _audited_cluster(self) -> str:
        """The cluster's name for the audit log; empty for a command without a single cluster."""
        return ""

    @property
    def _accepts_empty_scan(self) -> bool:
        """Whether one empty scan is enough."""
        return False

    def _scan(self, scope: CleanupScope) -> ScanResult:
        """An empty result is confirmed by a second scan, if something may have been created a moment before the first."""
        scan = self._runner.run_readonly(scan_regions(self._calls, scope.request, regions=scope.regions))
        if not scan.empty or scan.is_settled or self._accepts_empty_scan:
            return scan
        self._context.print_status(views.rescan_notice_view(LAG_S))
        return self._runner.run_readonly(
            rescan_after_delay(self._calls, scope.request, scan, regions=scope.regions)
        )

    def _dry_run_result(self, preview: PreviewT) -> Result:
        return Result(
            self.name,
            view=preview.view,
            data=preview.data,
            errors=self._context.errors_of(preview.failures),
            exit_code=self._context.incomplete(preview.failures),
            warnings=preview.warnings,
            stderr_warnings=preview.warnings,
        )

    def _result(
        self,
        result: DeletionResult,
        pruned: PruneResult | None,
        *,
        warnings: tuple[str, ...],
        elapsed_s: float,
        usd_per_hour: Decimal | None,
    ) -> Result:
        view = views.deletion_result_view(
            result,
            naming=self._naming,
            command=self.name,
            delete_results=self._delete_results_command,
            elapsed_s=elapsed_s,
            usd_per_hour=usd_per_hour,
        )
        return Result(
            self.name,
            view=views.with_prune_result(view, pruned),
            data=json_output.deletion_data(
                result,
                pruned,
                delete_results=self._whole_delete_results_command,
                elapsed_s=elapsed_s,
                usd_per_hour=usd_per_hour,
            ),
            exit_code=result.exit_code,
            errors=self._context.errors_of(
                (*result.problems, *result.failed_regions), exit_code=result.exit_code
            ),
            warnings=warnings,
            stderr_warnings=warnings,
        )
