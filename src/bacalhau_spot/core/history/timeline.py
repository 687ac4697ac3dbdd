"""The timeline of a cluster: the events of its nodes in order, and the replacement of each interrupted node.

The replacement of an interrupted node is the next launch after its notice or interruption that replaces no other node: in
the same region, otherwise in another one. AWS records no relation between them. A launch after the end of the whole cluster
replaces nothing: a moment at which the last node was terminated for another reason than an interruption.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bacalhau_spot.core.history.interruptions import pool_counts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta
    from decimal import Decimal

    from bacalhau_spot.core.history.node_records import NodeRecord
    from bacalhau_spot.core.model import Pool
    from bacalhau_spot.core.pricing.cost import PriceSteps, Window


class TimelineEventKind(StrEnum):
    """The kinds of events, in the order of events at the same time."""

    LAUNCHED = "launched"
    JOINED = "joined"
    NOTICED = "interruption notice"
    INTERRUPTED = "interrupted"
    TERMINATED = "terminated"


_ORDER = tuple(TimelineEventKind)


class LossMoment(StrEnum):
    """The moment from which a replacement is measured."""

    NOTICE = "notice"
    INTERRUPTION = "interruption"  # the notice has no record


@dataclass(frozen=True, slots=True)
class Replacement:
    """The node launched in answer to an interruption, and its times since `measured_from`."""

    node: NodeRecord
    since: datetime
    measured_from: LossMoment

    @property
    def launched_after(self) -> timedelta:
        return self.node.started_at - self.since

    @property
    def joined_after(self) -> timedelta | None:
        """None: its join has no record."""
        return None if self.node.joined_at is None else self.node.joined_at - self.since


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One event. `usd_per_hour`: the pool's spot price then; None: unknown.

    `replacement`: of an interruption, None without one. `replaces`: the id of the interrupted node that a launch replaces.
    """

    at: datetime
    kind: TimelineEventKind
    node: NodeRecord
    usd_per_hour: Decimal | None = None
    replacement: Replacement | None = None
    replaces: str = ""

    @property
    def age(self) -> timedelta:
        """Of the node, at that time."""
        return self.at - self.node.started_at


@dataclass(frozen=True, slots=True)
class TimelineSummary:
    """`median_*`: None without a value. `replaced`: interrupted nodes with a replacement; `joined`: replacements with a
    recorded join.
    """

    interruptions: int
    replaced: int
    joined: int
    pools: tuple[tuple[Pool, int], ...]  # interruptions in each, the most first
    median_age: timedelta | None
    median_launched_after: timedelta | None
    median_joined_after: timedelta | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The events from `window.since` to `window.now`, the oldest first. `records`: of all nodes of the chosen regions.

    `unknown_end_ids`: nodes that ended without a recorded termination.
    """

    window: Window
    records: tuple[NodeRecord, ...] = ()
    events: tuple[TimelineEvent, ...] = ()
    unknown_end_ids: tuple[str, ...] = ()

    @property
    def summary(self) -> TimelineSummary:
        lost = [event for event in self.events if event.kind is TimelineEventKind.INTERRUPTED]
        found = [event.replacement for event in lost if event.replacement is not None]
        joins = [replacement.joined_after for replacement in found if replacement.joined_after is not None]
        return TimelineSummary(
            interruptions=len(lost),
            replaced=len(found),
            joined=len(joins),
            pools=pool_counts(event.node for event in lost),
            median_age=_median([event.age for event in lost]),
            median_launched_after=_median([replacement.launched_after for replacement in found]),
            median_joined_after=_median(joins),
        )


def cluster_timeline(
    records: Sequence[NodeRecord],
    prices: PriceSteps,
    window: Window,
    *,
    regions: Collection[str] = (),
    failed_regions: Collection[str] = (),
) -> Timeline:
    """`records`: of the whole cluster, because another region may replace a node. `regions`: only events there.

    `failed_regions`: not scanned; nodes there may still run.
    """
    found = replacements(records)
    replaced = {replacement.node.id: lost_id for lost_id, replacement in found.items()}
    chosen = tuple(record for record in records if not regions or record.region in regions)
    chronicle = _Chronicle(prices, window, found, replaced)
    events = [event for record in chosen for event in chronicle.events(record)]
    return Timeline(
        window=window,
        records=chosen,
        events=tuple(sorted(events, key=lambda event: (event.at, _ORDER.index(event.kind), event.node.id))),
        unknown_end_ids=tuple(
            record.id
            for record in chosen
            if record.region not in failed_regions and _vanished(record, window)
        ),
    )


@dataclass(frozen=True, slots=True)
class _Chronicle:
    """`found`: replacements by the interrupted node; `replaced`: the interrupted node by its replacement."""

    prices: PriceSteps
    window: Window
    found: Mapping[str, Replacement]
    replaced: Mapping[str, str]

    def events(self, record: NodeRecord) -> Iterator[TimelineEvent]:
        """The node's events in the window."""
        for kind, moment in _moments(record):
            if self.window.since is None or moment >= self.window.since:
                yield self._event(record, kind, moment)

    def _event(self, record: NodeRecord, kind: TimelineEventKind, moment: datetime) -> TimelineEvent:
        launched, lost = kind is TimelineEventKind.LAUNCHED, kind is TimelineEventKind.INTERRUPTED
        return TimelineEvent(
            at=moment,
            kind=kind,
            node=record,
            usd_per_hour=self.prices.price_at(record.usage, moment) if record.usage.spot else None,
            replacement=self.found.get(record.id) if lost else None,
            replaces=self.replaced.get(record.id, "") if launched else "",
        )


def _vanished(record: NodeRecord, window: Window) -> bool:
    return not record.end_known and (window.since is None or record.usage.end(window.now) >= window.since)


def _moments(record: NodeRecord) -> Iterator[tuple[TimelineEventKind, datetime]]:
    yield TimelineEventKind.LAUNCHED, record.started_at
    if record.joined_at is not None:
        yield TimelineEventKind.JOINED, record.joined_at
    if record.noticed_at is not None:
        yield TimelineEventKind.NOTICED, record.noticed_at
    if record.ended_at is not None:
        kind = TimelineEventKind.INTERRUPTED if record.interrupted else TimelineEventKind.TERMINATED
        yield kind, record.ended_at


def replacements(records: Sequence[NodeRecord], *, also: Collection[str] = ()) -> dict[str, Replacement]:
    """The replacement of each interrupted node, by its id. `records` by launch time. `also`: other lost nodes."""
    lost = _losses(records, also)
    ends = _cluster_ends(records)
    found: dict[str, Replacement] = {}
    free = list(records)
    for same_region in (True, False):
        for since, record in lost:
            region = record.region if same_region else ""
            node = None if record.id in found else _next_launch(free, since, ends, region=region)
            if node is not None:
                moment = LossMoment.NOTICE if record.noticed_at else LossMoment.INTERRUPTION
                found[record.id] = Replacement(node, since, moment)
                free.remove(node)
    return found


def _losses(records: Sequence[NodeRecord], also: Collection[str]) -> list[tuple[datetime, NodeRecord]]:
    """Interrupted nodes, by the time of their loss."""
    lost = [
        (record.lost_at or record.ended_at, record)
        for record in records
        if record.interrupted or record.id in also
    ]
    return sorted(
        ((since, record) for since, record in lost if since is not None), key=lambda row: (row[0], row[1].id)
    )


def _next_launch(
    records: Sequence[NodeRecord], since: datetime, ends: Sequence[datetime], *, region: str
) -> NodeRecord | None:
    """The first launch in the region (empty: any) from then on, before the cluster's next end."""
    until = next((end for end in ends if end >= since), None)
    for record in records:
        if until is not None and record.started_at >= until:
            return None
        if record.started_at >= since and region in {record.region, ""}:
            return record
    return None


def _cluster_ends(records: Sequence[NodeRecord]) -> list[datetime]:
    """The times at which the last node was terminated, and not by an interruption; ascending."""
    changes = [(record.started_at, 1, False) for record in records]
    changes += [
        (record.usage.ended_at, -1, record.end_known and not record.usage.interrupted)
        for record in records
        if record.usage.ended_at is not None
    ]
    ends: list[datetime] = []
    present = 0
    for moment, change, deliberate in sorted(changes):
        present += change
        if present == 0 and deliberate:
            ends.append(moment)
    return ends


def _median(spans: Sequence[timedelta]) -> timedelta | None:
    if not spans:
        return None
    ordered, middle = sorted(spans), len(spans) // 2
    return ordered[middle] if len(spans) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
