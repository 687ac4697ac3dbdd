"""Drains nodes and terminates their instances.

The message to a node is a tag of its instance (core.lifecycle.drain_result). The node shuts its machine down; one that does
not is terminated after the grace and a margin. The orchestrator's API, if known, shows earlier that a node has left.

A node leaves its Auto Scaling group before it gets the message: the group would replace a node that shuts down.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.inventory import instances_by_region
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.lifecycle.drain_result import (
    MARGIN_S,
    DrainedNode,
    DrainEnd,
    DrainResult,
    can_drain,
    drain_until,
    needs_tag,
)
from bacalhau_spot.core.model import State
from bacalhau_spot.core.tags import DRAIN_KEY, tag_time
from bacalhau_spot.engine.aws_calls.caller import Cancelled, api_failure
from bacalhau_spot.engine.aws_calls.tagging import write_tags
from bacalhau_spot.engine.scaling_group.membership import release
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import Instance, Naming
    from bacalhau_spot.core.orchestrator.orchestrator_nodes import OrchestratorNode
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.orchestrator.port import Orchestrator

_POLL_S: Final = 5.0
_TERMINATE_S: Final = 600
_ABSENCES: Final = 3
_UNKNOWN_ID: Final = "InvalidInstanceID.NotFound"
# Bacalhau's words for a node that has left in order.
_GRACEFUL: Final = "graceful shutdown"


async def drain(
    calls: AwsCalls,
    naming: Naming,
    instances: Sequence[Instance],
    *,
    grace_s: float,
    api: Orchestrator | None,
    terminate_s: float = _TERMINATE_S,
    wait: bool = True,
) -> DrainResult:
    """Drain the nodes, and wait until EC2 has terminated their instances. Never raises for a refusal by AWS.

    `grace_s`: for running jobs. `api`: the orchestrator's, if known. `terminate_s`: for a termination. After Ctrl-C, and without
    `wait`, it returns the latest state: draining nodes go on by themselves, and a second call continues.
    """
    departures = _Departures(api)
    drains = [
        _RegionDrain(
            calls,
            naming,
            region,
            tuple(here),
            grace_s=grace_s,
            terminate_s=terminate_s,
            departures=departures,
            wait=wait,
        )
        for region, here in instances_by_region(instances).items()
    ]
    await asyncio.gather(*(part.run() for part in drains))
    return DrainResult(
        nodes=tuple(node for part in drains for node in part.nodes()),
        failures=tuple(part.failure for part in drains if part.failure is not None),
        interrupted=calls.stop.by_user,
    )


@dataclass
class _Departures:
    """The instances whose nodes have left or never joined, by the orchestrator's list. One request serves all regions."""

    api: Orchestrator | None
    _nodes: tuple[OrchestratorNode, ...] | None = None
    _asked_s: float | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def refresh(self, now_s: float) -> None:
        """A failed request changes nothing: EC2's states decide alone."""
        async with self._lock:
            if self.api is None or (self._asked_s is not None and now_s - self._asked_s < _POLL_S):
                return
            self._asked_s = now_s
            with suppress(OrchestratorError):
                self._nodes = await self.api.nodes()

    def has_left(self, instance_id: str) -> bool:
        """In order. A node whose heartbeat is missing may still run its jobs."""
        return any(
            node.instance_id == instance_id and not node.connected and node.last_error == _GRACEFUL
            for node in self._nodes or ()
        )

    def never_joined(self, instance_id: str) -> bool:
        """The orchestrator lists a node until it is removed, and again at its next heartbeat."""
        return self._nodes is not None and all(node.instance_id != instance_id for node in self._nodes)


@dataclass
class _Course:
    """The drain of one node. `until`: the end of its grace; None for a node that cannot drain."""

    instance: Instance
    until: datetime | None
    end: DrainEnd = DrainEnd.DRAINING
    seconds: float = 0.0
    tagged: bool = False
    terminating: bool = False  # AWS has accepted the termination
    absences: int = 0  # from AWS's list, in a row

    def see(self, instance: Instance | None) -> None:
        """As AWS lists it now; None if it does not."""
        self.absences = self.absences + 1 if instance is None else 0
        if instance is not None:
            self.instance = instance
        elif self.absences >= _ABSENCES:
            self.instance = replace(self.instance, state=State.TERMINATED)

    @property
    def over(self) -> bool:
        return self.instance.state is State.TERMINATED

    @property
    def ending(self) -> bool:
        """Whether only EC2's termination is left."""
        return self.terminating or not self.instance.alive


@dataclass
class _RegionDrain:
    """The nodes of one region."""

    calls: AwsCalls
    naming: Naming
    region: str
    instances: tuple[Instance, ...]
    grace_s: float
    terminate_s: float
    departures: _Departures
    wait: bool = True
    failure: ApiFailure | None = None
    _courses: dict[str, _Course] = field(default_factory=dict)
    _began: datetime | None = None

    async def run(self) -> None:
        """The boundary of a region: a failure in one does not stop the others."""
        self._began = self.calls.clock.now()
        until = self._began + timedelta(seconds=self.grace_s)
        for instance in self.instances:
            self._courses[instance.id] = _course(instance, until)
        try:
            await release(self.calls, self.naming, [course.instance for course in self._alive()])
            await self._tag(until)
            await self._follow()
        except CloudError as error:
            self._failed(api_failure(error))
        except Cancelled:
            pass
        except Exception as error:  # noqa: BLE001 - the boundary of a region: our own mistake here must not lose the others' results
            self._failed(self.calls.internal_error(error, region=self.region))

    def nodes(self) -> tuple[DrainedNode, ...]:
        return tuple(
            DrainedNode(course.instance, end, self._seconds(course, end))
            for course in self._courses.values()
            for end in (self._end_of(course),)
        )

    def _seconds(self, course: _Course, end: DrainEnd) -> float:
        """Until now for a node that has not left yet."""
        return self._since() if end in {DrainEnd.DRAINING, DrainEnd.ENDING} else course.seconds

    def _since(self) -> float:
        """Seconds since the begin of the drain."""
        return (self.calls.clock.now() - self._began).total_seconds() if self._began else 0.0

    def _end_of(self, course: _Course) -> DrainEnd:
        if self.failure is not None and not course.over:
            return DrainEnd.FAILED
        if not course.over and course.end is not DrainEnd.DRAINING:
            return DrainEnd.ENDING
        if course.end is DrainEnd.DRAINING and not course.tagged:
            return DrainEnd.UNCHANGED
        return course.end

    async def _tag(self, until: datetime) -> None:
        """One call for all nodes that need it. An instance that AWS no longer lists is left out."""
        todo = [
            course.instance
            for course in self._courses.values()
            if course.until is not None and needs_tag(course.instance, until)
        ]
        try:
            await self._write_tag(todo, until)
        except CloudError as error:
            if not error.code.startswith(_UNKNOWN_ID):
                raise
            await self._look()
            await self._write_tag([course.instance for course in self._alive() if course.until], until)
        for course in self._alive():
            if course.until is not None:
                course.tagged = True
                self.calls.emit(events.NodeDraining(self.region, course.instance.id, tag_time(course.until)))

    async def _write_tag(self, instances: Sequence[Instance], until: datetime) -> None:
        ids = [instance.id for instance in instances]
        await write_tags(self.calls, self.region, ids, tags={DRAIN_KEY: tag_time(until)})

    async def _follow(self) -> None:
        """Until all are terminated, or the deadline of the last termination is over."""
        deadline_s: float | None = None
        while True:
            await self._terminate(await self._due())
            waiting = [course for course in self._courses.values() if not course.over]
            if not waiting or not self.wait:
                return
            now_s = self.calls.clock.monotonic_s()
            if all(course.ending for course in waiting):
                deadline_s = now_s + self.terminate_s if deadline_s is None else deadline_s
                if now_s >= deadline_s:
                    return
            self.calls.emit(events.Waiting(self.region, "draining nodes", len(waiting)))
            await self.calls.pause(_POLL_S)
            await self._look()

    async def _due(self) -> list[_Course]:
        """The nodes to terminate now: they cannot drain, have left the orchestrator, or are overdue."""
        await self.departures.refresh(self.calls.clock.monotonic_s())
        due = []
        for course in self._alive():
            end = None if course.terminating else self._end_now(course)
            if end is not None:
                self._set_end(course, end)
                due.append(course)
        return due

    def _end_now(self, course: _Course) -> DrainEnd | None:
        if self.departures.never_joined(course.instance.id):
            return DrainEnd.UNUSED
        if course.until is None:
            return DrainEnd.AT_ONCE
        if self.departures.has_left(course.instance.id):
            return DrainEnd.SHUT_DOWN
        over = self.calls.clock.now() >= course.until + timedelta(seconds=MARGIN_S)
        return DrainEnd.OVERDUE if over else None

    async def _terminate(self, due: Sequence[_Course]) -> None:
        ids = [course.instance.id for course in due]
        if not ids:
            return
        await self.calls.write(self.region, partial(self.calls.cloud.terminate, self.region, ids))
        for course in due:
            course.terminating = True
            self.calls.emit(events.Deleting(self.region, ResourceKind.INSTANCE, course.instance.id))

    async def _look(self) -> None:
        """The instances as AWS lists them now. It omits one an hour after its end, and sometimes another for a moment."""
        ids = [name for name, course in self._courses.items() if not course.over]
        listed = await self.calls.read(
            self.region, partial(self.calls.cloud.instances_by_id, self.region, ids)
        )
        now = {instance.id: instance for instance in listed}
        for name in ids:
            course = self._courses[name]
            course.see(now.get(name))
            if not course.instance.alive and course.end is DrainEnd.DRAINING:
                self._set_end(course, DrainEnd.SHUT_DOWN)
            if course.over:
                self.calls.emit(events.Deleted(self.region, ResourceKind.INSTANCE, name))

    def _alive(self) -> list[_Course]:
        return [course for course in self._courses.values() if course.instance.alive]

    def _set_end(self, course: _Course, end: DrainEnd) -> None:
        course.end = end
        course.seconds = self._since()

    def _failed(self, failure: ApiFailure) -> None:
        self.failure = failure
        self.calls.emit(
            events.RegionFailed(
                region=self.region,
                operation=failure.operation,
                code=failure.code,
                message=failure.message,
            )
        )


def _course(instance: Instance, until: datetime) -> _Course:
    if not instance.alive:
        return _Course(instance, None, DrainEnd.ALREADY_ENDED)
    if not can_drain(instance):
        return _Course(instance, None)
    return _Course(instance, min(until, drain_until(instance) or until))
