"""`console`: a node's output on EC2's console, once or continuously."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime import node_prompt
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.reporting import consoles
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import INTERVAL, NO_OPTIONS, Cluster, CommonOptions
from bacalhau_spot.core.health.boot_console import boot_lines_only, new_output
from bacalhau_spot.core.sanitize import without_sequences
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views

if TYPE_CHECKING:
    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.model import Instance


def console(
    node: str | None = None,
    *,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="")] = False,
    interval: Annotated[float, INTERVAL] = 5.0,
    phases: Annotated[bool, Parameter(name="--phases", negative="")] = False,
    cluster: Cluster = None,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Print a node's console output, without SSH: how its first boot went, and why it failed.

    Parameters
    ----------
    node
        An instance's id, the beginning of one, a node's name, a zone or a region; `orchestrator` for the managed one.
    follow
        Print new output until Ctrl-C.
    interval
        With --follow: seconds between two requests.
    phases
        Only the boot phases that the node reports.
    cluster
        Another cluster, by its tag value, instead of the configuration's.
    """
    context = CommandContext("console", common, runtime)
    if follow and not context.for_people:
        raise UserError(
            "--follow prints a stream of text, not a document",
            hint=f"leave out --follow or -o {common.output}",
            exit_code=ExitCode.USAGE,
        )
    naming = context.naming(cluster)
    with context.runner() as runner:
        inventory = node_prompt.reachable_instances(context, runner, naming)
        instances = node_prompt.resolve_nodes(
            context,
            node,
            inventory.instances,
            unseen=inventory.failed_regions,
            naming=naming,
            verb="listen to",
            runner=runner,
            orchestrator=inventory.orchestrator,
        )
        offered = inventory.orchestrator if node is None else None
        chosen = node_prompt.pick_one(context, instances, verb="console", orchestrator=offered)
        text = _read(runner, chosen)
        shown = boot_lines_only(text) if phases else text
        if not follow:
            if not shown:
                context.print_status(views.empty_console_view(chosen))
            return Result(
                "console",
                view=views.raw(shown) if shown else None,
                data=json_output.console_data(chosen, text),
            )
        _follow(context, runner, chosen, text, phases=phases, interval_s=interval)
    return Result("console", already_printed=True)


def _read(runner: Runner, node: Instance) -> str:
    calls = runner.calls
    return without_sequences(
        runner.run_readonly(calls.read(node.region, lambda: calls.cloud.console(node.region, node.id)))
    )


def _follow(
    context: CommandContext, runner: Runner, node: Instance, text: str, *, phases: bool, interval_s: float
) -> None:
    """Print new output until Ctrl-C, which is the normal end."""
    runner.hide_looks()  # the console is on the screen
    out, _ = consoles(context.runtime)
    context.print_status(
        views.sentence_text(f"following {node.id} in {node.zone}, every {interval_s:g} s; Ctrl-C ends")
    )
    try:
        before, new = "", text
        while True:
            whole, rest = _whole_lines(new)
            shown = boot_lines_only(whole) if phases else whole
            if shown:
                out.print(views.raw(shown), crop=False)
            before = text.removesuffix(rest) if rest else text
            runner.run_readonly(context.runtime.clock.sleep(interval_s))
            text = _read(runner, node)
            new = new_output(before, text)
    except KeyboardInterrupt:
        return


def _whole_lines(text: str) -> tuple[str, str]:
    """The complete lines, and a last line that is still incomplete."""
    whole, end, rest = text.rpartition("\n")
    return whole + end, rest
