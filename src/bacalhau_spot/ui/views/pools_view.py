"""The distribution of a cluster over capacity pools, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.ui.formatting import plural
from bacalhau_spot.ui.views.blocks import Paragraph

if TYPE_CHECKING:
    from bacalhau_spot.core.placement.pool_distribution import PoolDistribution


def pools_line(distribution: PoolDistribution) -> list[Paragraph]:
    """The number of pools and the maximum loss from one; empty without spot nodes."""
    if distribution.fullest is None:
        return []
    where = f"{distribution.fullest.type} in {distribution.fullest.zone}"
    text = (
        f"{plural(distribution.nodes, 'spot node')} in {plural(distribution.pools, 'capacity pool')}; "
        f"losing one pool may terminate up to {distribution.max_loss} ({where})"
    )
    return [Paragraph(text, style="yellow" if distribution.pools == 1 and distribution.nodes > 1 else "dim")]
