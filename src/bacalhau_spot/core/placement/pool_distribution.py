"""The distribution of a cluster over capacity pools, and so the nodes that AWS may interrupt at once.

AWS interrupts spot capacity by pool: instances of one type in one zone are often interrupted together, within minutes.
A cluster in one pool can be lost in one event.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.model import Pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bacalhau_spot.core.model import Instance

_SPOT = "spot"
# t2, t3, t3a, t4g: the families that earn CPU credits (EC2 user guide, "Burstable performance instances").
_BURSTABLE = re.compile(r"t\d")


def burstable(instance_type: str) -> bool:
    """Whether the type earns and spends CPU credits."""
    return _BURSTABLE.match(instance_type) is not None


@dataclass(frozen=True, slots=True)
class PoolDistribution:
    """The nodes in each pool, the fullest first, then by zone and type."""

    counts: tuple[tuple[Pool, int], ...] = ()

    @property
    def nodes(self) -> int:
        return sum(count for _, count in self.counts)

    @property
    def pools(self) -> int:
        return len(self.counts)

    @property
    def fullest(self) -> Pool | None:
        """The pool with the most nodes; None without nodes."""
        return self.counts[0][0] if self.counts else None

    @property
    def max_loss(self) -> int:
        """How many nodes the loss of one pool would take, at most."""
        return self.counts[0][1] if self.counts else 0


def pool_distribution(instances: Iterable[Instance]) -> PoolDistribution:
    """The distribution of the running and pending spot instances. On-demand instances are not interrupted."""
    return distribution_of(
        Counter(
            Pool(instance.type, instance.zone)
            for instance in instances
            if instance.alive and instance.lifecycle == _SPOT
        )
    )


def distribution_of(counts: Mapping[Pool, int]) -> PoolDistribution:
    """The same from numbers, such as a plan's."""
    held = [(pool, count) for pool, count in counts.items() if count > 0]
    held.sort(key=lambda item: (-item[1], item[0].zone, item[0].type))
    return PoolDistribution(tuple(held))
