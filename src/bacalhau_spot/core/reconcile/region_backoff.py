"""Regions that refused capacity lately: the next passes launch elsewhere, and ask them again later and later.

Remembered over the passes of one process only. A single pass starts without refusals: AWS's answer is the newest there is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.model import Spread
from bacalhau_spot.core.placement.demand import nodes_by_region, spread_over

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.core.launch.create_result import CreateResult
    from bacalhau_spot.core.model import ClusterSpec, Instance

# Capacity returns within minutes or hours; a region that is asked every 15 minutes costs four calls an hour.
_FIRST: Final = timedelta(minutes=2)
_LONGEST: Final = timedelta(minutes=15)
# Refusals that end by themselves. A permission or a configuration does not.
_PASSES: Final = frozenset({Category.CAPACITY, Category.QUOTA, Category.PRICE})


@dataclass(frozen=True, slots=True)
class _Refusal:
    until: datetime
    wait: timedelta


@dataclass(frozen=True, slots=True)
class RegionBackoff:
    """The refusals so far, by region."""

    refusals: Mapping[str, _Refusal] = field(default_factory=dict)

    def closed(self, now: datetime) -> dict[str, datetime]:
        """Regions to leave out, each with the time of the next attempt."""
        return {
            region: refusal.until for region, refusal in sorted(self.refusals.items()) if now < refusal.until
        }

    def after(self, result: CreateResult, *, now: datetime) -> RegionBackoff:
        """With the answers of a launch: a region that launched all is open again, one that refused waits longer."""
        refusals = dict(self.refusals)
        for region in result.regions:
            asked = region.requested + region.extra
            if not asked:
                continue
            if len(region.launched) >= asked:
                refusals.pop(region.region, None)
            elif region.code is not None and classify(region.code).category in _PASSES:
                before = refusals.get(region.region)
                wait = _FIRST if before is None else min(_LONGEST, before.wait * 2)
                refusals[region.region] = _Refusal(now + wait, wait)
        return RegionBackoff(refusals)


def launch_spec(spec: ClusterSpec, instances: Sequence[Instance], *, closed: Collection[str]) -> ClusterSpec:
    """The configuration for one launch: the nodes of closed regions belong to the open ones.

    With `spread: strict` they stay missing. Unchanged with `regions: auto`, and where all regions are open, or none is.
    """
    names = dict.fromkeys(region.name for region in spec.regions)
    refusing = names.keys() & set(closed)
    opened = dict.fromkeys(names.keys() - refusing)
    if not opened or not refusing:
        return spec
    present = Counter(instance.region for instance in instances if instance.alive)
    numbers = nodes_by_region(spec)
    kept = {name: min(numbers[name], present[name]) for name in refusing}
    missing = sum(numbers[name] - kept[name] for name in refusing)
    moved = 0 if spec.spread is Spread.STRICT else missing
    added = spread_over(moved, dict.fromkeys(sorted(opened), moved))
    regions = tuple(
        replace(region, nodes=kept.get(region.name, numbers[region.name] + added.get(region.name, 0)))
        for region in spec.regions
    )
    return replace(spec, regions=regions)
