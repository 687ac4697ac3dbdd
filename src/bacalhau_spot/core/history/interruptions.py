"""The interruptions of a period, and the capacity pools in which they happened."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from bacalhau_spot.core.history.node_records import NodeRecord
    from bacalhau_spot.core.model import Pool


def interruptions_since(records: Iterable[NodeRecord], since: datetime) -> tuple[NodeRecord, ...]:
    """Nodes that EC2 interrupted, or gave notice to, from then on; by that time."""
    lost = [(record.lost_at, record.id, record) for record in records if record.lost_at is not None]
    return tuple(record for moment, _, record in sorted(lost, key=lambda row: row[:2]) if moment >= since)


def pool_counts(records: Iterable[NodeRecord]) -> tuple[tuple[Pool, int], ...]:
    """The number of these nodes in each pool, the most first."""
    counts = Counter(record.pool for record in records)
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0].zone, item[0].type)))


def interrupted_pools(
    records: Iterable[NodeRecord], *, now: datetime, within: timedelta
) -> dict[Pool, datetime]:
    """The pools of the interruptions in the period before `now`, each with the time of the last one."""
    return {
        record.pool: record.lost_at
        for record in interruptions_since(records, now - within)
        if record.lost_at is not None
    }
