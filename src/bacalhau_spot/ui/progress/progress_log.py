"""Events as log lines, one for each transition, with its time. For pipes and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bacalhau_spot.core.launch import events
from bacalhau_spot.core.launch.progress import Progress, Stage, apply_event
from bacalhau_spot.ui.formatting import kind_label, plural
from bacalhau_spot.ui.views.blocks import Paragraph

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from bacalhau_spot.core.launch.events import Event

# A longer silence looks like a hang, and some build servers stop such a job.
HEARTBEAT_S = 30.0


class Time(Protocol):
    """The part of the engine's clock that a screen needs."""

    def now(self) -> datetime: ...
    def monotonic_s(self) -> float: ...


class PlainScreen:
    """Writes a line for each event with new information."""

    def __init__(self, console: Console, *, clock: Time) -> None:
        self._console = console
        self._clock = clock
        self._progress = Progress()
        self._said_s = clock.monotonic_s()

    def emit(self, event: Event) -> None:
        before, self._progress = self._progress, apply_event(self._progress, event)
        line = event_text(event)
        if isinstance(event, events.NodesJoined) and (
            before.stage is not Stage.JOIN or before.joined != self._progress.joined
        ):
            line = f"{event.joined} of {plural(event.launched, 'node')} joined the orchestrator"
        if line is not None:
            self._say(line)
        else:
            self.tick()

    def tick(self) -> None:
        """Ends a long silence. Callers that wait without events call it at intervals."""
        if self._clock.monotonic_s() - self._said_s >= HEARTBEAT_S:
            self._say(_heartbeat(self._progress))

    def close(self) -> None:
        """Nothing to give back."""

    def _say(self, line: str) -> None:
        self._said_s = self._clock.monotonic_s()
        self._console.print(Paragraph(f"{self._clock.now():%H:%M:%S} {line}", whole=True), crop=False)


def _heartbeat(progress: Progress) -> str:
    if progress.orchestrator and not progress.orchestrator_ready:
        return f"in progress: orchestrator {progress.orchestrator}"
    return f"in progress: {progress.text}"


# Codes for which the reason of the wait is clearer than AWS's message.
_WAITS = {
    "InvalidLaunchTemplateName.AlreadyExistsException": "another create of this cluster is running; waiting for its instances",
    "InvalidInstanceID.NotFound": "AWS does not list every instance yet; checking again",
}


def event_text(event: Event) -> str | None:
    """The line for an event; None when it is not worth one."""
    match event:
        case events.RegionStarted(region=region, requested=asked):
            return f"{region}: launching {asked}"
        case events.ResourceCreated(region=region, kind=kind, id=made):
            return f"{region}: created {kind_label(kind)} {made}"
        case events.Retrying(region=region, code=code, attempt=attempt) if code in _WAITS:
            return f"{region}: {_WAITS[code]}" if attempt == 1 else None
        case events.Retrying(region=region, operation=operation, code=code, wait_s=wait_s):
            return f"{region}: {operation} failed with {code}; retrying in {wait_s:.1f} s"
        case events.RegionFailed(region=region, operation=operation, code=code):
            return (
                f"{region}: stopped at {operation} ({code})" if operation else f"{region}: stopped ({code})"
            )
        case events.Deleted(region=region, kind=kind, id=gone):
            return f"{region}: deleted: {kind_label(kind)} {gone}"
        case events.Cancelling():
            return "stopping: waiting for calls in flight, starting no new ones; press Ctrl-C again to leave at once"
    return _launch_words(event)


def _details(event: events.InstanceSeen) -> str:
    """` at 192.0.2.1`, ` (Server.SpotInstanceTermination)`"""
    where = f" at {event.address}" if event.address and event.phase == "running" else ""
    return where + (f" ({event.reason})" if event.reason else "")


def _launch_words(event: Event) -> str | None:
    match event:
        case events.OrchestratorChanged(region=region, message=message):
            return f"{region}: orchestrator: {message}"
        case events.FleetResponded(region=region, requested=asked, launched=launched, refusals=refusals):
            codes = sorted({code for _, _, code in refusals}) if launched < asked else []
            why = f" ({', '.join(codes)})" if codes else ""
            return f"{region}: AWS granted {launched} of {asked}{why}"
        case events.InstanceSeen(region=region, id=instance, type=type_name, zone=zone, phase=phase):
            return f"{region}: {instance} {phase}: {type_name} in {zone}{_details(event)}"
        case events.NodesReassigned(region=region, count=count, to=to, code=code):
            others = ", ".join(f"{number} to {name}" for name, number in to)
            return f"{region}: {count} moved on ({code}): {others}"
    return _test_words(event)


def _test_words(event: Event) -> str | None:
    match event:
        case events.SmokeTestStarted(region=region, nodes=count):
            return f"{region or 'no region'}: testing {plural(count, 'node')}"
        case events.NodeTested(region=region, node=node, outcome=outcome, detail=detail, seconds=seconds):
            time = f" in {seconds:.1f} s" if seconds is not None else ""
            return f"{region or 'no region'}: {node} {outcome}{time}{f': {detail}' if detail else ''}"
        case events.ImageReady(region=region, id=image):
            return f"{region}: image {image} can be used"
        case events.NodeDraining(region=region, id=node, until=until):
            return f"{region}: {node} draining: running jobs may end until {until}"
    return None
