"""Folds events into the state of a screen: one line for each region. The same events always give the same screen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from bacalhau_spot.core.error_catalog.classifier import most_severe
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.launch.instance_phases import FINAL, Phase
from bacalhau_spot.core.orchestrator.smoke_test import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.core.launch.events import Event

    # Events of one region.
    _RegionEvent = (
        events.RegionStarted
        | events.ResourceCreated
        | events.Retrying
        | events.FleetResponded
        | events.InstanceSeen
        | events.RegionFailed
        | events.ResourceFound
        | events.Deleting
        | events.Deleted
        | events.Waiting
        | events.SmokeTestStarted
        | events.NodeTested
        | events.NodeDraining
        | events.ImageStarted
        | events.ImageReady
    )


class Stage(StrEnum):
    """What is counted, in the word for what is done. A command may have several stages, and return to an earlier one."""

    LAUNCH = "running"
    JOIN = "joined"
    TEST = "tested"
    DRAIN = "drained"
    DELETE = "deleted"
    IMAGE = "images ready"


@dataclass(frozen=True, slots=True)
class Count:
    """Never more done than there is to do."""

    done: int = 0
    of: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.done + other.done, self.of + other.of)


@dataclass(frozen=True, slots=True)
class RegionProgress:
    """The state of one region. `status_text` is a few words, `kind` that of the resource in it; `failed` an AWS code when
    the region has stopped, or a node that failed its test. The counts are those of all stages since the command began.
    """

    requested: int = 0
    launched: int = 0
    running: int = 0
    lost: int = 0
    found: int = 0
    deleted: int = 0
    to_test: int = 0
    tested: int = 0
    draining: frozenset[str] = frozenset()  # every node that has begun to leave
    drained: frozenset[str] = frozenset()
    images: int = 0
    images_ready: frozenset[str] = frozenset()
    stage: Stage = Stage.LAUNCH
    status_text: str = "waiting"
    kind: str = ""
    failed: str | None = None
    done: bool = False

    @property
    def settled(self) -> bool:
        """Every instance runs or is terminated."""
        return self.running + self.lost >= self.launched

    @property
    def missing(self) -> int:
        """Requested nodes that do not run."""
        return max(0, self.requested - self.running)

    @property
    def count(self) -> Count:
        """Of its present stage."""
        return self.count_of(self.stage)

    def count_of(self, stage: Stage) -> Count:
        match stage:
            case Stage.TEST:
                return Count(self.tested, self.to_test)
            case Stage.DRAIN:
                return Count(len(self.drained), len(self.draining))
            case Stage.DELETE:
                return Count(self.deleted, self.found)
            case Stage.IMAGE:
                return Count(len(self.images_ready), self.images)
        return Count(min(self.running, self.requested), self.requested)


@dataclass(frozen=True, slots=True)
class Progress:
    """All regions, in the order in which they began. `stage`: of the latest event that began one."""

    regions: Mapping[str, RegionProgress] = field(default_factory=dict)
    phases: Mapping[str, Phase] = field(default_factory=dict)  # by instance id
    cancelling: bool = False
    orchestrator: str = ""  # the present step of the managed one; empty: it was not changed
    orchestrator_ready: bool = False
    stage: Stage = Stage.LAUNCH
    joined: Count = Count()  # of the nodes that are waited for

    @property
    def count(self) -> Count:
        """Of the present stage, in all regions."""
        if self.stage is Stage.JOIN:
            return self.joined
        return sum((region.count_of(self.stage) for region in self.regions.values()), start=Count())

    @property
    def text(self) -> str:
        """`7 of 12 running`"""
        return f"{self.count.done} of {self.count.of} {self.stage}"


def apply_event(state: Progress, event: Event) -> Progress:
    """The progress after `event`."""
    if isinstance(event, events.Cancelling):
        return replace(state, cancelling=True)
    if isinstance(event, events.NodesReassigned):
        return _reassigned(state, event)
    if isinstance(event, events.NodesJoined):
        return replace(state, stage=Stage.JOIN, joined=Count(event.joined, event.launched))
    if isinstance(event, events.OrchestratorChanged):
        return replace(state, orchestrator=event.message, orchestrator_ready=event.ready)
    if state.orchestrator and not state.orchestrator_ready:
        return _orchestrator_step(state, event)
    return _region_changed(state, event)


def _orchestrator_step(state: Progress, event: Event) -> Progress:
    """Until it accepts nodes, all resources in its region are the orchestrator's."""
    if isinstance(event, events.Retrying):
        return replace(state, orchestrator=f"trying again ({event.code}, {event.attempt})")
    return state


def _region_changed(state: Progress, event: _RegionEvent) -> Progress:
    region = state.regions.get(event.region, RegionProgress(stage=state.stage))
    before = region.stage
    phases = state.phases
    if isinstance(event, events.InstanceSeen):
        phases = {**phases, event.id: event.phase}
        region = _instance_seen(region, state.phases.get(event.id), event)
    else:
        region = _step(region, event)
    stage = region.stage if region.stage is not before or isinstance(event, _BEGINNINGS) else state.stage
    return replace(state, regions={**state.regions, event.region: region}, phases=phases, stage=stage)


# Events that begin a stage, also one that the region has had before.
_BEGINNINGS: Final = (events.RegionStarted, events.SmokeTestStarted, events.NodeDraining, events.ImageStarted)


def _instance_seen(
    region: RegionProgress, before: Phase | None, event: events.InstanceSeen
) -> RegionProgress:
    lost = FINAL | {Phase.TERMINATING}
    running = region.running + (event.phase is Phase.RUNNING) - (before is Phase.RUNNING)
    fallen = region.lost + (event.phase in lost) - (before in lost)
    now = replace(region, running=running, lost=fallen)
    return _at(now, _status_text(now), done=now.settled)


def _status_text(region: RegionProgress) -> str:
    """Where a region's instances stand; "done" only when none is missing."""
    if not region.settled:
        return "starting instances"
    return f"done, {region.missing} missing" if region.missing else "done"


def _step(region: RegionProgress, event: Event) -> RegionProgress:
    match event:
        case events.RegionStarted(requested=asked):
            return _at(
                region, "preparing", stage=Stage.LAUNCH, requested=region.requested + asked, done=False
            )
        case events.ResourceCreated(kind=kind):
            return _at(region, "created", kind=kind)
        case events.Retrying(code=code, attempt=attempt):
            return _at(region, f"trying again ({code}, {attempt})")
        case events.FleetResponded(launched=launched, refusals=refusals):
            return _fleet_responded(region, launched, most_severe(code for _, _, code in refusals))
        case events.RegionFailed(code=code):
            return _at(region, "failed", failed=code, done=True)
        case events.Waiting(message=what, remaining=left):
            return _at(region, f"{what}: {left} left" if left else what)
    for step in (_deletion_step, _drain_step, _test_step, _image_step):
        region = step(region, event)
    return region


def _image_step(region: RegionProgress, event: Event) -> RegionProgress:
    match event:
        case events.ImageStarted():
            return _at(region, "making an image", stage=Stage.IMAGE, images=region.images + 1, done=False)
        case events.ImageReady(id=image):
            ready = region.images_ready | {image}
            done = len(ready) >= region.images
            return _at(region, "done" if done else "making an image", images_ready=ready, done=done)
    return region


def _at(region: RegionProgress, text: str, *, kind: str = "", **changes: Any) -> RegionProgress:
    """With another step; `kind`: of the resource that it names."""
    return replace(region, status_text=text, kind=kind, **changes)


def _test_step(region: RegionProgress, event: Event) -> RegionProgress:
    match event:
        case events.SmokeTestStarted(nodes=count):
            return _at(region, "testing", stage=Stage.TEST, to_test=region.to_test + count, done=False)
        case events.NodeTested(node=node, outcome=outcome):
            tested = min(region.tested + 1, region.to_test)
            done = tested >= region.to_test
            failed = region.failed if outcome is Outcome.RAN else node
            return _at(region, "done" if done else "testing", tested=tested, done=done, failed=failed)
    return region


def _drain_step(region: RegionProgress, event: Event) -> RegionProgress:
    """A node leaves with a drain, or at once, and is gone when AWS has terminated it."""
    match event:
        case events.NodeDraining(id=node):
            return _at(
                region,
                f"draining {node}",
                stage=Stage.DRAIN,
                draining=region.draining | {node},
                done=False,
            )
        case events.Deleting(kind=ResourceKind.INSTANCE, id=node) if not (region.found or region.images):
            text = f"terminating {node}"
            return _at(region, text, stage=Stage.DRAIN, draining=region.draining | {node}, done=False)
        case events.Deleted(kind=ResourceKind.INSTANCE, id=node) if not region.found:
            drained = region.drained | {node}
            left = len(region.draining | drained) - len(drained)
            return _at(
                region,
                f"draining: {left} left" if left else "done",
                stage=Stage.DRAIN,
                draining=region.draining | drained,
                drained=drained,
                done=not left,
            )
    return region


def _deletion_step(region: RegionProgress, event: Event) -> RegionProgress:
    match event:
        case events.ResourceFound():
            return _at(region, "deleting", stage=Stage.DELETE, found=region.found + 1, done=False)
        case events.Deleted() if region.found:
            deleted = min(region.deleted + 1, region.found)
            done = deleted >= region.found
            return _at(region, "deleted" if done else "deleting", deleted=deleted, done=done)
    return region


def _fleet_responded(region: RegionProgress, launched: int, code: str | None) -> RegionProgress:
    if launched:
        return _at(region, "starting instances", launched=region.launched + launched, done=False)
    refused = f"refused: {code}" if code else "nothing granted"
    return _at(region, refused, done=region.settled)


def _reassigned(state: Progress, event: events.NodesReassigned) -> Progress:
    regions = dict(state.regions)
    source = regions.get(event.region, RegionProgress())
    # The nodes that it keeps may still be pending.
    regions[event.region] = replace(
        source,
        requested=source.requested - event.count,
        status_text=f"{event.count} moved on",
        done=source.settled,
    )
    return replace(state, regions=regions)
