"""`ssh`: a shell on a node, or a command on one node or all of them."""

from __future__ import annotations

import contextlib
import shlex
import signal
import subprocess
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from bacalhau_spot.cli.runtime import node_prompt, ssh_setup
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import AT_LEAST_ONE, NO_OPTIONS, Cluster, CommonOptions
from bacalhau_spot.core.model import Instance, State
from bacalhau_spot.core.ssh.ssh_command import SSH_FAILED, SshOptions, ssh_address, ssh_command
from bacalhau_spot.core.ssh.ssh_results import FanOutResult
from bacalhau_spot.engine.ssh import ssh_fanout
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.formatting import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.inventory import ClusterInventory
    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.core.problem import ApiFailure

# A shell adds the signal's number to this for the exit code of a terminated program.
_BY_SIGNAL = 128


def ssh(
    *words: str,
    every: Annotated[bool, Parameter(name=["--all", "-a"], negative="")] = False,
    group: Annotated[bool, Parameter(name="--group", negative="")] = False,
    show: Annotated[bool, Parameter(name="--print", negative="")] = False,
    timeout: Annotated[
        float, Parameter(name="--timeout", validator=Number(gt=0, lte=86400), metavar="SECONDS")
    ] = 60.0,
    at_once: Annotated[int, AT_LEAST_ONE, Parameter(name="--at-once", metavar="NODES")] = 16,
    cluster: Cluster = None,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Open a shell on a node, or run a command on one node or all: `ssh [NODE] [-- COMMAND]`.

    Uses the system's ssh with `username` and `private_ssh_key_path` of the configuration. On one node it ends with ssh's exit
    code; on all with 1 if the command failed on any.

    Parameters
    ----------
    words
        The node: an instance's id, the beginning of one, a node's name, a zone or a region; `orchestrator` for
        the managed one; and the command after `--`.
    every
        Run the command on all running nodes, or on all in a zone or region.
    group
        With --all: show output that is the same on several nodes once.
    show
        Print the command line instead of running it.
    timeout
        With --all: seconds to wait for a node.
    at_once
        With --all: number of nodes at a time.
    cluster
        Another cluster, by its tag value, instead of the configuration's.
    """
    context = CommandContext("ssh", common, runtime)
    command = runtime.invocation.remote_command
    word = _node(words[: len(words) - len(command)])
    collecting = every or not context.for_people
    if collecting and not command and not show:
        raise UserError(
            "no command to run",
            hint="put it after `--`: `bacalhau-spot ssh --all -- uptime`",
            exit_code=ExitCode.USAGE,
        )
    spec, naming = context.spec(lenient=True), context.naming(cluster)
    way = _SshTarget(ssh_setup.ssh_options(spec, naming, runtime), command, closed=not spec.ssh_cidrs)
    with context.runner() as runner:
        inventory = node_prompt.reachable_instances(context, runner, naming)
        instances = _meant(context, runner, inventory, naming, word, every=every)
        if show:
            return _mark_partial(
                context, way.shown(instances, unattended=every), inventory.failed_regions if every else ()
            )
        if collecting:
            ran = _run_on_all(context, runner, way, instances, at_once=at_once, timeout_s=timeout)
            done = _result_of(ran, group=group, closed=way.closed)
            return _mark_partial(context, done, inventory.failed_regions if every else ())
    return _exec_interactive(context, way, instances[0])


@dataclass(frozen=True)
class _SshTarget:
    """The connection options and the command. `closed`: the configuration allows SSH from no address."""

    access: SshOptions
    command: tuple[str, ...]
    closed: bool

    def line(self, node: Instance, *, unattended: bool) -> tuple[str, ...]:
        return ssh_command(node, self.access, remote=self.command, unattended=unattended)

    def shown(self, nodes: Sequence[Instance], *, unattended: bool) -> Result:
        made = [(instance, self.line(instance, unattended=unattended)) for instance in nodes]
        return Result(
            "ssh",
            view=views.raw("\n".join(shlex.join(line) for _, line in made)),
            data=json_output.ssh_lines_data(made),
        )


def _meant(
    context: CommandContext,
    runner: Runner,
    inventory: ClusterInventory,
    naming: Naming,
    word: str | None,
    *,
    every: bool,
) -> tuple[Instance, ...]:
    """The selected nodes, among those that run and have an address."""
    able = [instance for instance in inventory.instances if _is_reachable(instance)]
    orchestrator = inventory.orchestrator
    orchestrator = orchestrator if orchestrator is not None and _is_reachable(orchestrator) else None
    instances = node_prompt.resolve_nodes(
        context,
        word,
        able,
        unseen=inventory.failed_regions,
        naming=naming,
        verb="reach",
        runner=runner,
        orchestrator=orchestrator,
    )
    if every:
        return instances
    offered = orchestrator if word is None else None
    return (node_prompt.pick_one(context, instances, verb="ssh", orchestrator=offered),)


def _is_reachable(instance: Instance) -> bool:
    return instance.state is State.RUNNING and bool(ssh_address(instance))


def _mark_partial(context: CommandContext, done: Result, unseen: Sequence[ApiFailure]) -> Result:
    """The result does not cover all nodes if a region could not be scanned: the exit code must show it."""
    if not unseen:
        return done
    code = done.exit_code or ExitCode.INCOMPLETE
    return replace(done, exit_code=code, errors=context.errors_of(unseen, exit_code=code))


def _node(words: Sequence[str]) -> str | None:
    if len(words) > 1:
        raise UserError(
            f"{shlex.join(words)} matches more than one node",
            hint=f"put -- before the command: `bacalhau-spot ssh {words[0]} -- {shlex.join(words[1:])}`",
            exit_code=ExitCode.USAGE,
        )
    return words[0] if words else None


def _run_on_all(
    context: CommandContext,
    runner: Runner,
    way: _SshTarget,
    nodes: Sequence[Instance],
    *,
    at_once: int,
    timeout_s: float,
) -> FanOutResult:
    program = ssh_setup.program(context.runtime)
    context.print_status(
        views.sentence_text(
            f"on {plural(len(nodes), 'node')}, {min(at_once, len(nodes))} at a time, {timeout_s:g} s at most: "
            f"{shlex.join(way.command)}"
        )
    )
    jobs = [(instance, (program, *way.line(instance, unattended=True)[1:])) for instance in nodes]
    environ = environ_for_ssh(context.runtime.environ)
    return FanOutResult(
        way.command,
        runner.run_readonly(ssh_fanout.run_all(jobs, environ=environ, at_once=at_once, timeout_s=timeout_s)),
    )


def _result_of(results: FanOutResult, *, group: bool, closed: bool) -> Result:
    return Result(
        "ssh",
        view=views.fan_out_view(results, group=group, closed=closed),
        data=json_output.ssh_data(results),
        exit_code=results.exit_code,
    )


def _exec_interactive(context: CommandContext, way: _SshTarget, node: Instance) -> Result:
    """Give the terminal to ssh until it exits, including Ctrl-C."""
    program = ssh_setup.program(context.runtime)
    context.print_status(views.connecting_view(node))
    command = (program, *way.line(node, unattended=False)[1:])
    code = _run_foreground(command, environ=environ_for_ssh(context.runtime.environ))
    if code == SSH_FAILED:
        context.print_status(views.unreachable_view(node, closed=way.closed, sandbox=context.common.sandbox))
    return Result("ssh", already_printed=True, subprocess_exit_code=code)


# The variables for ssh, its agent, its password prompt and the terminal. Tokens and AWS keys are not passed on.
_SSH_NEEDS = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "COLORTERM", "LANG", "LANGUAGE", "TZ", "TMPDIR", "DISPLAY",
        "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "KRB5CCNAME", "GPG_TTY",
    }
)  # fmt: skip
_SSH_FAMILIES = ("SSH_", "LC_")


def environ_for_ssh(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that ssh gets."""
    return {
        name: value for name, value in environ.items() if name in _SSH_NEEDS or name.startswith(_SSH_FAMILIES)
    }


def _run_foreground(command: Sequence[str], *, environ: dict[str, str]) -> int:
    """Run on this process's streams. Only the program reacts to Ctrl-C; SIGTERM is passed on to it."""
    with subprocess.Popen(command, env=environ) as running:  # noqa: S603 - the system's ssh, with this program's arguments

        def pass_on(number: int, _: object) -> None:
            if number != signal.SIGINT:
                running.send_signal(number)

        with contextlib.ExitStack() as stack:
            if threading.current_thread() is threading.main_thread():
                for number in (signal.SIGINT, signal.SIGTERM):
                    stack.callback(signal.signal, number, signal.signal(number, pass_on))
            code = running.wait()
    return _BY_SIGNAL - code if code < 0 else code
