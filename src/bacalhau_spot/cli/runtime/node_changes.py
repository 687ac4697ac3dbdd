"""The common part of `remove`, `replace` and `scale`: options, preview, question, result."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.cluster_lock import ClusterLock
from bacalhau_spot.cli.runtime.command_line import shared_options
from bacalhau_spot.cli.runtime.fact_sources import fact_sources
from bacalhau_spot.cli.runtime.node_prompt import resolve_nodes
from bacalhau_spot.cli.runtime.notices import send_notices
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.state.audit_log.writer import AuditLog
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.launch import planner
from bacalhau_spot.core.launch.group_plan import GroupStep
from bacalhau_spot.core.launch.refusals import Refusal
from bacalhau_spot.core.model import OrchestratorMode
from bacalhau_spot.core.node_changes.change_result import replacement_notices
from bacalhau_spot.core.node_changes.node_change import NodeChange, present_nodes
from bacalhau_spot.core.orchestrator.smoke_test import IMAGE, Engine, SmokeTestOptions
from bacalhau_spot.core.ssh.node_selector import ORCHESTRATOR, selects_any
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.engine.launch.facts_gathering import gather_facts, refusal_error
from bacalhau_spot.engine.node_changes.node_change_runner import ChangeTools
from bacalhau_spot.engine.pricing.prices import prices_now
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.formatting import capitalized, comma_list, plural
from bacalhau_spot.ui.prompts import Impact
from bacalhau_spot.ui.views import lock_view

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.inventory import AccountContext, ClusterInventory
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.model import ClusterSpec, Instance
    from bacalhau_spot.core.node_changes.change_result import ChangeResult
    from bacalhau_spot.core.pricing.list_prices import Prices
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

DryRun = Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")]
_DRY_RUN = frozenset({"--dry-run", "-n"})
_TEST_S = 300  # with the download of the image on a new node


@dataclass(frozen=True)
class Cluster:
    """The cluster as AWS lists it: its account, its nodes that are not draining, and the spot prices of their pools."""

    account: AccountContext
    instances: tuple[Instance, ...]
    inventory: ClusterInventory
    prices: Prices

    @property
    def present(self) -> tuple[Instance, ...]:
        return present_nodes(self.instances)

    def usd(self, instances: Sequence[Instance]) -> Decimal | None:
        """The spot prices an hour; None if one is unknown."""
        found = [self.prices.get((one.region, one.type, one.zone)) for one in instances]
        known = [price for price in found if price is not None]
        return sum(known, start=Decimal(0)) if len(known) == len(found) else None

    def change(self, cluster: str, old: Sequence[Instance], *, grace_s: int) -> NodeChange:
        """Without launches."""
        present = self.present
        leaving = [instance for instance in old if instance in present]
        return NodeChange(
            cluster=cluster,
            present=len(present),
            after=len(present) - len(leaving),
            old=tuple(old),
            grace_s=grace_s,
            usd_before=self.usd(present),
            usd_old=self.usd(leaving),
        )


def look(context: CommandContext, runner: Runner, spec: ClusterSpec) -> Cluster:
    """Raises CloudError, UserError if a region could not be scanned: the number of nodes is then unknown."""

    async def ask(calls: AwsCalls) -> Cluster:
        account = await discovery.load_account(calls)
        inventory = await discovery.instances_of(calls, spec.naming, regions=account.enabled_regions)
        alive = [instance for instance in inventory.instances if instance.alive]
        try:
            prices = await prices_now(calls, alive)
        except CloudError:  # they inform, but decide nothing
            prices = {}
        return Cluster(account, inventory.instances, inventory, prices)

    cluster = runner.run_readonly(ask(runner.calls))
    _check_complete(context, cluster.inventory)
    return cluster


def _scanned(context: CommandContext, runner: Runner, cluster: Cluster) -> ClusterInventory:
    """The cluster's instances at present. Raises as `look`."""
    regions = cluster.account.enabled_regions
    now = runner.run_readonly(discovery.instances_of(runner.calls, context.naming(), regions=regions))
    _check_complete(context, now)
    return now


def _check_complete(context: CommandContext, inventory: ClusterInventory) -> None:
    if inventory.failed_regions:
        raise context.errors_of(inventory.failed_regions, exit_code=ExitCode.INCOMPLETE)[0]


def check_words(words: Sequence[str], *, command: str) -> None:
    """Raises UserError without any word: no command takes all nodes because none was named."""
    if not any(word.strip() for word in words):
        raise UserError(
            f"{command} needs the nodes to {command}",
            hint=f"`bacalhau-spot {command} NODE`; `bacalhau-spot list` shows them",
            exit_code=ExitCode.USAGE,
        )


def selected_nodes(
    context: CommandContext, runner: Runner, cluster: Cluster, words: Sequence[str], *, verb: str
) -> tuple[Instance, ...]:
    """The living nodes that the words name, each once. An ended node's id is skipped, so that an interrupted command can be
    repeated. Raises UserError for a word that names none, or the orchestrator.
    """
    naming = context.naming()
    chosen: dict[str, Instance] = {}
    boss = cluster.inventory.orchestrator
    alive = [instance for instance in cluster.instances if instance.alive]
    ended = {instance.id for instance in cluster.instances if not instance.alive}
    for word in words:
        if word in ended:
            continue
        _check_selector(word, alive, boss, prefix=naming.resource_prefix)
        for instance in resolve_nodes(
            context, word, alive, unseen=(), naming=naming, verb=verb, runner=runner, nodes_only=True
        ):
            chosen[instance.id] = instance
    return tuple(chosen.values())


def _check_selector(word: str, nodes: Sequence[Instance], boss: Instance | None, *, prefix: str) -> None:
    """Raises UserError for the orchestrator, and for a word with which every id or name begins."""
    if word == ORCHESTRATOR or (boss is not None and word.endswith(boss.id)):
        raise UserError(
            f"{boss.id if boss else word} is the orchestrator's instance, and no node",
            hint="`bacalhau-spot create` repairs the orchestrator, `bacalhau-spot destroy` deletes it",
            exit_code=ExitCode.USAGE,
        )
    if not nodes or not selects_any(word, prefix=prefix):
        return
    raise UserError(
        f"{word} matches {plural(len(nodes), 'node')}",
        why="every id or name of a node begins like this",
        details=tuple(f"{instance.id}  {instance.zone}" for instance in nodes),
        hint="name more of the id; a zone or a region selects several nodes",
        exit_code=ExitCode.USAGE,
    )


# The changes of groups that belong to another number of nodes.
NUMBERS: Final = frozenset({GroupStep.CREATE, GroupStep.RESIZE})


def planned_launch(
    context: CommandContext,
    runner: Runner,
    target: ClusterSpec,
    *,
    steps: frozenset[GroupStep] = NUMBERS,
) -> tuple[LaunchFacts, Plan]:
    """The facts and the plan of a launch with this configuration, as `create` makes them. Raises UserError, CloudError.

    `steps`: the changes of Auto Scaling groups that the command may make; a plan with others is refused.
    """
    facts = runner.run_readonly(gather_facts(runner.calls, target, fact_sources(context)))
    plan = planner.plan(facts)
    if isinstance(plan, Refusal):
        raise refusal_error(plan)
    if plan.launch and plan.orchestrator is not None and not plan.orchestrator.empty:
        raise UserError(
            "the managed orchestrator is not as configured; no node was launched",
            hint="run `bacalhau-spot create` first: it repairs the orchestrator",
        )
    other = [group.region for group in plan.group_changes if not steps.issuperset(group.steps)]
    if plan.launch and other:
        raise groups_not_as_configured(other)
    return facts, plan


def groups_not_as_configured(regions: Iterable[str]) -> UserError:
    """The refusal of a change that would also create or dissolve groups, or attach nodes: `create` shows those changes."""
    return UserError(
        f"the Auto Scaling groups are not as configured in {comma_list(sorted(set(regions)))}; no node was launched",
        hint="run `bacalhau-spot create` first: it shows and makes the changes",
        docs="docs/self-healing.md",
    )


def tools(context: CommandContext, runner: Runner, cluster: Cluster, *, testing: bool) -> ChangeTools:
    """With the orchestrator's API if it is known. `testing`: each new node runs a smoke test, if the key may submit jobs."""
    spec = context.spec()
    api = None
    if spec.orchestrator.mode is not OrchestratorMode.NONE:
        api = context.orchestrator_if_any(runner)
    jobs = context.api_client(context.operator_api()) if testing and api is not None else None
    sources = fact_sources(context)
    return ChangeTools(
        gather=lambda target: gather_facts(runner.calls, target, sources),
        regions=cluster.account.enabled_regions,
        api=api,
        jobs=jobs,
        test=_test_options(context.runtime.run_id) if jobs is not None else None,
    )


def _test_options(run_id: str) -> SmokeTestOptions:
    return SmokeTestOptions(engine=Engine.DOCKER, image=IMAGE, timeout_s=_TEST_S, run_id=run_id[:8])


def typed_words(context: CommandContext) -> list[str]:
    """The command and its words as typed, without the options that every suggested command gets."""
    words = shared_options(context.runtime.invocation.argv)[1]
    return words if words[:1] == [context.command] else [context.command]


def run_change(
    context: CommandContext,
    runner: Runner,
    cluster: Cluster,
    change: NodeChange,
    work: Callable[[], Awaitable[ChangeResult]],
    *,
    yes: bool,
    dry_run: bool,
) -> Result:
    """Show the change, ask, and do it."""
    identity = cluster.account.identity
    words = typed_words(context)
    shown = views.node_change_view(
        change,
        words=[word for word in words if word not in _DRY_RUN] if dry_run else (),
    )
    outdated = lock_view.outdated_plan(shlex.join(words))
    if dry_run or change.empty:
        if not dry_run and _is_outdated(context, runner, cluster):
            raise outdated
        return Result(context.command, view=shown, data=json_output.node_change_data(change, None))
    context.print_status(shown)
    where = f"of {context.naming().tag_value} in account {identity.account_id}"
    context.confirm(_question(context.command, change, where), impact=Impact.ADDS, confirmed=yes)
    with _lock(context, runner, cluster) as lock:
        if lock.take():
            raise outdated
        return _carried_out(context, runner, cluster, change, work, lock=lock)


def _lock(context: CommandContext, runner: Runner, cluster: Cluster) -> ClusterLock:
    identity, command = cluster.account.identity, context.command
    return ClusterLock(context, runner, naming=context.naming(), identity=identity, command=command)


def _is_outdated(context: CommandContext, runner: Runner, cluster: Cluster) -> bool:
    """Whether there may be something to change after all: the look was in the middle of another command.

    Waits for that one, as before a change. Raises UserError, CloudError as `look` and ClusterLock.take.
    """
    with _lock(context, runner, cluster) as lock:
        if lock.changing():
            lock.take()
            return True
    # It may have ended after the look.
    now = _scanned(context, runner, cluster)
    return {one.id for one in present_nodes(now.instances)} != {one.id for one in cluster.present}


def _carried_out(
    context: CommandContext,
    runner: Runner,
    cluster: Cluster,
    change: NodeChange,
    work: Callable[[], Awaitable[ChangeResult]],
    *,
    lock: ClusterLock,
) -> Result:
    audit = AuditLog(context, identity=cluster.account.identity, cluster=context.naming().tag_value)
    runner.listen(audit.emit)
    launching = change.launch.regions if change.launch else ()
    regions = sorted({one.region for one in change.old} | {one.region for one in launching if one.launch})
    result = runner.run_with_progress(
        _awaited(work), screen=partial(context.screen, regions, title=f"{context.command} {change.cluster}")
    )
    if result.exit_code is ExitCode.DONE:
        lock.ends_in_order()
    for batch in result.batches:
        if batch.launch is not None:
            audit.log_creation(batch.launch)
    notices = (
        replacement_notices(context.naming().tag_value, result, cluster.instances)
        if context.command == "replace"
        else ()
    )
    late = (
        *context.record(runner.calls.mistakes),
        *filter(None, (audit.trouble,)),
        *lock.warnings,
        *send_notices(context, notices),
    )
    return Result(
        context.command,
        view=views.node_change_result_view(typed_words(context), change, result),
        data=json_output.node_change_data(change, result),
        exit_code=result.exit_code,
        errors=context.errors_of(result.failures, exit_code=result.exit_code),
        warnings=late,
        stderr_warnings=late,
    )


async def _awaited(work: Callable[[], Awaitable[ChangeResult]]) -> ChangeResult:
    return await work()


def _question(command: str, change: NodeChange, where: str) -> str:
    parts = []
    if change.launches:
        verb = "replace" if command == "replace" else "launch"
        parts.append(f"{verb} {plural(change.launches, 'node')}")
    if change.old and command != "replace":
        parts.append(f"drain and terminate {plural(len(change.old), 'node')}")
    if command == "replace" and not change.launches:
        parts.append(f"replace {plural(len(change.old), 'node')}")
    return f"{capitalized(comma_list(parts))} {where}?"


def check_known_region(spec: ClusterSpec, region: str) -> None:
    """Raises UserError for a region that the configuration does not name."""
    names = [found.name for found in spec.regions]
    if names and region not in names:
        raise UserError(
            f"{region} is not a region of the configuration",
            details=(f"configured are {', '.join(names)}",),
            hint="`bacalhau-spot configure --set regions=…` changes them",
            exit_code=ExitCode.USAGE,
        )
