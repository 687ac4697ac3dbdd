"""Access to nodes: the selection, the connection, and the output of a command on all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from bacalhau_spot.core.sanitize import without_sequences
from bacalhau_spot.core.ssh.ssh_command import ssh_address
from bacalhau_spot.core.ssh.ssh_results import group_identical
from bacalhau_spot.ui.formatting import age, first_few, plural
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, failed_regions_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.core.ssh.ssh_results import CommandResult, FanOutResult


def failed_regions_view(failures: Sequence[ApiFailure]) -> Group:
    return Group(*failed_regions_text(failures))


def menu_view(nodes: Sequence[Instance], *, now: datetime) -> TextTable:
    """A numbered row for each node. The state is a column where the states differ, the role with an orchestrator."""
    differ = len({instance.state for instance in nodes}) > 1
    roles = any(instance.is_orchestrator for instance in nodes)
    rows = [
        (
            str(number),
            instance.region,
            instance.zone.removeprefix(instance.region),
            instance.id,
            instance.type,
            age(now - instance.launched_at),
            *([str(instance.state)] if differ else []),
            *(["orchestrator" if instance.is_orchestrator else ""] if roles else []),
        )
        for number, instance in enumerate(nodes, start=1)
    ]
    return TextTable(
        (
            "",
            "region",
            "zone",
            "node",
            "type",
            "age",
            *(["state"] if differ else []),
            *(["role"] if roles else []),
        ),
        rows,
        right=("", "age"),
        spare=("type", "age"),
    )


# Session Manager is not named: the nodes have no role for it.
PRIVATE = (
    "a node without a public address is reachable only from its network: by VPN, a bastion host or an EC2 Instance Connect "
    "Endpoint (`bacalhau-spot explain ssh`). `bacalhau-spot console` and `status` work without SSH"
)


def connecting_view(node: Instance) -> Paragraph:
    where = f"{node.id} in {node.zone} at {ssh_address(node)}"
    return Paragraph(where if node.public_ip else f"{where}, its private address", style="dim")


def awaited_host_keys_view(nodes: Sequence[Instance], *, wait_s: float) -> Paragraph:
    names = first_few([node.id for node in nodes])
    return Paragraph(
        f"waiting up to {wait_s:g} s for the host keys in the console output of {names}; Ctrl-C ends",
        style="dim",
    )


def unreachable_view(node: Instance, *, closed: bool, sandbox: bool = False) -> Group:
    """After ssh's own exit code. A command may have the same one, so the text names possible reasons only."""
    if sandbox:
        return Group(
            Paragraph(
                f"{node.id} runs no SSH server: no machine boots in the sandbox (`bacalhau-spot explain sandbox`). "
                f"`bacalhau-spot console {node.id}` works there",
                style="yellow",
            )
        )
    lines: list[RenderableType] = [
        Paragraph(f"ssh exited with 255: if {node.id} was not reached,", style="yellow")
    ]
    return Group(*lines, *_reasons(closed=closed, private=node.public_ip is None))


def _reasons(*, closed: bool, private: bool) -> list[Paragraph]:
    if closed:
        first = "its port 22 is closed, because `ssh_cidrs` is none; `bacalhau-spot explain ssh` shows how to open it"
    else:
        first = (
            "port 22 admits the addresses that `ssh_cidrs` had at the security group's creation; if your address has changed, "
            "`bacalhau-spot explain ssh` shows the command that admits the new one"
        )
    lines = [Paragraph(first, prefix="  - ")]
    if private:
        lines.append(Paragraph(PRIVATE, prefix="  - "))
    lines.append(
        Paragraph("it may still be booting: `bacalhau-spot status` shows its progress", prefix="  - ")
    )
    lines.append(
        Paragraph(
            "if ssh reported another host key, it did not reach the node: another machine answers at this address, or the node's "
            "keys were replaced (`bacalhau-spot explain ssh`)",
            prefix="  - ",
        )
    )
    return lines


def empty_console_view(node: Instance) -> Paragraph:
    return Paragraph(
        f"{node.id} in {node.zone}: EC2 returned no console output yet; it may lag by minutes",
        style="dim",
    )


def fan_out_view(results: FanOutResult, *, group: bool, closed: bool) -> Group:
    """Each node's lines with its id, or identical output once; then a row for each failed node."""
    total, failed = len(results.results), results.failed
    if not failed:
        count = Text(f"{total} of {plural(total, 'node')} well", style="bold green")
        return Group(*_output(results, group=group), count)
    return Group(
        *_output(results, group=group),
        TextTable(
            ("region", "zone", "node", "address", "ended"),
            [_row(result) for result in failed],
            spare=("address", "zone"),
        ),
        Text(
            f"{total - len(failed)} of {plural(total, 'node')} well, {len(failed)} failed",
            style="bold yellow",
        ),
        *_unreachable([result.instance for result in failed if result.unreachable], closed=closed),
    )


def _output(results: FanOutResult, *, group: bool) -> list[RenderableType]:
    if group:
        return [part for same in group_identical(results.results) for part in _same_output(same)]
    return [_lines(result) for result in results.results if result.stdout or result.stderr]


def _unreachable(nodes: Sequence[Instance], *, closed: bool) -> list[RenderableType]:
    if not nodes:
        return []
    private = any(node.public_ip is None for node in nodes)
    return [
        Paragraph("for unreachable nodes:", style="yellow"),
        *_reasons(closed=closed, private=private),
    ]


def _lines(result: CommandResult) -> RenderableType:
    output_lines = (
        without_sequences(result.stdout).splitlines() + without_sequences(result.stderr).splitlines()
    )
    more = ["… output truncated"] if result.truncated else []
    # Never folded: each line stays one line, for grep.
    return Group(
        *(
            Text(f"{result.instance.id}: {line}", no_wrap=True, overflow="ignore")
            for line in (*output_lines, *more)
        )
    )


def _same_output(same: Sequence[CommandResult]) -> list[RenderableType]:
    first = same[0]
    heading = (
        f"{plural(len(same), 'node')}, {_ended(first)}: {first_few([result.instance.id for result in same])}"
    )
    text = "\n".join(
        filter(
            None, (without_sequences(first.stdout).rstrip("\n"), without_sequences(first.stderr).rstrip("\n"))
        )
    )
    body = [Text(text, no_wrap=True, overflow="ignore")] if text else []
    return [Paragraph(heading, style="bold"), Group(*body)]


def _row(result: CommandResult) -> tuple[str, ...]:
    node = result.instance
    return (
        node.region,
        node.zone.removeprefix(node.region),
        node.id,
        ssh_address(node) or "-",
        _ended(result),
    )


def _ended(result: CommandResult) -> str:
    if result.code is None:
        return "timed out"
    if result.unreachable:
        return "exit code 255: the node may be unreachable"
    return f"exit code {result.code}"
