"""`logs`: the logs of one node or all, merged by time."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from bacalhau_spot.cli.runtime import node_prompt, safe_streams, ssh_setup
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.known_hosts import find_host_keys
from bacalhau_spot.cli.runtime.node_logs import LogQuery, NodeLogs, SshWay
from bacalhau_spot.cli.runtime.parsers import moment
from bacalhau_spot.cli.runtime.reporting import consoles
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import INTERVAL, NO_OPTIONS, Cluster, CommonOptions, several
from bacalhau_spot.core.logs.log_lines import UNITS
from bacalhau_spot.core.model import State
from bacalhau_spot.core.ssh.ssh_command import ssh_address
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.formatting import first_few, plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.logs.log_lines import LogLine
    from bacalhau_spot.core.model import Instance, Naming

_LINES = 100
# The address in a message of ssh.
_ADDRESS = re.compile(r"\bhost \S+ (?=port )")
# Reading the console of each node is a call to AWS.
_MAX_LINES = 100_000


def logs(  # noqa: PLR0913 -- one parameter for each option
    *words: Annotated[str, Parameter(name="NODE")],
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="")] = False,
    since: Annotated[str | None, Parameter(name="--since", metavar="TIME")] = None,
    lines: Annotated[
        int, Parameter(name=["--lines", "-n"], metavar="NUMBER", validator=Number(gte=0, lte=_MAX_LINES))
    ] = _LINES,
    from_console: Annotated[bool, Parameter(name="--console", negative="")] = False,
    unit: Annotated[tuple[str, ...], several("--unit", "-u", metavar="UNIT")] = UNITS,
    interval: Annotated[float, INTERVAL] = 5.0,
    cluster: Cluster = None,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Print the logs of one node or all, merged by time: their journals through SSH, or EC2's console output.

    The journals of Bacalhau's and Docker's services need an open port 22 (`ssh_cidrs`). A node that SSH does not reach has its
    console output instead.

    Parameters
    ----------
    words
        Nodes: ids of instances, the beginning of ids, names of nodes, zones or regions; `orchestrator` for the managed one.
        Default: all nodes.
    follow
        Print new lines until Ctrl-C.
    since
        Only lines since then: a duration such as 10m or 2h, or a date such as 2026-11-20T08:30 (UTC).
    lines
        Of each node, only so many of the latest lines. With --since, all.
    from_console
        EC2's console output of every node, without SSH.
    unit
        Services in the journal, such as `docker`; `bacalhau*` matches all that begin so.
    interval
        With --follow: seconds between two requests for a console output.
    cluster
        Another cluster, by its tag value, instead of the configuration's.
    """
    context = CommandContext("logs", common, runtime)
    _check_format(context, follow=follow)
    start = moment(since, flag="--since", now=runtime.clock.now()) if since is not None else None
    query = LogQuery(units=unit, last=None if start else lines, since=start)
    naming = context.naming(cluster)
    way = None if from_console else _way(context)
    with context.runner() as runner:
        nodes = _nodes(context, runner, words, naming, reachable=way is not None)
        if way is not None:
            way.host_keys = find_host_keys(context, runner, [node for node in nodes if ssh_address(node)])
        found = NodeLogs(nodes, query, way, runtime.clock)
        if follow:
            return _follow(context, runner, found, interval_s=interval)
        shown = found.read(runner)
    warnings = _warnings(found.problems)
    return Result(
        "logs",
        view=views.log_lines_view(shown, nodes=[node.id for node in nodes]),
        data=json_output.logs_data(nodes, shown, sources=found.sources, problems=found.problems),
        warnings=warnings,
        stderr_warnings=warnings,
    )


def _warnings(problems: Mapping[str, str]) -> tuple[str, ...]:
    """One for each problem, without the address in it, and not one for each node."""
    nodes: dict[str, list[str]] = {}
    for node, problem in problems.items():
        nodes.setdefault(_ADDRESS.sub("", problem), []).append(node)
    return tuple(
        _problem(names[0], problems[names[0]])
        if len(names) == 1
        else f"{plural(len(names), 'journal')} cannot be read ({problem}); this is the console output of "
        f"{first_few(names, at_most=2)}"
        for problem, names in nodes.items()
    )


def _problem(node: str, problem: str) -> str:
    return f"{node}: its journal cannot be read ({problem}); this is its console output"


def _check_format(context: CommandContext, *, follow: bool) -> None:
    """Raises UserError for a document without an end."""
    if follow and context.common.output in {"json", "yaml"}:
        raise UserError(
            f"--follow prints lines until Ctrl-C, which are not a single {context.common.output.upper()} document",
            hint="use -o ndjson: an object a line",
            exit_code=ExitCode.USAGE,
        )


def _way(context: CommandContext) -> SshWay | None:
    """None if the configuration admits SSH from no address. Raises UserError for a key that ssh would refuse."""
    spec, runtime = context.spec(lenient=True), context.runtime
    if not spec.ssh_cidrs:
        return None
    return SshWay(
        program=ssh_setup.program(runtime),
        options=ssh_setup.ssh_options(spec),
        environ=ssh_setup.environ_for_ssh(runtime.environ),
    )


def _nodes(
    context: CommandContext, runner: Runner, words: Sequence[str], naming: Naming, *, reachable: bool
) -> tuple[Instance, ...]:
    """The nodes that the words name, each once; without words, those that live."""
    inventory = node_prompt.reachable_instances(context, runner, naming)
    able = [one for one in inventory.instances if _is_able(one, reachable=reachable)]
    orchestrator = inventory.orchestrator
    chosen: dict[str, Instance] = {}
    for word in words or (None,):
        found = node_prompt.resolve_nodes(
            context,
            word,
            able if word is None else inventory.instances,
            unseen=inventory.failed_regions,
            naming=naming,
            verb="read the logs of",
            runner=runner,
            orchestrator=orchestrator,
        )
        chosen |= {one.id: one for one in found}
    return tuple(chosen.values())


def _is_able(node: Instance, *, reachable: bool) -> bool:
    """Whether it is asked when no node is named."""
    return node.alive and (not reachable or node.state is not State.RUNNING or bool(ssh_address(node)))


def _follow(context: CommandContext, runner: Runner, found: NodeLogs, *, interval_s: float) -> Result:
    """Until Ctrl-C, which is the normal end, or until nobody reads any more."""
    runner.hide_looks()  # the lines are on the screen
    out, _ = consoles(context.runtime)
    ids = [node.id for node in found.nodes]
    context.print_status(
        views.sentence_text(f"following the logs of {plural(len(ids), 'node')}; Ctrl-C ends")
    )

    def show(lines: Sequence[LogLine]) -> bool:
        if context.for_people:
            out.print(views.log_lines_view(lines, nodes=ids), crop=False)
        else:
            for line in lines:
                json_output.write_envelope(
                    context.runtime.stdout, {"event": "log", **json_output.log_line_data(line)}, form="line"
                )
        context.runtime.stdout.flush()
        return safe_streams.is_read(context.runtime.stdout)

    def note(text: str) -> None:
        context.print_status(views.note("note", text))

    with contextlib.suppress(KeyboardInterrupt):
        found.follow(runner, interval_s=interval_s, emit=show, note=note)
    return Result("logs", already_printed=True)
