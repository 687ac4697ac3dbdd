"""`replace`: launches new nodes in place of others, a few at a time."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime import node_changes
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.node_changes import DEFAULT_GRACE, DryRun, Grace
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions, Yes
from bacalhau_spot.core.launch.node_spec import drifted_nodes
from bacalhau_spot.core.launch.surplus import NOT_BOTH
from bacalhau_spot.core.node_changes.node_change import (
    BATCH,
    at_once_of,
    ended_nodes,
    target_of_batch,
    without_replacements,
)
from bacalhau_spot.core.node_changes.replacement_budget import CHOSEN, batch_budget
from bacalhau_spot.core.placement.demand import nodes_by_region
from bacalhau_spot.core.scaling_group.groups import regions_of_groups
from bacalhau_spot.engine.node_changes.node_change_runner import NodeChangeRunner
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import views

if TYPE_CHECKING:
    from bacalhau_spot.cli.runtime.node_changes import Cluster
    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.core.node_changes.node_change import NodeChange


def replace(  # noqa: PLR0913 -- one parameter for each option
    *words: Annotated[str, Parameter(name="NODE")],
    drifted: Annotated[bool, Parameter(name="--drifted", negative="")] = False,
    region: str | None = None,
    at_once: str = "1",
    old_first: Annotated[bool, Parameter(name="--old-first", negative="")] = False,
    grace: Grace = DEFAULT_GRACE,
    smoke_test: bool = True,
    yes: Yes = False,
    dry_run: DryRun = False,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Replace nodes by new ones, a few at a time.

    New nodes are launched first. When they have joined and run a smoke test, the old ones are drained and terminated. If a new
    node does not join or fails its test, nothing more is replaced. Running the command again continues.

    Parameters
    ----------
    words
        The nodes: ids of instances, the beginning of ids, names of nodes, zones or regions.
    drifted
        All nodes that were launched with other values than the configuration's.
    region
        All nodes of a region.
    at_once
        Number of nodes at a time, or a percentage such as `25%`; at most 12.
    old_first
        Drain the old nodes before the new ones are launched, as without budget for both.
    grace
        The time for running jobs, such as `90s`, `10m` or `2h`; `0` for none. An idle node does not wait.
    smoke_test
        Run a job on each new node, where the orchestrator's API is known.
    yes
        Do not ask.
    dry_run
        Show the plan and stop.
    """
    context = CommandContext("replace", common, runtime)
    grace_s = node_changes.grace_seconds(grace)
    if sum((bool(words), drifted, region is not None)) != 1:
        raise UserError(
            "replace needs nodes, --drifted or --region, and one of these only",
            hint="`bacalhau-spot replace --drifted`; `bacalhau-spot list` shows the nodes",
            exit_code=ExitCode.USAGE,
        )
    with context.runner(context.spec()) as runner:
        spec = context.spec()
        cluster = node_changes.look(context, runner, spec)
        _check_not_healed(spec, cluster)
        configured = sum(nodes_by_region(spec).values())
        if drifted:
            now = changed(spec, bacalhau=context.joining(runner))
            chosen = tuple(node.instance for node in drifted_nodes(now, cluster.present))
        elif region is not None:
            chosen = tuple(instance for instance in cluster.present if instance.region == region)
        else:
            ended = ended_nodes(words, cluster.instances, configured=configured)
            chosen = (*ended, *node_changes.selected_nodes(context, runner, cluster, words, verb="replace"))
        old, launched = without_replacements(chosen, cluster.instances, named=words)
        change = cluster.change(spec.name, old, grace_s=grace_s)
        change = changed(
            change,
            at_once=min(_at_once(at_once, len(cluster.present)), max(1, len(old))),
            launched_before=launched,
            configured=configured,
            reasons={one.id: "already ended" for one in old if not one.alive},
        )
        change = _priced(context, runner, spec, cluster, change, old_first=old_first)
        tools = node_changes.tools(context, runner, cluster, testing=smoke_test)
        work = NodeChangeRunner(runner.calls, spec, change, tools)
        return node_changes.run_change(
            context, runner, cluster, change, work.replace, yes=yes, dry_run=dry_run
        )


def _check_not_healed(spec: ClusterSpec, cluster: Cluster) -> None:
    """Raises UserError for a cluster whose nodes AWS launches."""
    if spec.self_heal or regions_of_groups(cluster.present, spec.naming):
        raise UserError(
            "replace cannot be used with a self-healing cluster",
            why="AWS alone launches the nodes of an Auto Scaling group, and not in place of certain ones",
            hint="`bacalhau-spot create` sets the values of new nodes; then `bacalhau-spot remove NODE` and "
            "`bacalhau-spot create` replace a node",
            docs="docs/self-healing.md",
            exit_code=ExitCode.USAGE,
        )


def _at_once(text: str, nodes: int) -> int:
    number = at_once_of(text, nodes)
    if number is None:
        raise UserError(
            f"--at-once: {text[:20]!r} is neither a number of nodes up to {BATCH} nor a percentage",
            hint=f"such as 2 or 25%; of a larger percentage, {BATCH} nodes are replaced at a time",
            exit_code=ExitCode.USAGE,
        )
    return number


def _priced(
    context: CommandContext,
    runner: Runner,
    spec: ClusterSpec,
    cluster: Cluster,
    change: NodeChange,
    *,
    old_first: bool,
) -> NodeChange:
    """With the plan of all launches together, the cost of one batch, and the order. Raises UserError for one over the budget."""
    target = target_of_batch(spec, change.old, cluster.instances)
    if target is None:  # an interrupted run has launched them all
        return change
    facts, plan = node_changes.planned_launch(context, runner, target)
    money = batch_budget(facts, plan, change.old, at_once=change.at_once)
    if not old_first and money.fits_new_first:
        reason, batch = "", money.new_first
    elif money.old_first is None or money.old_first.satisfied:
        reason, batch = CHOSEN if old_first else NOT_BOTH, money.old_first
    else:
        raise views.replacement_over_budget(money.old_first, at_once=change.at_once)
    plan = changed(plan, budget=batch)
    return changed(change, launch=plan, after=change.after + plan.launch, old_first=reason)
