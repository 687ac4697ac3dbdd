"""`remove`: drains and terminates single nodes."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime import node_changes
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.grace import DEFAULT_GRACE, Grace, grace_seconds
from bacalhau_spot.cli.runtime.node_changes import DryRun
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions, Yes
from bacalhau_spot.engine.node_changes.node_change_runner import NodeChangeRunner
from bacalhau_spot.ui import views

_KEPT = (
    "the orchestrator's machine keeps the number of nodes in the configuration, and launches another node for each removed one; "
    "`bacalhau-spot scale 3 --write`, for example, lowers the number"
)


def remove(
    *words: Annotated[str, Parameter(name="NODE")],
    grace: Grace = DEFAULT_GRACE,
    yes: Yes = False,
    dry_run: DryRun = False,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Drain nodes and terminate their instances.

    A draining node accepts no new jobs. Its running jobs may end within the grace; those that do not restart on other nodes.
    Shows the nodes and asks. The next `create` launches nodes up to the configuration's number: `scale N --write` changes it.

    Parameters
    ----------
    words
        The nodes: ids of instances, the beginning of ids, names of nodes, zones or regions.
    grace
        The time for running jobs, such as `90s`, `10m` or `2h`; `0` for none. An idle node does not wait.
    yes
        Do not ask.
    dry_run
        Show the nodes and stop.
    """
    context = CommandContext("remove", common, runtime)
    grace_s = grace_seconds(grace)
    node_changes.check_words(words, command="remove")
    spec = context.spec()
    if spec.orchestrator.reconcile is not None:
        context.print_status(views.note("note", _KEPT))
    with context.runner(spec) as runner:
        cluster = node_changes.look(context, runner, spec)
        old = node_changes.selected_nodes(context, runner, cluster, words, verb="remove")
        change = cluster.change(spec.name, old, grace_s=grace_s)
        tools = node_changes.tools(context, runner, cluster, testing=False)
        work = NodeChangeRunner(runner.calls, spec, change, tools)
        return node_changes.run_change(
            context, runner, cluster, change, work.remove, yes=yes, dry_run=dry_run
        )
