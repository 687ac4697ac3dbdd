"""Folds events into the state of a screen: one line for each region. The same events always give the same screen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.classifier import most_severe
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
    )


@dataclass(frozen=True, slots=True)
class RegionProgress:
    """The state of one region. `status_text` is a few words; `failed` an AWS code when the region has stopped, or a node
    that failed its test.
    """

    requested: int = 0
    launched: int = 0
    running: int = 0
    lost: int = 0
    found: int = 0
    deleted: int = 0
    to_test: int = 0
    tested: int = 0
    status_text: str = "waiting"
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


@dataclass(frozen=True, slots=True)
class Progress:
    """All regions, in the order in which they began."""

    regions: Mapping[str, RegionProgress] = field(default_factory=dict)
    phases: Mapping[str, Phase] = field(default_factory=dict)  # by instance id
    cancelling: bool = False
    orchestrator: str = ""  # the present step of the managed one; empty: it was not changed
    orchestrator_ready: bool = False
    joined: int | None = None  # nodes that the orchestrator lists as connected; None: not waited for yet

    @property
    def requested(self) -> int:
        return sum(region.requested for region in self.regions.values())

    @property
    def running(self) -> int:
        return sum(region.running for region in self.regions.values())

    @property
    def found(self) -> int:
        return sum(region.found for region in self.regions.values())

    @property
    def deleted(self) -> int:
        return sum(region.deleted for region in self.regions.values())

    @property
    def to_test(self) -> int:
        return sum(region.to_test for region in self.regions.values())

    @property
    def tested(self) -> int:
        return sum(region.tested for region in self.regions.values())


def apply_event(state: Progress, event: Event) -> Progress:
    """The progress after `event`."""
    if isinstance(event, events.Cancelling):
        return replace(state, cancelling=True)
    if isinstance(event, events.NodesReassigned):
        return _reassigned(state, event)
    if isinstance(event, events.NodesJoined):
        return replace(state, joined=event.joined)
    if isinstance(event, events.OrchestratorChanged):
        return replace(state, orchestrator=event.message, orchestrator_ready=event.ready)
    if state.orchestrator and not state.orchestrator_ready:
        return _orchestrator_step(state, event)
    return _region_changed(state, event)


def _orchestrator_step(state: Progress, event: Event) -> Progress:
    """Until it accepts nodes, all resources in its region are the orchestrator's."""
    match event:
        case events.ResourceCreated(kind=kind):
            return replace(state, orchestrator=f"created {kind}")
        case events.Retrying(code=code, attempt=attempt):
            return replace(state, orchestrator=f"trying again ({code}, {attempt})")
    return state


def _region_changed(state: Progress, event: _RegionEvent) -> Progress:
    region = state.regions.get(event.region, RegionProgress())
    phases = state.phases
    if isinstance(event, events.InstanceSeen):
        phases = {**phases, event.id: event.phase}
        region = _instance_seen(region, state.phases.get(event.id), event)
    else:
        region = _step(region, event)
    return replace(state, regions={**state.regions, event.region: region}, phases=phases)


def _instance_seen(
    region: RegionProgress, before: Phase | None, event: events.InstanceSeen
) -> RegionProgress:
    lost = FINAL | {Phase.TERMINATING}
    running = region.running + (event.phase is Phase.RUNNING) - (before is Phase.RUNNING)
    fallen = region.lost + (event.phase in lost) - (before in lost)
    now = replace(region, running=running, lost=fallen)
    return replace(now, done=now.settled, status_text=_status_text(now))


def _status_text(region: RegionProgress) -> str:
    """Where a region's instances stand; "done" only when none is missing."""
    if not region.settled:
        return "starting instances"
    return f"done, {region.missing} missing" if region.missing else "done"


def _step(region: RegionProgress, event: Event) -> RegionProgress:
    match event:
        case events.RegionStarted(requested=asked):
            return replace(region, requested=region.requested + asked, status_text="preparing", done=False)
        case events.ResourceCreated(kind=kind):
            return replace(region, status_text=f"created {kind}")
        case events.Retrying(code=code, attempt=attempt):
            return replace(region, status_text=f"trying again ({code}, {attempt})")
        case events.FleetResponded(launched=launched, refusals=refusals):
            return _fleet_responded(region, launched, most_severe(code for _, _, code in refusals))
        case events.RegionFailed(code=code):
            return replace(region, failed=code, status_text="failed", done=True)
        case events.NodeDraining(id=node):
            return replace(region, status_text=f"draining {node}", done=False)
        case events.Waiting(message=what, remaining=left):
            return replace(region, status_text=f"{what}: {left} left" if left else what)
    return _test_step(_deletion_step(region, event), event)


def _test_step(region: RegionProgress, event: Event) -> RegionProgress:
    match event:
        case events.SmokeTestStarted(nodes=count):
            return replace(region, to_test=count, status_text="testing")
        case events.NodeTested(node=node, outcome=outcome):
            tested = region.tested + 1
            done = tested >= region.to_test
            failed = region.failed if outcome is Outcome.RAN else node
            return replace(
                region, tested=tested, done=done, failed=failed, status_text="done" if done else "testing"
            )
    return region


def _deletion_step(region: RegionProgress, event: Event) -> RegionProgress:
    match event:
        case events.ResourceFound():
            return replace(region, found=region.found + 1, status_text="deleting")
        case events.Deleted():
            done = region.deleted + 1 >= region.found
            status_text = "deleted" if done else "deleting"
            return replace(region, deleted=region.deleted + 1, done=done, status_text=status_text)
    return region


def _fleet_responded(region: RegionProgress, launched: int, code: str | None) -> RegionProgress:
    if launched:
        return replace(
            region, launched=region.launched + launched, status_text="starting instances", done=False
        )
    refused = f"refused: {code}" if code else "nothing granted"
    return replace(region, status_text=refused, done=region.settled)


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
