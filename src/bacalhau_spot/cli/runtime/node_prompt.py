"""Selects the node for a command: by its argument, as the only node, or by a question."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from bacalhau_spot.cli.runtime import other_clusters
from bacalhau_spot.cli.state.known_nodes import remember_nodes
from bacalhau_spot.core.model import State
from bacalhau_spot.core.ssh.node_selector import ORCHESTRATOR, matching_nodes
from bacalhau_spot.engine.aws_calls import discovery
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import prompts, views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.inventory import ClusterInventory
    from bacalhau_spot.core.model import Instance, Naming
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

# The nodes that are shown where none matches.
_FEW = 5


def reachable_instances(context: CommandContext, runner: Runner, naming: Naming) -> ClusterInventory:
    """The cluster's instances in all regions. Regions that could not be scanned are reported, without an error."""

    async def look(calls: AwsCalls) -> ClusterInventory:
        account = await discovery.load_account(calls)
        return await discovery.instances_of(calls, naming, regions=discovery.enabled_names(account.regions))

    inventory = runner.run_readonly(look(runner.calls))
    remember_nodes(context, naming.tag_value, inventory.instances)
    if inventory.failed_regions:
        context.print_status(views.failed_regions_view(inventory.failed_regions))
    return inventory


def resolve_nodes(  # noqa: PLR0913 -- one parameter for each difference of the commands
    context: CommandContext,
    word: str | None,
    among: Sequence[Instance],
    *,
    unseen: Sequence[ApiFailure],
    naming: Naming,
    verb: str,
    runner: Runner,
    orchestrator: Instance | None = None,
    nodes_only: bool = False,
) -> tuple[Instance, ...]:
    """The instances that match `word`, at least one. `nodes_only`: the command does not accept the orchestrator.
     Otherwise raises UserError: if regions could not be scanned and no
    instance is known, with their failures; if the cluster has no node, with the names of other clusters.
    """
    if word == ORCHESTRATOR and orchestrator is None and not unseen:
        raise UserError(
            f"{naming.tag_value} has no managed orchestrator to {verb}",
            hint="with `orchestrator: managed`, `bacalhau-spot create` creates it; `bacalhau-spot status` shows its state",
        )
    if not among and (orchestrator is None or word is None):
        if unseen:
            raise context.errors_of(unseen, exit_code=ExitCode.INCOMPLETE)[0]
        raise UserError(
            f"{naming.tag_value} has no node to {verb}",
            details=other_clusters.error_details(runner, naming, command=context.command),
            hint="`bacalhau-spot status` shows the nodes, `bacalhau-spot create` launches them",
        )
    instances = matching_nodes(word, among, prefix=naming.resource_prefix, orchestrator=orchestrator)
    if not instances:
        raise _no_match(word, _with_orchestrator(among, orchestrator), unseen, nodes_only=nodes_only)
    return instances


def _with_orchestrator(nodes: Sequence[Instance], orchestrator: Instance | None) -> tuple[Instance, ...]:
    """In the order of regions, and the orchestrator last."""
    apart = () if orchestrator is None else (orchestrator,)
    return (*matching_nodes(None, nodes, prefix=""), *apart)


def _role(instance: Instance) -> str:
    return f"  {ORCHESTRATOR}" if instance.is_orchestrator else ""


def _details(instance: Instance) -> str:
    return f"{instance.id}  {instance.zone}  {instance.state}{_role(instance)}"


def _nearest(word: str, among: Sequence[Instance]) -> list[Instance]:
    """A few: the living ones first, of these those whose id is the most similar."""
    return sorted(
        among,
        key=lambda one: (not one.alive, -difflib.SequenceMatcher(None, word, one.id).ratio()),
    )[:_FEW]


def _no_match(
    word: str | None, among: Sequence[Instance], unseen: Sequence[ApiFailure], *, nodes_only: bool
) -> UserError:
    readings = "an instance's id, its beginning, a node's name, a zone" + (
        " or a region" if nodes_only else ", a region, or `orchestrator`"
    )
    nearest = _nearest(word or "", among)
    return UserError(
        f"no {'scanned ' if unseen else ''}node matches {word}",
        why=f"it may be {readings}",
        details=(
            *(_details(instance) for instance in nearest),
            *([f"and {len(among) - len(nearest)} more"] if len(among) > len(nearest) else []),
            *(f"{failure.region}: {failure.operation}: {failure.code}" for failure in unseen),
        ),
        hint="`bacalhau-spot list` shows them",
        exit_code=ExitCode.INCOMPLETE if unseen else ExitCode.USAGE,
    )


def pick_one(
    context: CommandContext, matches: Sequence[Instance], *, verb: str, orchestrator: Instance | None = None
) -> Instance:
    """The only instance, or the one that the user selects. Raises UserError (exit code 3) without a terminal.

    `orchestrator`: an instance that can be selected, too.
    """
    if len(matches) == 1:
        return matches[0]
    # Terminated instances can be selected, but rarely are: they come last.
    nodes = sorted(matches, key=lambda instance: instance.state is State.TERMINATED)
    shown = nodes if orchestrator is None else [*nodes, orchestrator]
    if not (context.runtime.interactive and context.for_people):
        raise UserError(
            f"{len(matches)} nodes match, and {context.runtime.no_answers or 'the output is for a program'}: none was chosen",
            details=tuple(map(_details, shown)),
            hint=f"name one: `bacalhau-spot {verb} {shown[0].id}`",
            exit_code=ExitCode.DECLINED,
        )
    context.print_status(views.menu_view(shown, now=context.runtime.clock.now()))
    context.before_question()
    number = prompts.ask_number(
        "Which one?", at_most=len(shown), console=context.err, stdin=context.runtime.stdin
    )
    return shown[number - 1]
