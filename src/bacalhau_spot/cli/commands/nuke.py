"""`nuke`: everything that carries our tag, in every region, gone and verified."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.parsers import duration
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import AT_LEAST_ONE, NO_OPTIONS, NOT_NEGATIVE, CommonOptions
from bacalhau_spot.cli.state import nuke_plan_file
from bacalhau_spot.cli.state.audit_log.writer import AuditLog
from bacalhau_spot.core.cleanup.exclusions import creation_times, first_match, min_age_rule, plan_file_rule
from bacalhau_spot.core.cleanup.nuke_preview import NukePreview
from bacalhau_spot.core.kinds import GLOBAL
from bacalhau_spot.core.partitions import closest_region
from bacalhau_spot.core.pricing.list_prices import usd_per_hour
from bacalhau_spot.core.tags import account_scope, tags_for
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.aws_calls.consistency import LAG_S
from bacalhau_spot.engine.cleanup import nuke as engine
from bacalhau_spot.engine.cleanup.region_teardown import DeletionOptions
from bacalhau_spot.engine.cleanup.resource_scan import look_after_lag, scan_regions
from bacalhau_spot.engine.cleanup.scan_result import ScanRequest
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.formatting import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.cleanup.deletion_result import DeletionResult
    from bacalhau_spot.core.inventory import AccountContext
    from bacalhau_spot.core.model import Naming, Resource
    from bacalhau_spot.engine.cleanup.scan_result import ScanResult


@Parameter(name="*")
@dataclass(frozen=True)
class NukeOptions:
    """What is to be deleted, and what is not."""

    regions: Annotated[str, Parameter(name="--regions")] = ""
    """Scan only these regions, separated by commas."""

    min_age: Annotated[str, Parameter(name="--min-age")] = ""
    """Keep resources younger than this: 30m, 2h, 7d."""

    max_resources: Annotated[int | None, NOT_NEGATIVE, Parameter(name="--max")] = None
    """Abort if more than this many resources would be deleted; without --force, ask again."""

    plan_out: Annotated[Path | None, Parameter(name="--plan-out")] = None
    """Write the list of resources into this file."""

    plan: Annotated[Path | None, Parameter(name="--plan")] = None
    """Delete only the resources in this file that still carry the tag."""

    adopt: Annotated[tuple[str, ...], Parameter(name="--adopt", negative="")] = ()
    """Delete this resource even though it does not carry the tag: it is tagged first."""

    disable_protection: Annotated[bool, Parameter(name="--disable-protection", negative="")] = False
    """Disable the protection against deletion of the cluster's resources."""

    timeout: Annotated[int, AT_LEAST_ONE, Parameter(name="--timeout")] = int(engine.TIMEOUT_S)
    """Stop after this many seconds and list the remaining resources."""


EVERYTHING = NukeOptions()


def nuke(
    *,
    force: Annotated[bool, Parameter(name="--force", negative="")] = False,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    explain: Annotated[bool, Parameter(name="--explain", negative="")] = False,
    choice: NukeOptions = EVERYTHING,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Delete all resources that carry the cluster tag, in every region of the account, and verify the deletion.

    A resource is deleted if it carries the tag's key with the configured value, or with any value and the tag of this
    program. Shows the whole list first, then asks for the account's id. Other resources are not touched; those that block
    a deletion are listed.

    Parameters
    ----------
    force
        Do not ask. The list is shown all the same.
    dry_run
        Show what would be deleted and stop. Changes nothing.
    explain
        Show the kinds of resources and their order of deletion, and stop. Makes no AWS calls.
    """
    if explain:
        return Result("nuke", view=views.order_view(), data=json_output.order_data())
    context = CommandContext("nuke", common, runtime)
    spec = context.spec(lenient=True)
    with context.runner(spec) as runner:
        return NukeCommand(context, runner, choice, naming=spec.naming).run(force=force, dry_run=dry_run)


class NukeCommand:
    """One run, in the order in which the user sees it."""

    def __init__(
        self, context: CommandContext, runner: Runner, choice: NukeOptions, *, naming: Naming
    ) -> None:
        self._call = context
        self._running = runner
        self._choice = choice
        self._min_age = duration(choice.min_age, flag="--min-age") if choice.min_age else None
        self._naming = naming
        self._scope = account_scope(naming)
        self._search = ScanRequest(self._scope)
        self._tags = tags_for(naming, "adopted")

    def run(self, *, force: bool, dry_run: bool) -> Result:
        account = self._running.run_readonly(discovery.load_account(self._running.calls))
        regions = self._regions(account)
        # A role or a profile may be in use wherever one does not look.
        self._search = ScanRequest(self._scope, shared=not self._regions_skipped(account, regions))
        scan = self._sights(regions)
        preview, terms = self._running.run_readonly(self._find(account, scan, regions))
        view = views.nuke_preview_view(preview)
        if self._choice.plan_out is not None:
            nuke_plan_file.write_plan(
                self._choice.plan_out,
                preview.to_delete,
                identity=account.identity,
                scope=self._scope,
                now=self._call.runtime.clock.now(),
            )
        if dry_run:
            return self._preview(preview, view=view)
        if not preview.empty:
            self._call.print_status(view)
            self._confirm(preview, force=force)
        return self._work(preview, scan, terms, regions=regions)

    def _regions(self, account: AccountContext) -> tuple[str, ...]:
        enabled = discovery.enabled_names(account.regions)
        wanted = tuple(filter(None, map(str.strip, self._choice.regions.split(",")))) or enabled
        strange = [name for name in wanted if name not in enabled]
        if strange:
            known = {region.name for region in account.regions}
            close = "" if strange[0] in known else closest_region(strange[0], known)
            meant = f"did you mean {close}? " if close else ""
            raise UserError(
                f"--regions: {strange[0]} is {'not enabled in this account' if strange[0] in known else 'no region'}",
                hint=f"{meant}enabled are {', '.join(enabled)}",
                exit_code=ExitCode.USAGE,
            )
        return wanted

    def _sights(self, regions: Sequence[str]) -> ScanResult:
        """What there is. That there is nothing takes two looks."""
        calls, search = self._running.calls, self._search
        scan = self._running.run_readonly(scan_regions(calls, search, regions=regions))
        if not scan.empty or self._choice.adopt:
            return scan
        self._call.print_status(views.looking_again_view(LAG_S))
        return self._running.run_readonly(look_after_lag(calls, search, scan, regions=regions))

    async def _find(
        self, account: AccountContext, scan: ScanResult, regions: Sequence[str]
    ) -> tuple[NukePreview, DeletionOptions]:
        calls = self._running.calls
        foundlings = await engine.locate_by_id(calls, self._choice.adopt, regions=regions)
        lost = [one for one in self._choice.adopt if one not in foundlings]
        if lost:
            raise UserError(
                f"--adopt: no scanned region has {lost[0]}",
                hint="give the id of an EC2 resource, and --regions if it is elsewhere",
                exit_code=ExitCode.USAGE,
            )
        terms = self._options(account, scan)
        spared = tuple(
            (resource, why)
            for resource in scan.resources
            if (why := resource.retained or terms.excluded(resource))
        )
        kept = {id(resource) for resource, _ in spared}
        doomed = tuple(resource for resource in scan.resources if id(resource) not in kept)
        foreign, silent = await engine.foreign_resources(
            calls, doomed, ours=scan.ids | set(self._choice.adopt)
        )
        preview = NukePreview(
            identity=account.identity,
            alias=await engine.account_alias(calls),
            scope=self._scope,
            scanned_at=self._call.runtime.clock.now(),
            to_delete=doomed,
            excluded=spared,
            unsupported=scan.unsupported,
            denied=await engine.preflight(calls, doomed),
            usd_per_hour=usd_per_hour(doomed, spot=await engine.prices_of(calls, doomed)),
            to_adopt=foundlings,
            regions_scanned=tuple(name for name in scan.by_region if name != GLOBAL),
            regions_not_enabled=tuple(region.name for region in account.regions if not region.enabled),
            failed_regions=scan.failures,
            foreign=foreign,
            partial_failures=silent,
            regions_skipped=self._regions_skipped(account, regions),
            disable_protection=self._choice.disable_protection,
        )
        return preview, terms

    @staticmethod
    def _regions_skipped(account: AccountContext, regions: Sequence[str]) -> tuple[str, ...]:
        """Regions that are not scanned, in which there may be something all the same."""
        return tuple(name for name in discovery.enabled_names(account.regions) if name not in regions)

    def _options(self, account: AccountContext, scan: ScanResult) -> DeletionOptions:
        rules: list[Callable[[Resource], str]] = []
        if self._choice.plan is not None:
            rules.append(
                plan_file_rule(
                    nuke_plan_file.read_plan(self._choice.plan, identity=account.identity, scope=self._scope)
                )
            )
        if self._min_age is not None:
            births = creation_times(scan.resources, tag_key=self._scope.key)
            now = self._call.runtime.clock.now()
            rules.append(min_age_rule(births, now=now, at_least=self._min_age))
        return DeletionOptions(
            disable_protection=self._choice.disable_protection, excluded=first_match(rules)
        )

    def _preview(self, preview: NukePreview, *, view: RenderableType) -> Result:
        return Result(
            "nuke",
            view=view,
            data=json_output.nuke_preview_data(preview),
            errors=self._call.errors_of(preview.failed_regions),
            exit_code=self._call.incomplete(preview.failed_regions),
        )

    def _confirm(self, preview: NukePreview, *, force: bool) -> None:
        """Raises UserError (exit code 3) unless the user agrees."""
        most = self._choice.max_resources
        count = len(preview.to_delete) + len(preview.to_adopt)
        if most is not None and count > most:
            if force:
                raise UserError(
                    f"nothing was deleted: {count} resources were found, and --max allows {most}",
                    hint="check the list above; if it is right, raise --max",
                    exit_code=ExitCode.DECLINED,
                )
            self._call.confirm_typed(
                f"{count} resources, more than the {most} that you expected.",
                word=str(count),
                confirmed=False,
            )
        self._call.confirm_typed(
            f"Delete {plural(count, 'resource')} in account {preview.identity.account_id}?",
            word=preview.identity.account_id,
            confirmed=force,
        )

    def _work(
        self, preview: NukePreview, scan: ScanResult, terms: DeletionOptions, *, regions: Sequence[str]
    ) -> Result:
        calls = self._running.calls
        audit = AuditLog(self._call, identity=preview.identity)
        self._running.listen(audit.emit)
        result = self._running.run_with_progress(
            self._delete(preview, scan, terms, regions=regions),
            screen=partial(self._call.screen, sorted(scan.busy), title=f"deleting all of {self._scope.key}"),
        )
        audit.log_deletion(result)
        late = (*self._call.record(calls.mistakes), *filter(None, (audit.trouble,)))
        return Result(
            "nuke",
            view=views.deletion_result_view(result, naming=self._naming, command="nuke"),
            data=json_output.deletion_data(result),
            exit_code=result.exit_code,
            errors=self._call.errors_of(
                (*result.problems, *result.failed_regions), exit_code=result.exit_code
            ),
            warnings=late,
            stderr_warnings=late,
        )

    async def _delete(
        self, preview: NukePreview, scan: ScanResult, terms: DeletionOptions, *, regions: Sequence[str]
    ) -> DeletionResult:
        calls = self._running.calls
        seen: ScanResult | None = scan
        if preview.to_adopt:
            await engine.adopt(calls, preview.to_adopt, tags=self._tags)
            adopted = frozenset(preview.to_adopt)
            rule = terms.excluded
            terms = DeletionOptions(
                disable_protection=terms.disable_protection,
                excluded=lambda one: "" if one.id in adopted else rule(one),
            )
            seen = None
        return await engine.nuke_resources(
            regions,
            force=True,
            calls=calls,
            search=self._search,
            scan=seen,
            options=terms,
            timeout_s=self._choice.timeout,
        )
