"""`replace`: launches new nodes in place of others, a few at a time."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime import node_changes
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.grace import DEFAULT_GRACE, Grace, grace_seconds
from bacalhau_spot.cli.runtime.node_changes import DryRun
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions, Regions, Yes
from bacalhau_spot.core.launch.group_plan import GroupStep, replacing
from bacalhau_spot.core.launch.node_spec import differences
from bacalhau_spot.core.launch.surplus import NOT_BOTH
from bacalhau_spot.core.lifecycle.superseded import is_begun
from bacalhau_spot.core.node_changes.node_change import (
    BATCH,
    at_once_of,
    begun_nodes,
    ended_nodes,
    replacements_of,
    target_of_batch,
    with_present_regions,
    without_replacements,
)
from bacalhau_spot.core.node_changes.replacement_budget import (
    CHOSEN,
    batch_budget,
    group_budget,
    standing_plan,
)
from bacalhau_spot.core.placement.demand import nodes_by_region
from bacalhau_spot.core.scaling_group.groups import group_of, regions_of_groups
from bacalhau_spot.engine.node_changes.node_change_runner import NodeChangeRunner
from bacalhau_spot.engine.scaling_group.groups import group_regions, scaling_groups
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import views
from bacalhau_spot.ui.formatting import comma_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bacalhau_spot.cli.runtime.node_changes import Cluster
    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.model import ClusterSpec, Instance
    from bacalhau_spot.core.node_changes.node_change import NodeChange
    from bacalhau_spot.core.node_changes.replacement_budget import BatchBudget
    from bacalhau_spot.core.pricing.estimate import Budget
    from bacalhau_spot.core.scaling_group.groups import ScalingGroup

# What a replacement does to groups: new values, and old nodes back that another one has left outside.
_KEPT_GROUPS = node_changes.NUMBERS | {GroupStep.UPDATE, GroupStep.ATTACH}


def replace(  # noqa: PLR0913 -- one parameter for each option
    *words: Annotated[str, Parameter(name="NODE")],
    drifted: Annotated[bool, Parameter(name="--drifted", negative="")] = False,
    region: Regions = (),
    at_once: Annotated[str, Parameter(metavar="NODES|PERCENT")] = "1",
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
        All nodes of these regions, such as us-east-1,eu-west-1.
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
    grace_s = grace_seconds(grace)
    if sum((bool(words), drifted, bool(region))) != 1:
        raise UserError(
            "replace needs nodes, --drifted or --region, and one of these only",
            hint="`bacalhau-spot replace --drifted`; `bacalhau-spot list` shows the nodes",
            exit_code=ExitCode.USAGE,
        )
    with context.runner(context.spec()) as runner:
        cluster = node_changes.look(context, runner, context.spec())
        spec = with_present_regions(context.spec(), cluster.instances)
        groups = _groups(runner, spec, cluster)
        missing = _missing(spec, cluster, groups)
        chosen = _chosen(context, runner, cluster, words, regions=region, missing=missing)
        old, launched = without_replacements(chosen, cluster.instances, named=words)
        # Those that an interrupted run has begun with come first: there are never more than one batch of new nodes.
        old = tuple(sorted(old, key=lambda one: not (groups and is_begun(one))))
        _check_groups(spec, groups, old, old_first=old_first)
        change = cluster.change(spec.name, old, grace_s=grace_s)
        change = changed(
            change,
            at_once=min(_at_once(at_once, len(cluster.present)), max(1, len(old))),
            launched_before=launched,
            configured=sum(nodes_by_region(spec).values()),
            reasons={one.id: "already ended" for one in old if not one.alive},
        )
        change = _priced(context, runner, spec, cluster, change, old_first=old_first)
        tools = node_changes.tools(context, runner, cluster, testing=smoke_test)
        work = NodeChangeRunner(runner.calls, spec, change, tools)
        return node_changes.run_change(
            context, runner, cluster, change, work.replace, yes=yes, dry_run=dry_run
        )


def _groups(runner: Runner, spec: ClusterSpec, cluster: Cluster) -> dict[str, ScalingGroup]:
    """The Auto Scaling groups by region; of a plain cluster none, without a call.

    Raises UserError for groups that the configuration does not want.
    """
    if not (spec.self_heal or regions_of_groups(cluster.present, spec.naming)):
        return {}
    regions = group_regions(spec, cluster.present)
    groups = runner.run_readonly(scaling_groups(runner.calls, spec.naming, regions=regions))
    if groups and not spec.self_heal:
        raise node_changes.groups_not_as_configured(groups)
    return groups


def _chosen(
    context: CommandContext,
    runner: Runner,
    cluster: Cluster,
    words: Sequence[str],
    *,
    regions: Sequence[str],
    missing: int,
) -> tuple[Instance, ...]:
    """The nodes of the command line, each once; with those that an interrupted run has sent away, and not replaced yet."""
    begun = begun_nodes(cluster.instances, missing=missing)
    if words:
        named = ended_nodes(words, cluster.instances, missing=missing)
        gone = [one for one in begun if {one.region, one.zone} & set(words)]
        living = node_changes.selected_nodes(context, runner, cluster, words, verb="replace")
        return tuple({one.id: one for one in (*named, *gone, *living)}.values())
    if regions:
        return tuple(one for one in (*begun, *cluster.present) if one.region in regions)
    now = changed(context.spec(), bacalhau=context.joining(runner))
    return tuple(one for one in (*begun, *cluster.present) if differences(now, one))


def _missing(spec: ClusterSpec, cluster: Cluster, groups: Mapping[str, ScalingGroup]) -> int:
    """The nodes below the configured number that AWS is not about to launch by itself."""
    launching = sum(replacing(groups, {}, cluster.instances).values())
    return sum(nodes_by_region(spec).values()) - len(cluster.present) - launching


def _check_groups(
    spec: ClusterSpec, groups: Mapping[str, ScalingGroup], old: Sequence[Instance], *, old_first: bool
) -> None:
    """Raises UserError for nodes in place of which no group can launch others."""
    if not spec.self_heal or old_first:
        return
    elsewhere = {one.region for one in old} - {found.name for found in spec.regions}
    if elsewhere:
        raise _not_in_other_regions(elsewhere)
    outside = [one.region for one in old if not _can_be_replaced(groups.get(one.region), one)]
    if outside:
        raise node_changes.groups_not_as_configured(outside)


def _not_in_other_regions(regions: Iterable[str]) -> UserError:
    return UserError(
        f"the configuration does not name {comma_list(sorted(regions))}; nothing was changed",
        why="an Auto Scaling group launches new nodes in its own region only",
        hint="with `--old-first`, the new nodes are launched in the other regions",
        docs="docs/self-healing.md",
        exit_code=ExitCode.USAGE,
    )


def _can_be_replaced(group: ScalingGroup | None, node: Instance) -> bool:
    """Whether it is a member of its group, or has left it to be replaced, or has ended."""
    left = is_begun(node) or not node.alive
    return group is not None and (left or node.id in group.member_ids or group_of(node) == group.name)


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
    if spec.self_heal:
        return _priced_in_groups(context, runner, target, change, old_first=old_first)
    facts, plan = node_changes.planned_launch(context, runner, target)
    money = batch_budget(facts, plan, change.old, at_once=change.at_once)
    reason, batch = _order(money, old_first=old_first)
    if batch is not None and not batch.satisfied:
        raise views.replacement_over_budget(batch, at_once=change.at_once)
    plan = changed(plan, budget=batch)
    return changed(change, launch=plan, after=change.after + plan.launch, old_first=reason)


def _priced_in_groups(
    context: CommandContext, runner: Runner, target: ClusterSpec, change: NodeChange, *, old_first: bool
) -> NodeChange:
    """Of a self-healing cluster: the numbers of its groups stay. Raises UserError for one over the budget."""
    facts, plan = node_changes.planned_launch(context, runner, target, steps=_KEPT_GROUPS)
    standing = standing_plan(facts, plan)
    money = group_budget(facts, standing, change.old, at_once=change.at_once)
    reason, batch = _order(money, old_first=old_first)
    plan = changed(plan, groups=standing.groups, budget=batch)
    if plan.over_budget:
        raise views.over_budget(plan, hint="raise the budget: `budget_usd_per_hour`")
    missing = len(change.old) - len(replacements_of(change.old, facts.instances))
    return changed(change, launch=plan, after=change.after + missing, old_first=reason)


def _order(money: BatchBudget, *, old_first: bool) -> tuple[str, Budget | None]:
    """Why the old nodes leave first, empty if they do not; and the cost of a batch in this order."""
    if not old_first and money.fits_new_first:
        return "", money.new_first
    return CHOSEN if old_first else NOT_BOTH, money.old_first
