"""`create`: launches spot nodes in the configured regions."""

from __future__ import annotations

import shlex
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.cluster_lock import ClusterLock
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.fact_sources import fact_sources
from bacalhau_spot.cli.runtime.grace import DEFAULT_GRACE, Grace, grace_seconds
from bacalhau_spot.cli.runtime.notices import create_failures, observation_notices, send_notices, with_notices
from bacalhau_spot.cli.runtime.parsers import amount, lifetime
from bacalhau_spot.cli.runtime.reporting import unexpected
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions, Yes
from bacalhau_spot.cli.state.audit_log import known_usages
from bacalhau_spot.cli.state.audit_log.writer import AuditLog
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.history.node_records import node_records
from bacalhau_spot.core.launch import planner
from bacalhau_spot.core.launch.refusals import Refusal
from bacalhau_spot.core.launch.running_cost import running_cost
from bacalhau_spot.core.model import MIN_PRICE_USD, OrchestratorMode, OrchestratorSpec, TlsMode
from bacalhau_spot.core.notices import budget_reached, create_ended
from bacalhau_spot.core.pricing.usage_history import AwsInventory, ended_usages
from bacalhau_spot.core.tags import metadata_key_problems
from bacalhau_spot.engine.aws_calls.caller import Cancelled
from bacalhau_spot.engine.launch.facts_gathering import gather_facts, refusal_error
from bacalhau_spot.engine.launch.quota_usage import QuotaUsage, quota_usage
from bacalhau_spot.engine.launch.surplus_drain import Following, create_nodes
from bacalhau_spot.engine.orchestrator import managed
from bacalhau_spot.engine.orchestrator.readiness import OrchestratorAccess
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.orchestrator.nats_probe import probe_nats
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.formatting import capitalized, comma_list, plural
from bacalhau_spot.ui.prompts import Impact
from bacalhau_spot.ui.views import lock_view

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.launch.create_result import CreateResult
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.model import BacalhauSpec, ClusterSpec, Identity
    from bacalhau_spot.core.notices import Notice
    from bacalhau_spot.orchestrator.port import Orchestrator


def create(  # noqa: PLR0913 -- one parameter for each option
    *,
    yes: Yes = False,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    allow_removal: Annotated[bool, Parameter(negative="")] = False,
    grace: Grace | None = None,
    max_price: Annotated[str | None, Parameter(metavar="USD")] = None,
    budget: Annotated[str | None, Parameter(metavar="USD")] = None,
    ttl: Annotated[str | None, Parameter(metavar="DURATION")] = None,
    without_orchestrator: Annotated[bool, Parameter(negative="")] = False,
    wait: Annotated[Literal["joined", "running", "none"] | None, Parameter(metavar="FOR")] = None,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Launch the nodes that the configuration asks for and that do not exist yet.

    Shows the plan with its price and asks. Running it again adds only the missing nodes.

    Parameters
    ----------
    yes
        Do not ask before launching.
    dry_run
        Show the plan and stop; nothing is changed.
    allow_removal
        Also drain and terminate nodes beyond the configured number: drifted ones first, then those in the dearest pools, then the
        newest. New nodes join first where the budget allows it.
    grace
        With --allow-removal, the time for running jobs, such as `90s`, `10m` or `2h` (default: `10m`); `0` for none. An idle
        node does not wait.
    max_price
        Maximum price of one instance, in US dollars an hour, instead of the configuration's `max_price_usd_per_hour`;
        `none` for no limit.
    budget
        Maximum cost of the cluster, in US dollars an hour, instead of the configuration's `budget_usd_per_hour`: a plan that
        may cost more is refused. `none` for no limit.
    ttl
        Lifetime of the cluster from now on, such as `8h` or `1h30m`, instead of the configuration's `ttl`. It moves the end of a
        cluster that exists; `none` removes it.
    without_orchestrator
        Launch nodes that join no orchestrator and receive no jobs, whatever the configuration names.
    wait
        `joined`: until every node is connected to the orchestrator, at most `timeouts.join_s`; the default if its API is
        known. `running`: until every instance runs. `none`: only until AWS has granted or refused each one; removed nodes then
        drain by themselves.
    """
    context = CommandContext("create", common, runtime)
    if context.first_time and runtime.interactive and not yes and context.for_people:
        from bacalhau_spot.cli.commands.configure import write_first  # noqa: PLC0415 - asks once in a lifetime

        write_first(context)
    removal = _removal(grace, allowed=allow_removal)
    options = _options(
        max_price=max_price,
        budget=budget,
        ttl=ttl,
        allow_removal=allow_removal,
        grace=grace if grace != DEFAULT_GRACE else None,
        without_orchestrator=without_orchestrator,
        wait=wait,
    )
    spec = _limited(context.spec(), max_price=max_price, budget=budget)
    spec = _with_lifetime(spec, ttl)
    spec = _without_orchestrator(spec, chosen=without_orchestrator)
    _check_wait(spec, wait)
    with context.runner(spec) as runner, ExitStack() as stack:
        agreed = _agreed(context, runner, spec, stack, dry_run=dry_run, removal=removal, yes=yes)
        if agreed.lock is None:
            return _unchanged(agreed, options=options)
        facts, planned, lock = agreed.facts, agreed.plan, agreed.lock
        identity = facts.account.identity
        audit = AuditLog(context, identity=identity, cluster=spec.naming.tag_value)
        runner.listen(audit.emit)
        regions = _regions(planned)
        launch = _Launch(context, runner, facts, planned, wait=wait, options=options)
        began_s = runner.calls.clock.monotonic_s()
        with create_failures(context, spec.naming.tag_value):
            result = runner.run_with_progress(
                launch.run(), screen=partial(context.screen, regions, title=f"creating {spec.name}")
            )
        result = replace(
            result,
            elapsed_s=runner.calls.clock.monotonic_s() - began_s,
            usd_per_hour=running_cost(facts, planned, result),
        )
        quotas: tuple[QuotaUsage, ...] = ()
        with suppress(KeyboardInterrupt):  # resources were changed, so the result must be printed
            quotas = runner.run_readonly(quota_usage(runner.calls, facts, result))
        if result.waited and result.exit_code is ExitCode.DONE:
            lock.ends_in_order()
    audit.log_creation(result)
    late = (
        *views.quota_lines(quotas),
        *context.record(runner.calls.mistakes),
        *filter(None, (audit.trouble,)),
        *lock.warnings,
        *agreed.warnings,
        *send_notices(context, _notices(context, identity, spec.naming.tag_value, result)),
    )
    return Result(
        "create",
        view=views.create_result_view(result, options=options),
        data={"plan": json_output.plan_data(planned), "receipt": json_output.create_data(result)},
        exit_code=result.exit_code,
        errors=context.errors_of(result.unresolved, exit_code=result.exit_code),
        warnings=(*planned.warnings, *late),
        stderr_warnings=late,
    )


def _notices(
    context: CommandContext, identity: Identity, cluster: str, result: CreateResult
) -> tuple[Notice, ...]:
    """The end of the create, its nodes that EC2 interrupted meanwhile, and those that have joined in place of others: the audit
    log has them, so that no later command observes them first.
    """
    lost = ended_usages(instance for region in result.regions for instance in region.lost)
    joined = known_usages.NewObservations(tuple(lost), frozenset(result.joined_at))
    records = node_records(
        AwsInventory(instances=tuple(instance for region in result.regions for instance in region.instances)),
        known_usages.logged_usages(context, identity, cluster=cluster),
        now=context.runtime.clock.now(),
    )
    observed = observation_notices(context, identity, joined, cluster=cluster, records=records)
    return (*observed, create_ended(cluster, result))


def _over_budget(context: CommandContext, plan: Plan, *, dry_run: bool) -> UserError:
    """The refusal of a plan. A dry run only asks, and sends no notice."""
    error = views.over_budget(plan)
    if dry_run or plan.budget is None:
        return error
    cluster = context.naming().tag_value
    return with_notices(context, error, [budget_reached(cluster, plan.budget, not_launched=plan.launch)])


def _regions(plan: Plan) -> list[str]:
    """Those of the plan, and those that nodes leave."""
    leaving = (instance.region for instance in plan.remove)
    return list(dict.fromkeys((*(region.region for region in plan.regions), *leaving)))


@dataclass(frozen=True)
class Removal:
    """Whether surplus nodes may be removed, and the time for their jobs."""

    allowed: bool
    grace_s: int


def _removal(grace: str | None, *, allowed: bool) -> Removal:
    """Raises UserError for a time that would have no effect."""
    if grace is not None and not allowed:
        raise UserError(
            "--grace has no effect without --allow-removal: create drains no node",
            hint="add --allow-removal to drain and terminate surplus nodes, or leave out --grace",
            exit_code=ExitCode.USAGE,
        )
    return Removal(allowed=allowed, grace_s=grace_seconds(DEFAULT_GRACE if grace is None else grace))


@dataclass(frozen=True)
class _Agreed:
    """A plan that the user has seen. `lock`: held for its execution; None: it is not to be executed.

    `changing`: about another command that is changing the cluster; a part of `shown`.
    """

    facts: LaunchFacts
    plan: Plan
    shown: RenderableType
    lock: ClusterLock | None = None
    warnings: tuple[str, ...] = ()
    changing: str = ""


def _agreed(
    context: CommandContext,
    runner: Runner,
    spec: ClusterSpec,
    stack: ExitStack,
    *,
    dry_run: bool,
    removal: Removal,
    yes: bool,
) -> _Agreed:
    """Plan, show and ask; again if another command has changed the cluster meanwhile. `stack` releases the lock."""
    lock: ClusterLock | None = None
    warnings: tuple[str, ...] = ()
    while True:
        facts = runner.run_readonly(gather_facts(runner.calls, spec, fact_sources(context)))
        identity = facts.account.identity
        # A failure to write the log does not prevent the launch.
        cluster = spec.naming.tag_value
        new = known_usages.log_observations(
            context, identity, cluster=cluster, ended=ended_usages(facts.instances)
        )
        notices = observation_notices(context, identity, new, cluster=cluster)
        warnings += send_notices(context, notices)
        planned, shown = _plan(context, facts, removal=removal, dry_run=dry_run)
        own = ClusterLock(context, runner, naming=spec.naming, identity=identity, command="create")
        if dry_run or planned.empty:
            changing = own.changing() if planned.surplus else ""
            if changing:
                shown = views.plan_view(planned, changing=changing)
            return _Agreed(facts, planned, shown, warnings=warnings, changing=changing)
        context.print_status(shown)
        where = f"of {cluster} in account {identity.account_id}"
        context.confirm(_question(planned, where=where), impact=_danger(planned), confirmed=yes)
        lock = lock or stack.enter_context(own)
        if not lock.take():
            return _Agreed(facts, planned, shown, lock, warnings)
        context.print_status(views.sentence_text(lock_view.changed_meanwhile()))


def _plan(
    context: CommandContext, facts: LaunchFacts, *, removal: Removal, dry_run: bool
) -> tuple[Plan, RenderableType]:
    """The plan, and how it is shown. Raises CloudError and UserError for a launch that is refused."""
    planned = planner.plan(facts, allow_removal=removal.allowed, grace_s=removal.grace_s)
    if isinstance(planned, Refusal):
        raise refusal_error(planned)
    shown = views.plan_view(planned)
    if planned.over_budget:
        context.print_status(shown)
        raise _over_budget(context, planned, dry_run=dry_run)
    return planned, shown


def _unchanged(agreed: _Agreed, *, options: str) -> Result:
    """The plan alone: of a dry run, or of a cluster that is as configured."""
    plan, shown = agreed.plan, agreed.shown
    carried_out = views.dry_run_view(shown, options=options)
    return Result(
        "create",
        view=shown if plan.empty else carried_out,
        data={"plan": json_output.plan_data(plan)},
        warnings=(*plan.warnings, *agreed.warnings, *filter(None, [agreed.changing])),
        stderr_warnings=agreed.warnings,
    )


class _Launch:
    """The orchestrator first, then the nodes and their joining, then the drain of surplus nodes."""

    def __init__(
        self,
        context: CommandContext,
        runner: Runner,
        facts: LaunchFacts,
        plan: Plan,
        *,
        wait: str | None,
        options: str,
    ) -> None:
        self._context = context
        self._calls = runner.calls
        self._facts = facts
        self._plan = plan
        self._wait = wait
        self._options = options

    async def run(self) -> CreateResult:
        """Raises UserError if the orchestrator cannot be created or does not answer; nodes are then not launched."""
        ready = await self._ready_orchestrator()
        self._context.learn(ready.spec)
        facts = replace(self._facts, spec=ready.spec)
        following = Following(
            partial(self._joined, ready), api=self._drain_api(ready), wait=self._wait != "none"
        )
        return await create_nodes(self._calls, facts, self._plan, following, created_networks=ready.networks)

    async def _joined(self, ready: managed.ReadyOrchestrator, result: CreateResult) -> CreateResult:
        api = self._api(self._context.api_of(ready.spec.bacalhau))
        if api is None or not ready.api_reachable:
            return result
        timeout_s = ready.spec.timeouts.join_s
        return await managed.wait_until_joined(self._calls, api, result, timeout_s=timeout_s)

    def _drain_api(self, ready: managed.ReadyOrchestrator) -> Orchestrator | None:
        """It shows drained nodes earlier than EC2. None if nothing is removed, or the API is not reachable."""
        if not self._plan.remove or not ready.api_reachable or self._is_alone:
            return None
        return self._context.api_client(self._context.api_of(ready.spec.bacalhau))

    @property
    def _is_alone(self) -> bool:
        return self._facts.spec.orchestrator.mode is OrchestratorMode.NONE

    async def _ready_orchestrator(self) -> managed.ReadyOrchestrator:
        access = OrchestratorAccess(nats=probe_nats, api=self._api)
        try:
            return await managed.ensure_orchestrator(
                self._calls, self._facts, self._plan, access, wait=self._wait != "none"
            )
        except CloudError as error:
            raise self._incomplete(unexpected(error, self._context.runtime)) from error
        except Cancelled as error:
            raise self._incomplete(views.interrupted_orchestrator()) from error

    def _incomplete(self, error: UserError) -> UserError:
        planned = self._plan.orchestrator
        is_new = planned is not None and planned.launches and not planned.replaces
        removable = is_new and not self._facts.instances
        return views.with_created(error, self._calls.made, removable=removable, options=self._options)

    def _api(self, bacalhau: BacalhauSpec) -> Orchestrator | None:
        """None if this run does not wait for joins, or the orchestrator has no API."""
        if self._is_alone or self._wait in {"running", "none"}:
            return None
        return self._context.api_client(bacalhau)


def _options(
    *,
    max_price: str | None,
    budget: str | None,
    ttl: str | None,
    allow_removal: bool,
    grace: str | None,
    without_orchestrator: bool,
    wait: str | None,
) -> str:
    """The options of this run that decide how nodes are launched and leave: the command that goes on has them, too."""
    values = {"--max-price": max_price, "--budget": budget, "--ttl": ttl, "--grace": grace, "--wait": wait}
    words = [" --allow-removal"] if allow_removal else []
    words += [" --without-orchestrator"] if without_orchestrator else []
    words += [f" {name} {shlex.quote(value)}" for name, value in values.items() if value is not None]
    return "".join(words)


def _limited(spec: ClusterSpec, *, max_price: str | None, budget: str | None) -> ClusterSpec:
    """The configuration with the limits of the command line. Raises UserError."""
    if max_price is not None:
        spec = replace(
            spec, max_price_usd_per_hour=amount(max_price, flag="--max-price", above=MIN_PRICE_USD)
        )
    if budget is not None:
        spec = replace(spec, budget_usd_per_hour=amount(budget, flag="--budget"))
    return spec


def _with_lifetime(spec: ClusterSpec, ttl: str | None) -> ClusterSpec:
    """The configuration with the lifetime of the command line. Raises UserError."""
    if ttl is None:
        return spec
    seconds = None if ttl.strip().lower() == "none" else lifetime(ttl, flag="--ttl")
    keys = metadata_key_problems(spec.naming)
    if seconds is not None and keys:
        raise UserError(
            f"--ttl: nodes cannot read the end of their lifetime: a tag key is {keys[0]!r}",
            why="EC2's metadata service accepts no tag keys with spaces or slashes",
            hint="rename it under `cluster`, or leave out --ttl",
            docs="docs/lifetime.md",
            exit_code=ExitCode.USAGE,
        )
    return replace(spec, ttl_s=seconds, ttl_is_chosen=True)


def _without_orchestrator(spec: ClusterSpec, *, chosen: bool) -> ClusterSpec:
    """The nodes get neither addresses nor a token: one that is of no use to them should not leave this machine."""
    if not chosen:
        return spec
    bacalhau = replace(
        spec.bacalhau,
        orchestrators=(),
        token=None,
        tls=TlsMode.NONE,
        ca_pem=None,
        api_host=None,
        api_key=None,
        api_user=None,
        api_password=None,
        api_ca_pem=None,
    )
    return replace(spec, orchestrator=OrchestratorSpec(OrchestratorMode.NONE), bacalhau=bacalhau)


def _check_wait(spec: ClusterSpec, wait: str | None) -> None:
    """Raises UserError (exit code 2) for a wait that cannot end."""
    if wait == "joined" and spec.orchestrator.mode is OrchestratorMode.NONE:
        raise UserError(
            "--wait joined needs an orchestrator, and this cluster has none",
            hint="use --wait running",
            exit_code=ExitCode.USAGE,
        )


def _danger(plan: Plan) -> Impact:
    return Impact.REMOVES if plan.remove else Impact.ADDS


def _question(plan: Plan, *, where: str) -> str:
    parts = []
    if plan.orchestrator is not None and not plan.orchestrator.empty:
        verb = "create" if plan.orchestrator.launches and not plan.orchestrator.replaces else "repair"
        parts.append(f"{verb} the orchestrator")
    if plan.launch:
        parts.append(f"launch {plural(plan.launch, 'instance')}")
    if views.changed_groups(plan):
        parts.append(views.changed_groups(plan))
    if plan.remove:
        parts.append(f"drain and terminate {plural(len(plan.remove), 'node')}")
    parts = parts or [f"change the expiry of {views.expiry_holders(plan.expiry)}"]
    return f"{capitalized(comma_list(parts))} {where}?"
