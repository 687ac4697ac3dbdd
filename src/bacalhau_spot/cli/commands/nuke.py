"""`nuke`: deletes all tagged resources in every region, and verifies the deletion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.cleanup_command import CleanupCommand, CleanupPreview, CleanupScope
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.parsers import duration
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import (
    FORMER_REGIONS,
    NO_OPTIONS,
    NOT_NEGATIVE,
    TIMEOUT,
    CommonOptions,
    DeleteResults,
    several,
)
from bacalhau_spot.cli.state import nuke_plan_file
from bacalhau_spot.core.cleanup.exclusions import (
    creation_times,
    first_match,
    min_age_rule,
    plan_file_rule,
    split_excluded,
    with_needed,
)
from bacalhau_spot.core.cleanup.nuke_preview import NukePreview
from bacalhau_spot.core.cleanup.orchestrator_loss import without_kept
from bacalhau_spot.core.kinds import GLOBAL
from bacalhau_spot.core.partitions import closest_region
from bacalhau_spot.core.pricing.list_prices import usd_per_hour
from bacalhau_spot.core.tags import account_scope, tags_for
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.cleanup import nuke as engine
from bacalhau_spot.engine.cleanup.job_results import configured_home, results_buckets, results_candidates
from bacalhau_spot.engine.cleanup.region_teardown import DeletionOptions
from bacalhau_spot.engine.cleanup.scan_result import ScanRequest
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.formatting import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bacalhau_spot.cli.runtime.cluster_lock import ClusterLock
    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.cleanup.deletion_result import DeletionResult
    from bacalhau_spot.core.inventory import AccountContext
    from bacalhau_spot.core.model import Naming, Resource
    from bacalhau_spot.engine.cleanup.scan_result import ScanResult


@Parameter(name="*")
@dataclass(frozen=True)
class NukeOptions:
    """The scope and the limits of a deletion."""

    region: Annotated[tuple[str, ...], several("--region", "-r", FORMER_REGIONS, metavar="REGION")] = ()
    """Scan only these regions, such as us-east-1,eu-west-1."""

    min_age: Annotated[str | None, Parameter(name="--min-age", metavar="DURATION")] = None
    """Keep resources younger than this: 30m, 2h, 7d."""

    max_resources: Annotated[int | None, NOT_NEGATIVE, Parameter(name="--max", metavar="NUMBER")] = None
    """Abort if more than this many resources would be deleted; without --force, ask again."""

    plan_out: Annotated[Path | None, Parameter(name="--plan-out", metavar="FILE")] = None
    """With --dry-run, write the list of resources into this file."""

    plan: Annotated[Path | None, Parameter(name="--plan", metavar="FILE")] = None
    """Delete only the resources in this file that still carry the tag."""

    adopt: Annotated[tuple[str, ...], Parameter(name="--adopt", negative="", metavar="ID...")] = ()
    """Delete this resource even though it does not carry the tag: it is tagged first."""

    delete_results: DeleteResults = False
    """Delete the job results in the orchestrators' buckets, and the buckets."""

    disable_protection: Annotated[bool, Parameter(name="--disable-protection", negative="")] = False
    """Disable the protection against deletion of the cluster's resources."""

    timeout: Annotated[int, TIMEOUT] = int(engine.TIMEOUT_S)
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
    if choice.plan_out is not None and not dry_run:
        raise UserError(
            "--plan-out writes the list for a review, and without --dry-run everything on it is deleted at once",
            hint="add --dry-run; then `bacalhau-spot nuke --plan FILE` deletes what the file lists",
            exit_code=ExitCode.USAGE,
        )
    context = CommandContext("nuke", common, runtime)
    spec = context.spec(lenient=True)
    with context.runner(spec) as runner:
        command = NukeCommand(
            context, runner, choice, naming=spec.naming, home=configured_home(spec), force=force
        )
        return command.run(dry_run=dry_run)


@dataclass(frozen=True, kw_only=True)
class NukeCommandPreview(CleanupPreview):
    """`details`: the displayed list, with all information about it."""

    details: NukePreview


class NukeCommand(CleanupCommand[NukeCommandPreview]):
    """Everything with our tag, in all regions or in the selected ones."""

    name = "nuke"

    def __init__(
        self,
        context: CommandContext,
        runner: Runner,
        choice: NukeOptions,
        *,
        naming: Naming,
        home: str | None,
        force: bool,
    ) -> None:
        """`home`: the region in which the configured cluster's bucket may be that the tag index does not list yet."""
        super().__init__(context, runner, naming=naming)
        self._home = home
        self._choice = choice
        self._force = force
        self._min_age = duration(choice.min_age, flag="--min-age") if choice.min_age is not None else None
        self._tagged = account_scope(naming)

    @property
    def _title(self) -> str:
        return f"deleting all of {self._tagged.key}"

    @property
    def _accepts_empty_scan(self) -> bool:
        return bool(self._choice.adopt)

    def _scope(self, account: AccountContext) -> CleanupScope:
        regions = self._regions(account)
        # A region outside the scan may use a role or a profile.
        shared = not _regions_skipped(account, regions)
        account_id = account.identity.account_id
        request = ScanRequest(
            self._tagged,
            shared=shared,
            candidates=results_candidates(self._naming, self._home, account_id=account_id),
            account_id=account_id,
        )
        return CleanupScope(account=account, regions=regions, request=request)

    def _regions(self, account: AccountContext) -> tuple[str, ...]:
        enabled = discovery.enabled_names(account.regions)
        wanted = self._choice.region or enabled
        strange = [name for name in wanted if name not in enabled]
        if strange:
            raise _strange_region(strange[0], account, enabled)
        return wanted

    def _preview(self, scope: CleanupScope, scan: ScanResult) -> NukeCommandPreview:
        to_adopt = self._runner.run_readonly(self._to_adopt(scope.regions))
        options = self._options(scope.account, scan)
        details = self._runner.run_readonly(self._details(scope, scan, options, to_adopt=to_adopt))
        preview = NukeCommandPreview(
            view=views.nuke_preview_view(details, delete_results=self._delete_results_command),
            data=json_output.nuke_preview_data(details, delete_results=self._whole_delete_results_command),
            empty=details.empty,
            failures=details.failed_regions,
            details=details,
            options=options,
            usd_per_hour=details.usd_per_hour,
        )
        if self._choice.plan_out is not None:
            nuke_plan_file.write_plan(
                self._choice.plan_out,
                details.to_delete,
                identity=details.identity,
                scope=self._tagged,
                now=self._context.runtime.clock.now(),
            )
        return preview

    async def _to_adopt(self, regions: Sequence[str]) -> dict[str, str]:
        """The region of each resource to be adopted. Raises UserError for one that no region has."""
        regions_by_id = await engine.locate_by_id(self._calls, self._choice.adopt, regions=regions)
        missing = [resource_id for resource_id in self._choice.adopt if resource_id not in regions_by_id]
        if missing:
            raise UserError(
                f"--adopt: no scanned region has {missing[0]}",
                hint="give the id of an EC2 resource, and --region if it is elsewhere",
                exit_code=ExitCode.USAGE,
            )
        return regions_by_id

    async def _details(
        self,
        scope: CleanupScope,
        scan: ScanResult,
        options: DeletionOptions,
        *,
        to_adopt: Mapping[str, str],
    ) -> NukePreview:
        included, excluded = split_excluded(scan.resources, options.excluded)
        results = await results_buckets(self._calls, included, delete_results=options.delete_results)
        to_delete = without_kept(included, results)
        foreign, hidden = await engine.foreign_resources(
            self._calls, to_delete, ours=scan.ids | set(self._choice.adopt)
        )
        return NukePreview(
            identity=scope.account.identity,
            alias=await discovery.account_alias(self._calls),
            scope=self._tagged,
            scanned_at=self._context.runtime.clock.now(),
            to_delete=to_delete,
            excluded=excluded,
            unsupported=scan.unsupported,
            denied=await engine.preflight(self._calls, to_delete),
            usd_per_hour=usd_per_hour(
                to_delete,
                spot=await engine.prices_of(
                    self._calls,
                    to_delete,
                    cache=self._context.cache(),
                    account_id=scope.account.identity.account_id,
                ),
                rates=await engine.rates_of(self._calls, to_delete),
            ),
            to_adopt=to_adopt,
            regions_scanned=tuple(name for name in scan.by_region if name != GLOBAL),
            regions_not_enabled=tuple(region.name for region in scope.account.regions if not region.enabled),
            failed_regions=scan.failures,
            foreign=foreign,
            partial_failures=hidden,
            regions_skipped=_regions_skipped(scope.account, scope.regions),
            disable_protection=self._choice.disable_protection,
            results=results,
        )

    def _options(self, account: AccountContext, scan: ScanResult) -> DeletionOptions:
        rules: list[Callable[[Resource], str]] = []
        now = self._context.runtime.clock.now()
        if self._choice.plan is not None:
            rules.append(
                plan_file_rule(
                    nuke_plan_file.read_plan(self._choice.plan, identity=account.identity, scope=self._tagged)
                )
            )
        if self._min_age is not None:
            births = creation_times(scan.resources, tag_key=self._tagged.key)
            rules.append(min_age_rule(births, now=now, at_least=self._min_age))
        return DeletionOptions(
            disable_protection=self._choice.disable_protection,
            delete_results=self._choice.delete_results,
            excluded=with_needed(first_match(rules), scan.resources, tag_key=self._tagged.key, now=now),
        )

    def _confirm(self, preview: NukeCommandPreview) -> None:
        """The user types the account's id; before that, the number of resources if it exceeds --max."""
        details, most = preview.details, self._choice.max_resources
        count = len(details.to_delete) + len(details.to_adopt)
        if most is not None and count > most:
            if self._force:
                raise UserError(
                    f"nothing was deleted: {count} resources were found, and --max allows {most}",
                    hint="check the list above; if it is right, raise --max",
                    exit_code=ExitCode.DECLINED,
                )
            self._context.confirm_typed(
                f"{count} resources, more than the {most} that you expected.",
                word=str(count),
                confirmed=False,
            )
        self._context.confirm_typed(
            f"Delete {plural(count, 'resource')} in account {details.identity.account_id}?",
            word=details.identity.account_id,
            confirmed=self._force,
        )

    def _take(self, lock: ClusterLock) -> None:
        """If it is free, the configured cluster is not being changed. Otherwise `nuke` goes on without it."""
        lock.take_if_free()

    @property
    def _is_confirmed(self) -> bool:
        return self._force

    @property
    def _locks_all(self) -> bool:
        """Each cluster has a lock of its own."""
        return False

    async def _delete(
        self, scope: CleanupScope, scan: ScanResult, preview: NukeCommandPreview
    ) -> tuple[DeletionResult, None]:
        adopted = preview.details.to_adopt
        if adopted:
            await engine.adopt(self._calls, adopted, tags=tags_for(self._naming, "adopted"))
        result = await engine.nuke_resources(
            scope.regions,
            force=True,
            calls=self._calls,
            search=scope.request,
            scan=None if adopted else scan,
            options=_including(preview.options, adopted),
            timeout_s=self._choice.timeout,
        )
        return result, None


def _including(options: DeletionOptions, adopted: Collection[str]) -> DeletionOptions:
    """The same rules, without effect on adopted resources."""
    return replace(
        options, excluded=lambda resource: "" if resource.id in adopted else options.excluded(resource)
    )


def _strange_region(name: str, account: AccountContext, enabled: Sequence[str]) -> UserError:
    """The refusal of a region that is not enabled, or that AWS does not have."""
    known = {region.name for region in account.regions}
    close = "" if name in known else closest_region(name, known)
    meant = f"did you mean {close}? " if close else ""
    return UserError(
        f"--region: {name} is {'not enabled in this account' if name in known else 'no region'}",
        hint=f"{meant}enabled are {', '.join(enabled)}",
        exit_code=ExitCode.USAGE,
    )


def _regions_skipped(account: AccountContext, regions: Sequence[str]) -> tuple[str, ...]:
    """Enabled regions outside the scan, which may contain resources."""
    return tuple(name for name in discovery.enabled_names(account.regions) if name not in regions)
