"""Reaching nodes: which one, how it went, and what a command said on all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from bacalhau_spot.core.remote import alike
from bacalhau_spot.core.sanitize import without_sequences
from bacalhau_spot.core.shell import address
from bacalhau_spot.ui.views.text import Columns, Said, not_seen
from bacalhau_spot.ui.words import age, few, plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.receipt import Problem
    from bacalhau_spot.core.remote import Everywhere, Ran


def unseen_view(problems: Sequence[Problem]) -> Group:
    return Group(*not_seen(problems))


def menu_view(nodes: Sequence[Instance], *, now: datetime) -> Columns:
    """A numbered row a node. Where they are in different states, that is what is chosen between."""
    differ = len({one.state for one in nodes}) > 1
    rows = [
        (
            str(number),
            one.region,
            one.zone.removeprefix(one.region),
            one.id,
            one.type,
            age(now - one.launched_at),
            *([str(one.state)] if differ else []),
        )
        for number, one in enumerate(nodes, start=1)
    ]
    return Columns(
        ("", "region", "zone", "node", "type", "age", *(["state"] if differ else [])),
        rows,
        right=("", "age"),
        spare=("type", "age"),
    )


# Session Manager is not named: the nodes have no role for it.
PRIVATE = (
    "a node without a public address is reached from inside its network: by VPN, through a bastion, or through an EC2 Instance "
    "Connect Endpoint; `bacalhau-spot explain ssh` has the lines. `bacalhau-spot console` and `status` need none of these"
)


def reaching_view(node: Instance) -> Said:
    where = f"{node.id} in {node.zone} at {address(node)}"
    return Said(where if node.public_ip else f"{where}, its private address", style="dim")


def unreached_view(node: Instance, *, closed: bool) -> Group:
    """After ssh's own exit code. A command may end with the same, so it is only said what may be."""
    lines: list[RenderableType] = [Said(f"ssh ended with 255: if {node.id} was not reached,", style="yellow")]
    return Group(*lines, *_reasons(closed=closed, private=node.public_ip is None))


def _reasons(*, closed: bool, private: bool) -> list[Said]:
    if closed:
        first = "its port 22 is closed, because `ssh_cidrs` is none; `bacalhau-spot explain ssh` says how to open it"
    else:
        first = (
            "port 22 admits whom `ssh_cidrs` named when it was made: if your address is another one by now, "
            "`bacalhau-spot explain ssh` has the command that admits it"
        )
    lines = [Said(first, prefix="  - ")]
    if private:
        lines.append(Said(PRIVATE, prefix="  - "))
    lines.append(
        Said("it may not have booted yet: `bacalhau-spot status` shows how far it is", prefix="  - ")
    )
    return lines


def silent_console_view(node: Instance) -> Said:
    return Said(
        f"{node.id} in {node.zone} has said nothing yet, as far as EC2 shows; it may lag by minutes",
        style="dim",
    )


def everywhere_view(everywhere: Everywhere, *, group: bool, closed: bool) -> Group:
    """Each node's lines with its id before them, or what is alike once; then how it ended, a row a node that failed."""
    parts: list[RenderableType] = []
    if group:
        for same in alike(everywhere.ran):
            parts.extend(_together(same))
    else:
        parts.extend(_lines(one) for one in everywhere.ran if one.stdout or one.stderr)
    failed = everywhere.failed
    if failed:
        parts.append(
            Columns(
                ("region", "zone", "node", "address", "ended"),
                [_row(one) for one in failed],
                spare=("address", "zone"),
            )
        )
    well = len(everywhere.ran) - len(failed)
    parts.append(
        Text(
            f"{well} of {plural(len(everywhere.ran), 'node')} well"
            + (f", {len(failed)} failed" if failed else ""),
            style="bold yellow" if failed else "bold green",
        )
    )
    if any(one.unreached for one in failed):
        parts.append(Said("where a node was not reached:", style="yellow"))
        private = any(one.unreached and one.instance.public_ip is None for one in failed)
        parts.extend(_reasons(closed=closed, private=private))
    return Group(*parts)


def _lines(one: Ran) -> RenderableType:
    said = without_sequences(one.stdout).splitlines() + without_sequences(one.stderr).splitlines()
    more = ["… more than is kept"] if one.cut else []
    # Never folded: each line stays one line, for grep.
    return Group(
        *(Text(f"{one.instance.id}: {line}", no_wrap=True, overflow="ignore") for line in (*said, *more))
    )


def _together(same: Sequence[Ran]) -> list[RenderableType]:
    first = same[0]
    heading = f"{plural(len(same), 'node')}, {_ended(first)}: {few([one.instance.id for one in same])}"
    text = "\n".join(
        filter(
            None, (without_sequences(first.stdout).rstrip("\n"), without_sequences(first.stderr).rstrip("\n"))
        )
    )
    body = [Text(text, no_wrap=True, overflow="ignore")] if text else []
    return [Said(heading, style="bold"), Group(*body)]


def _row(one: Ran) -> tuple[str, ...]:
    node = one.instance
    return (node.region, node.zone.removeprefix(node.region), node.id, address(node) or "-", _ended(one))


def _ended(one: Ran) -> str:
    if one.code is None:
        return "given up: too slow"
    if one.unreached:
        return "exit code 255: perhaps not reached"
    return f"exit code {one.code}"
