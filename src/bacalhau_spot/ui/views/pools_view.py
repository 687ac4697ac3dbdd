"""How a cluster is spread over capacity pools, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.ui.formatting import plural
from bacalhau_spot.ui.views.blocks import Paragraph

if TYPE_CHECKING:
    from bacalhau_spot.core.placement.pool_distribution import PoolDistribution


def pools_line(shares: PoolDistribution) -> list[Paragraph]:
    """In how many pools the nodes are, and what the loss of one would take; nothing without spot nodes."""
    if shares.fullest is None:
        return []
    where = f"{shares.fullest.type} in {shares.fullest.zone}"
    text = (
        f"{plural(shares.nodes, 'spot node')} in {plural(shares.pools, 'capacity pool')}; "
        f"the loss of one takes up to {shares.max_loss} ({where})"
    )
    return [Paragraph(text, style="yellow" if shares.pools == 1 and shares.nodes > 1 else "dim")]
