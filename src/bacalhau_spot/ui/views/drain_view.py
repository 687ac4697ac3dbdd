"""How the drains of nodes ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.ui.views.blocks import TextTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from bacalhau_spot.core.lifecycle.drain_result import DrainedNode


def drained_nodes(nodes: Sequence[DrainedNode]) -> RenderableType:
    """A row for each node, with its end, and the seconds of a drain."""
    rows = [(node.instance.id, node.instance.zone, node.instance.type, _end(node)) for node in nodes]
    return TextTable(("node", "zone", "type", "end"), rows, spare=("type",))


def _end(node: DrainedNode) -> str:
    return f"{node.end}, {node.seconds:.0f} s" if node.begun else node.end
