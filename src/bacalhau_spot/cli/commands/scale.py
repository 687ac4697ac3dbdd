"""`scale`: another number of nodes, without or with a change of the configuration."""

from __future__ import annotations

import difflib
import shlex
from dataclasses import replace as changed
from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot import config as configuration
from bacalhau_spot.cli.runtime import node_changes
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.grace import DEFAULT_GRACE, Grace, grace_seconds
from bacalhau_spot.cli.runtime.node_changes import DryRun
from bacalhau_spot.cli.runtime.parsers import whole_number
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.runner import NullProgress
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions, Regions, Yes
from bacalhau_spot.core.launch.surplus import surplus_nodes
from bacalhau_spot.core.node_changes.node_change import (
    MAX_NODES,
    scaled,
    written_values,
)
from bacalhau_spot.core.orchestrator.managed_state import OrchestratorState
from bacalhau_spot.core.orchestrator.published_configuration import needs_publishing
from bacalhau_spot.core.placement.demand import nodes_by_region
from bacalhau_spot.engine.node_changes.node_change_runner import NodeChangeRunner
from bacalhau_spot.engine.orchestrator.reconcile_configuration import publish
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import views
from bacalhau_spot.ui.formatting import comma_list, plural

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.core.node_changes.change_result import ChangeResult


def scale(
    nodes: Annotated[int, Parameter(converter=whole_number)],
    *,
    region: Regions = (),
    write: Annotated[bool, Parameter(name="--write", negative="")] = False,
    grace: Grace = DEFAULT_GRACE,
    yes: Yes = False,
    dry_run: DryRun = False,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Launch or remove nodes until the cluster, or one region, has this number.

    Missing nodes are launched as by `create`. Surplus nodes are drained and terminated: drifted ones first, then those in the
    dearest pools, then the newest. Without --write the configuration keeps its number, to which the next `create` returns.

    Parameters
    ----------
    nodes
        The number of nodes.
    region
        Of this one region; the other regions keep their nodes.
    write
        Also write the number into the configuration: `nodes`, or the region's `nodes`.
    grace
        The time for running jobs, such as `90s`, `10m` or `2h`; `0` for none. An idle node does not wait.
    yes
        Do not ask.
    dry_run
        Show the plan and stop.
    """
    context = CommandContext("scale", common, runtime)
    grace_s = grace_seconds(grace)
    spec = context.spec()
    chosen = _one(region, nodes)
    _check(spec, nodes, region=chosen)
    _check_kept(context, spec, write=write)
    edit = _edit(context, spec, nodes, region=chosen) if write else None
    with context.runner(spec) as runner:
        cluster = node_changes.look(context, runner, spec)
        target = scaled(spec, nodes, region=chosen, present=cluster.present)
        facts, plan = node_changes.planned_launch(context, runner, target)
        if plan.over_budget:
            raise views.over_budget(
                plan, hint="name a smaller number, or raise the budget: `budget_usd_per_hour`"
            )
        _check_published(facts)
        _check_launching(facts)
        old, reasons = surplus_nodes(facts, cluster.prices)
        change = changed(
            cluster.change(spec.name, old, grace_s=grace_s),
            launch=plan if plan.launch else None,
            reasons=reasons,
        )
        change = changed(change, after=change.after + change.launches)
        tools = node_changes.tools(context, runner, cluster, testing=False)
        work = partial(NodeChangeRunner(runner.calls, facts.spec, change, tools).scale, facts, plan)
        if edit is not None:
            context.print_status(views.raw(edit.diff))
        run = partial(node_changes.run_change, context, runner, cluster, change, yes=yes, dry_run=dry_run)
        if edit is None or spec.orchestrator.reconcile is None:
            result = run(work)
        else:
            result = _run_kept(run, work, partial(_publish, context, runner, edit, facts))
            if change.empty and not dry_run:
                runner.run_with_progress(_publish(context, runner, edit, facts), screen=NullProgress)
    return _written(spec, result, edit, nodes=nodes, region=chosen, dry_run=dry_run)


def _run_kept(
    run: Callable[[Callable[[], Awaitable[ChangeResult]]], Result],
    work: Callable[[], Awaitable[ChangeResult]],
    publish_number: Callable[[], Awaitable[None]],
) -> Result:
    """The change, after the orchestrator's machine has the new number: with the former one it would undo the change."""

    async def published() -> ChangeResult:
        await publish_number()
        return await work()

    return run(published)


async def _publish(context: CommandContext, runner: Runner, edit: _Edit, facts: LaunchFacts) -> None:
    """The file has the number from now on, too, whatever becomes of the change: the machine completes it."""
    state, runtime = facts.orchestrator, context.runtime
    loaded = configuration.load_text(edit.text, path=edit.path, environ=runtime.environ, home=runtime.home)
    if isinstance(state, OrchestratorState):
        await publish(
            runner.calls,
            loaded.spec,
            region=state.region,
            ssh_ranges=facts.ssh_ranges,
            replaces=state.published is not None,
        )
    configuration.write_config(edit.path, edit.text, overwrite=True)


def _check_kept(context: CommandContext, spec: ClusterSpec, *, write: bool) -> None:
    """Raises UserError for a number that the orchestrator's machine would undo."""
    if spec.orchestrator.reconcile is not None and not write:
        again = shlex.join([*node_changes.typed_words(context), "--write"])
        raise UserError(
            "the orchestrator's machine keeps the number of nodes in the configuration, and would undo this change",
            hint=f"`bacalhau-spot {again}` changes the configuration, here and on the machine",
            docs="docs/reconcile.md",
            exit_code=ExitCode.USAGE,
        )


class _Edit:
    """The configuration before and after."""

    def __init__(self, path: Path, before: str, after: str) -> None:
        self.path, self.text = path, after
        lines = difflib.unified_diff(
            before.splitlines(),
            after.splitlines(),
            f"{path.name} (now)",
            f"{path.name} (then)",
            lineterm="",
            n=1,
        )
        self.diff = "\n".join(lines)


def _one(regions: tuple[str, ...], nodes: int) -> str | None:
    """Raises UserError for several regions: whether each has the number, or all together, is not said."""
    if len(regions) > 1:
        raise UserError(
            f"scale changes one region at a time, and --region names {comma_list(regions)}",
            hint=f"`bacalhau-spot scale {nodes} --region {regions[0]}`, then the next one",
            exit_code=ExitCode.USAGE,
        )
    return next(iter(regions), None)


def _check(spec: ClusterSpec, nodes: int, *, region: str | None) -> None:
    """Raises UserError (exit code 2) for a number that no cluster can have."""
    if not 0 <= nodes <= MAX_NODES:
        raise UserError(
            f"{nodes} is not a number of nodes",
            hint=f"0 to {MAX_NODES}; `bacalhau-spot destroy` removes everything",
            exit_code=ExitCode.USAGE,
        )
    if region is None:
        _check_fixed(spec, nodes)
    else:
        node_changes.check_known_region(spec, region)


def _check_published(facts: LaunchFacts) -> None:
    """Raises UserError if the machine would get further changes with the number, which only `create` shows."""
    state, own = facts.orchestrator, facts.spec.orchestrator.reconcile
    if own is None or not isinstance(state, OrchestratorState) or not needs_publishing(state.published, own):
        return
    raise UserError(
        "the orchestrator's machine has another configuration than this one; nothing was changed",
        hint="run `bacalhau-spot create` first: it shows the differences, and gives the machine this configuration",
        docs="docs/reconcile.md",
    )


def _check_launching(facts: LaunchFacts) -> None:
    """Raises UserError for fewer nodes while AWS launches some: it would launch them after the others have left."""
    launching = sum(facts.replaced.values())
    if launching and facts.demand.removable:
        raise UserError(
            f"AWS is launching {plural(launching, 'node')} of the cluster at this moment; no node was removed",
            hint="repeat the command when `bacalhau-spot list` shows them, or lower `nodes` and run `bacalhau-spot create`",
            docs="docs/self-healing.md",
        )


def _check_fixed(spec: ClusterSpec, nodes: int) -> None:
    """Raises UserError if the numbers of single regions leave no choice."""
    fixed = [found for found in spec.regions if found.nodes is not None]
    if fixed and (len(fixed) == len(spec.regions) or sum(found.nodes or 0 for found in fixed) > nodes):
        counts = ", ".join(f"{found.name} {found.nodes}" for found in fixed)
        raise UserError(
            f"the configuration fixes the number of nodes of regions: {counts}",
            why="the cluster's number applies to the other regions",
            hint=f"`bacalhau-spot scale {nodes} --region {fixed[0].name}` changes one region",
            exit_code=ExitCode.USAGE,
        )


def _edit(context: CommandContext, spec: ClusterSpec, nodes: int, *, region: str | None) -> _Edit:
    """Raises UserError for a file that cannot be changed."""
    path = context.config_path()
    before = configuration.read_config_text(path)
    values = written_values(
        spec, nodes, region=region, has_total=configuration.has_key(before, "nodes", file=path.name)
    )
    text = before
    if region is not None and isinstance(configuration.regions_like(before, [region], file=path.name), list):
        # A list of names has no room for a number.
        regions = {found.name: {"nodes": nodes} if found.name == region else {} for found in spec.regions}
        text = configuration.set_block(before, {"regions": regions}, file=path.name)
        values.pop(f"regions.{region}.nodes")
    after = configuration.set_values(text, values, file=path.name)
    return _Edit(path, before, after)


def _written(
    spec: ClusterSpec,
    result: Result,
    edit: _Edit | None,
    *,
    nodes: int,
    region: str | None,
    dry_run: bool,
) -> Result:
    """After the change, so that a declined or failed one leaves the file as it is."""
    if edit is not None:
        if not dry_run and spec.orchestrator.reconcile is None and result.exit_code is ExitCode.DONE:
            configuration.write_config(edit.path, edit.text, overwrite=True)
        return result
    configured = nodes_by_region(spec)
    number = configured.get(region or "", 0) if region else sum(configured.values())
    if number == nodes or spec.auto_regions is not None:
        return result
    note = f"the configuration has {plural(number, 'node')}{f' in {region}' if region else ''}: the next create returns to it"
    return changed(result, warnings=(*result.warnings, f"{note}; --write changes it"))
