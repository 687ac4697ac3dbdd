"""`ssh`: a shell on a node, or a command on one node or all of them."""

from __future__ import annotations

import contextlib
import shlex
import signal
import subprocess
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from bacalhau_spot.cli.runtime import node_prompt, ssh_setup
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.known_hosts import NodeHostKeys, find_host_keys, unknown_host_key
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import AT_LEAST_ONE, NO_OPTIONS, Cluster, CommonOptions
from bacalhau_spot.core.model import Instance, State
from bacalhau_spot.core.ssh.host_keys import HOST_KEYS_UNKNOWN
from bacalhau_spot.core.ssh.ssh_command import SSH_FAILED, SshOptions, ssh_address, ssh_command
from bacalhau_spot.core.ssh.ssh_results import CommandResult, FanOutResult
from bacalhau_spot.engine.ssh import ssh_fanout
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.formatting import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.inventory import ClusterInventory
    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.core.problem import ApiFailure

# A shell adds the signal's number to this for the exit code of a terminated program.
_BY_SIGNAL = 128


def ssh(  # noqa: PLR0913 -- one parameter for each option
    *words: str,
    every: Annotated[bool, Parameter(name=["--all", "-a"], negative="")] = False,
    group: Annotated[bool, Parameter(name="--group", negative="")] = False,
    show: Annotated[bool, Parameter(name="--print", negative="")] = False,
    timeout: Annotated[
        float, Parameter(name="--timeout", validator=Number(gt=0, lte=86400), metavar="SECONDS")
    ] = 60.0,
    at_once: Annotated[int, AT_LEAST_ONE, Parameter(name="--at-once", metavar="NODES")] = 16,
    accept_new_key: Annotated[bool, Parameter(name="--accept-new-key", negative="")] = False,
    cluster: Cluster = None,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Open a shell on a node, or run a command on one node or all: `ssh [NODE] [-- COMMAND]`.

    Uses the system's ssh with `username` and `private_ssh_key_path` of the configuration. On one node it ends with ssh's exit
    code; on all with 1 if the command failed on any. ssh accepts only the host keys in the node's console output.

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
        Seconds to wait for the host keys of booting nodes; with --all: for the command on a node.
    at_once
        With --all: number of nodes at a time.
    accept_new_key
        Accept the key of the machine that answers if the node's console output does not have its host keys.
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
    way = _SshTarget(ssh_setup.ssh_options(spec), command, closed=not spec.ssh_cidrs)
    with context.runner() as runner:
        inventory = node_prompt.reachable_instances(context, runner, naming)
        instances = _meant(context, runner, inventory, naming, word, every=every)
        way.host_keys = find_host_keys(context, runner, instances, wait_s=timeout, accept_new=accept_new_key)
        if show:
            shown = _shown(way, instances, unattended=every)
            return _mark_partial(context, shown, inventory.failed_regions if every else ())
        if collecting:
            ran = _run_on_all(context, runner, way, instances, at_once=at_once, timeout_s=timeout)
            done = _result_of(ran, group=group, closed=way.closed)
            return _mark_partial(context, done, inventory.failed_regions if every else ())
    return _exec_interactive(context, way, instances[0])


@dataclass
class _SshTarget:
    """The connection options and the command. `closed`: the configuration allows SSH from no address."""

    access: SshOptions
    command: tuple[str, ...]
    closed: bool
    host_keys: NodeHostKeys = field(default_factory=NodeHostKeys)

    def line(self, node: Instance, *, unattended: bool) -> tuple[str, ...]:
        """Raises UserError if the node's host keys are not known."""
        known = self.host_keys.known.get(node.id)
        if known is None:
            raise unknown_host_key(node, self.host_keys.unknown[node.id])
        return ssh_command(node, self.access, known, remote=self.command, unattended=unattended)

    def split(self, nodes: Sequence[Instance]) -> tuple[list[Instance], list[Instance]]:
        """Those with known host keys, and the others."""
        unknown = self.host_keys.without(nodes)
        return [node for node in nodes if node not in unknown], unknown


def _shown(way: _SshTarget, nodes: Sequence[Instance], *, unattended: bool) -> Result:
    """The command lines of nodes whose host keys are known; an error if there is none."""
    known, unknown = way.split(nodes)
    made = [(node, way.line(node, unattended=unattended)) for node in known or nodes]
    warnings = tuple(f"{node.id}: no command line: {way.host_keys.unknown[node.id]}" for node in unknown)
    return Result(
        "ssh",
        view=views.raw("\n".join(shlex.join(line) for _, line in made)),
        data=json_output.ssh_lines_data(made),
        warnings=warnings,
        stderr_warnings=warnings,
        exit_code=ExitCode.FAILED if unknown else ExitCode.DONE,
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
    known, unknown = way.split(nodes)
    jobs = [(instance, (program, *way.line(instance, unattended=True)[1:])) for instance in known]
    environ = ssh_setup.environ_for_ssh(context.runtime.environ)
    ran = runner.run_readonly(ssh_fanout.run_all(jobs, environ=environ, at_once=at_once, timeout_s=timeout_s))
    results = {result.instance.id: result for result in ran}
    for node in unknown:
        reason = f"{HOST_KEYS_UNKNOWN}: {way.host_keys.unknown[node.id]}\n"
        results[node.id] = CommandResult(node, SSH_FAILED, stderr=reason)
    return FanOutResult(way.command, tuple(results[node.id] for node in nodes))


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
    code = _run_foreground(command, environ=ssh_setup.environ_for_ssh(context.runtime.environ))
    if code == SSH_FAILED:
        context.print_status(views.unreachable_view(node, closed=way.closed, sandbox=context.common.sandbox))
    return Result("ssh", already_printed=True, subprocess_exit_code=code)


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
