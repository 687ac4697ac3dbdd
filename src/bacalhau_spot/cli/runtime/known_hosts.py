"""Finds the host keys of nodes before ssh connects: on this machine, or in their console outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from bacalhau_spot.cli.state.host_keys import HostKeyFiles
from bacalhau_spot.core.ssh.host_keys import ConsoleHostKeys, unknown_reason
from bacalhau_spot.engine.ssh.host_keys import read_host_keys
from bacalhau_spot.errors import UserError
from bacalhau_spot.ui import views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.ssh.ssh_command import KnownHosts


# An older node will not print its keys any more.
_BOOTS = timedelta(minutes=10)


@dataclass(frozen=True)
class NodeHostKeys:
    """By instance id. `unknown`: why a node has no host keys."""

    known: dict[str, KnownHosts] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def without(self, nodes: Sequence[Instance]) -> list[Instance]:
        """The nodes that are not known."""
        return [node for node in nodes if node.id not in self.known]


def find_host_keys(
    context: CommandContext,
    runner: Runner,
    nodes: Sequence[Instance],
    *,
    wait_s: float = 0.0,
    accept_new: bool = False,
) -> NodeHostKeys:
    """`wait_s`: for young nodes whose consoles have no keys yet. `accept_new`: ssh accepts the keys of nodes without, at once."""
    local = HostKeyFiles(context.cache_dir)
    remembered = {node.id: local.known(node) for node in nodes}
    result = NodeHostKeys({name: known for name, known in remembered.items() if known is not None})
    _read(runner, local, result.without(nodes), result)
    for node in result.without(nodes):
        _use_accepted(local, node, result, accept_new=accept_new)
    youngest = context.runtime.clock.now() - _BOOTS
    waiting = [node for node in result.without(nodes) if node.launched_at > youngest]
    if waiting and wait_s:
        context.print_status(views.awaited_host_keys_view(waiting, wait_s=wait_s))
        _read(runner, local, waiting, result, wait_s=wait_s)
    return result


def _use_accepted(local: HostKeyFiles, node: Instance, result: NodeHostKeys, *, accept_new: bool) -> None:
    """The key that the user accepted before, or is about to."""
    accepted = local.accepted(node)
    if accepted is None and accept_new:
        accepted = local.accept_next(node)
    if accepted is not None:
        result.known[node.id] = accepted
        del result.unknown[node.id]


def unknown_host_key(node: Instance, reason: str) -> UserError:
    """The error for a node without host keys."""
    return UserError(
        f"the host keys of {node.id} are not known, and ssh cannot tell the node from another machine",
        why=reason,
        hint=f"`bacalhau-spot console {node.id} --phases` shows its boot: repeat the command when it has booted. "
        "--accept-new-key connects without the comparison, and accepts the key of the machine that answers",
        docs="docs/ssh.md",
    )


def _read(
    runner: Runner,
    local: HostKeyFiles,
    nodes: Sequence[Instance],
    result: NodeHostKeys,
    *,
    wait_s: float = 0.0,
) -> None:
    """Add the keys in the nodes' consoles to the result, and to the files of this machine."""
    if not nodes:
        return
    found = runner.run_readonly(read_host_keys(runner.calls, nodes, wait_s=wait_s))
    for node in nodes:
        answer = found[node.id]
        if isinstance(answer, ConsoleHostKeys) and answer.keys:
            result.known[node.id] = local.remember(node, answer.keys)
            result.unknown.pop(node.id, None)
        else:
            result.unknown[node.id] = unknown_reason(answer)
