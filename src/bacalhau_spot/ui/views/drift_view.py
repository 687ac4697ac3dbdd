"""Nodes that differ from the configuration, and in which keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.ui.formatting import first_few, plural
from bacalhau_spot.ui.views.blocks import Paragraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.launch.node_spec import DriftedNode


def drift_lines(drifted: Sequence[DriftedNode], *, nodes: int) -> list[Paragraph]:
    """One line for each difference with its nodes, and the remedy. `nodes`: all living ones of the cluster."""
    if not drifted:
        return []
    groups: dict[str, list[str]] = {}
    for node in drifted:
        for difference in node.differences:
            text = f"{difference.key} {difference.was} → {difference.now}"
            groups.setdefault(text, []).append(node.instance.id)
    verb = "differs" if len(drifted) == 1 else "differ"
    return [
        Paragraph(
            f"{len(drifted)} of {plural(nodes, 'node')} {verb} from the configuration:", style="yellow"
        ),
        *(Paragraph(f"  {text}: {first_few(ids)}", style="yellow") for text, ids in groups.items()),
        Paragraph("`bacalhau-spot replace --drifted` replaces them, one after the other", prefix="drifted: "),
    ]
