"""A fold from events to what a screen shows: one line a region. The same events always give the same screen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bacalhau_spot.core import events
from bacalhau_spot.core.lifecycle import FINAL, Phase
from bacalhau_spot.core.verdict import worst

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.core.events import Event


@dataclass(frozen=True, slots=True)
class RegionProgress:
    """What one region is doing. `doing` is a few words; `failed` an AWS code when nothing more happens here."""

    asked: int = 0
    launched: int = 0
    running: int = 0
    lost: int = 0
    found: int = 0
    deleted: int = 0
    doing: str = "waiting"
    failed: str | None = None
    done: bool = False

    @property
    def settled(self) -> bool:
        """Whatever AWS gave has come up or has gone."""
        return self.running + self.lost >= self.launched

    @property
    def short(self) -> int:
        """How many of those asked for do not run."""
        return max(0, self.asked - self.running)


@dataclass(frozen=True, slots=True)
class Progress:
    """All regions, in the order in which they began."""

    regions: Mapping[str, RegionProgress] = field(default_factory=dict)
    phases: Mapping[str, Phase] = field(default_factory=dict)  # by instance id
    stopping: bool = False

    @property
    def asked(self) -> int:
        return sum(region.asked for region in self.regions.values())

    @property
    def running(self) -> int:
        return sum(region.running for region in self.regions.values())

    @property
    def found(self) -> int:
        return sum(region.found for region in self.regions.values())

    @property
    def deleted(self) -> int:
        return sum(region.deleted for region in self.regions.values())


def fold(state: Progress, event: Event) -> Progress:
    """The progress after `event`."""
    if isinstance(event, events.Stopping):
        return replace(state, stopping=True)
    if isinstance(event, events.Moved):
        return _moved(state, event)
    region = state.regions.get(event.region, RegionProgress())
    phases = state.phases
    if isinstance(event, events.InstanceSeen):
        phases = {**phases, event.id: event.phase}
        region = _seen(region, state.phases.get(event.id), event)
    else:
        region = _step(region, event)
    return replace(state, regions={**state.regions, event.region: region}, phases=phases)


def _seen(region: RegionProgress, before: Phase | None, event: events.InstanceSeen) -> RegionProgress:
    lost = FINAL | {Phase.ENDING}
    running = region.running + (event.phase is Phase.RUNNING) - (before is Phase.RUNNING)
    fallen = region.lost + (event.phase in lost) - (before in lost)
    now = replace(region, running=running, lost=fallen)
    return replace(now, done=now.settled, doing=_standing(now))


def _standing(region: RegionProgress) -> str:
    """Where a region's instances stand; "done" only when none is missing."""
    if not region.settled:
        return "starting instances"
    return f"done, {region.short} missing" if region.short else "done"


def _step(region: RegionProgress, event: Event) -> RegionProgress:
    match event:
        case events.RegionStarted(asked=asked):
            return replace(region, asked=region.asked + asked, doing="preparing", done=False)
        case events.Made(kind=kind):
            return replace(region, doing=f"made {kind}")
        case events.Retrying(code=code, attempt=attempt):
            return replace(region, doing=f"trying again ({code}, {attempt})")
        case events.FleetAnswered(launched=launched, refusals=refusals):
            return _answered(region, launched, worst(code for _, _, code in refusals))
        case events.RegionFailed(code=code):
            return replace(region, failed=code, doing="failed", done=True)
        case events.Found():
            return replace(region, found=region.found + 1, doing="deleting")
        case events.Deleted():
            deleted = region.deleted + 1
            done = deleted >= region.found
            return replace(region, deleted=deleted, done=done, doing="gone" if done else "deleting")
        case events.Waiting(what=what, left=left):
            return replace(region, doing=f"{what}: {left} left" if left else what)
    return region


def _answered(region: RegionProgress, launched: int, code: str | None) -> RegionProgress:
    if launched:
        return replace(region, launched=region.launched + launched, doing="starting instances", done=False)
    refused = f"refused: {code}" if code else "nothing granted"
    return replace(region, doing=refused, done=region.settled)


def _moved(state: Progress, event: events.Moved) -> Progress:
    regions = dict(state.regions)
    source = regions.get(event.region, RegionProgress())
    # What it keeps may still be starting.
    regions[event.region] = replace(
        source, asked=source.asked - event.count, doing=f"{event.count} moved on", done=source.settled
    )
    return replace(state, regions=regions)
