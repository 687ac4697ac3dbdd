"""Waits for a launched orchestrator: its ports as seen from here, and the first boot on its console."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.health.boot_console import console_lines
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.model import State
from bacalhau_spot.core.orchestrator.nats_check import NatsStatus
from bacalhau_spot.core.sanitize import without_sequences
from bacalhau_spot.errors import UserError
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bacalhau_spot.core.health.boot_console import ConsoleLine
    from bacalhau_spot.core.model import BacalhauSpec, ClusterSpec, Instance
    from bacalhau_spot.core.orchestrator.nats_check import NatsCheck
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.orchestrator.port import Orchestrator

_POLL_S: Final = 5.0
# Of the console. EC2 limits the rate of its calls.
_LOOK_S: Final = 15.0
# Both ports open within a second of each other; the rest of the time is for a changed rule.
_API_S: Final = 60.0
_FAILED: Final = "failed"
# Between two looks at the instance, which rarely ends.
_CHECK_S: Final = 30.0
_ENDED: Final = frozenset({State.SHUTTING_DOWN, State.TERMINATED, State.STOPPING, State.STOPPED})


@dataclass(frozen=True, slots=True)
class OrchestratorAccess:
    """Connections to the orchestrator from this machine. `nats`: to the nodes' port, with their token; `api`: its HTTP API."""

    nats: Callable[[str, BacalhauSpec], Awaitable[NatsCheck]]
    api: Callable[[BacalhauSpec], Orchestrator | None]


async def wait_until_ready(
    calls: AwsCalls, spec: ClusterSpec, access: OrchestratorAccess, *, region: str, instance_id: str
) -> None:
    """Until the nodes' port accepts the token, and the API answers if it can be connected to from here.

    Raises UserError after `timeouts.join_s`, after a failure of the first boot, if the instance ends, and if only the API does
    not answer; CloudError, Cancelled.
    """
    start_s = calls.clock.monotonic_s()
    boot = _FirstBoot(calls, region, instance_id)
    accepted_s: float | None = None
    calls.emit(events.OrchestratorChanged(region=region, message="starting"))
    while True:
        check = await access.nats(spec.bacalhau.orchestrators[0], spec.bacalhau)
        now_s = calls.clock.monotonic_s()
        if check.status is NatsStatus.ACCEPTED:
            accepted_s = now_s if accepted_s is None else accepted_s
            problem = await _api_problem(spec, access)
            if problem is None:
                break
            if now_s - accepted_s >= _API_S:
                raise _shut(problem, region=region, instance_id=instance_id)
        else:
            problem = check.message
            if failure := await boot.failure():
                raise _failed(failure, problem, region=region, instance_id=instance_id)
            await boot.check_alive()
        if now_s - start_s >= spec.timeouts.join_s:
            raise _no_answer(spec, (problem, *boot.latest()), region=region, instance_id=instance_id)
        await calls.pause(_POLL_S)
    calls.emit(events.OrchestratorChanged(region=region, message="accepts nodes", ready=True))


async def _api_problem(spec: ClusterSpec, access: OrchestratorAccess) -> str | None:
    """Why the API does not answer; None if it does, or cannot be asked."""
    api = access.api(spec.bacalhau)
    if api is None:
        return None
    try:
        await api.nodes()
    except OrchestratorError as error:
        return f"{error.address}: {error.code}: {error.message}"
    return None


@dataclass(slots=True)
class _FirstBoot:
    """The phases on the instance's console. Each new one is an event. A console that cannot be read has none."""

    calls: AwsCalls
    region: str
    instance_id: str
    _lines: tuple[ConsoleLine, ...] = ()
    _failures: int | None = None  # those on the console before this command
    _looked_s: float | None = field(default=None)
    _checked_s: float | None = None  # the time of the last look at its state

    async def failure(self) -> str:
        """The reason of a failure since the first look; empty without one. The machine repeats a boot that failed."""
        now_s = self.calls.clock.monotonic_s()
        if self._looked_s is not None and now_s - self._looked_s < _LOOK_S:
            return ""
        self._looked_s = now_s
        try:
            text = await self.calls.read(
                self.region, partial(self.calls.cloud.console, self.region, self.instance_id)
            )
        except CloudError:  # it informs, but decides nothing
            return ""
        lines = console_lines(without_sequences(text))
        failures = [line for line in lines if line.phase == _FAILED]
        if lines and lines[-1:] != self._lines[-1:]:
            self._announce(lines[-1])
        self._lines = lines
        if self._failures is None:
            self._failures = len(failures)
        return failures[-1].text if len(failures) > self._failures else ""

    async def check_alive(self) -> None:
        """Raises UserError if the instance has ended or was stopped. The first look waits until AWS lists a start."""
        now_s = self.calls.clock.monotonic_s()
        if self._checked_s is None:
            self._checked_s = now_s
        if now_s - self._checked_s < _CHECK_S:
            return
        self._checked_s = now_s
        look = partial(self.calls.cloud.instances_by_id, self.region, [self.instance_id])
        for instance in await self.calls.read(self.region, look):
            if instance.state in _ENDED:
                raise _over(instance)

    def latest(self) -> tuple[str, ...]:
        """The last line, for an error's details; none without lines."""
        return tuple(f"last line on its console: {_text(line)}" for line in self._lines[-1:])

    def _announce(self, line: ConsoleLine) -> None:
        self.calls.emit(events.OrchestratorChanged(region=self.region, message=_text(line)))


def _text(line: ConsoleLine) -> str:
    return f"{line.phase}: {line.text}" if line.text else line.phase


def _failed(failure: str, problem: str, *, region: str, instance_id: str) -> UserError:
    return UserError(
        f"the first boot of the orchestrator's instance {instance_id} in {region} failed; no node was launched",
        why=failure,
        details=(problem,),
        hint="the machine tries again by itself: after the cause is removed, `bacalhau-spot create` continues with it; "
        f"`bacalhau-spot console {instance_id}` shows its boot, `bacalhau-spot destroy` removes everything",
        docs="docs/orchestrator.md",
    )


def _over(instance: Instance) -> UserError:
    return UserError(
        f"the orchestrator's instance {instance.id} in {instance.region} is {instance.state} and cannot answer; "
        "no node was launched",
        why=instance.termination_reason or "",
        hint="run `bacalhau-spot create` again: it repairs the orchestrator, and keeps its data",
        docs="docs/orchestrator.md",
    )


def _shut(problem: str, *, region: str, instance_id: str) -> UserError:
    return UserError(
        f"the orchestrator's instance {instance_id} in {region} accepts nodes, but its API does not answer this machine; "
        "no node was launched",
        why=problem,
        hint="`ssh_cidrs` must contain the address that AWS sees of this machine; `bacalhau-spot create` continues, and "
        "`bacalhau-spot create --wait running` does not connect to the API",
        docs="docs/orchestrator.md",
    )


def _no_answer(spec: ClusterSpec, problems: tuple[str, ...], *, region: str, instance_id: str) -> UserError:
    return UserError(
        f"the orchestrator's instance {instance_id} in {region} runs, but does not accept nodes after "
        f"{spec.timeouts.join_s} seconds; no node was launched",
        details=problems,
        hint=f"`bacalhau-spot console {instance_id}` shows its first boot; `bacalhau-spot create` continues, "
        "`bacalhau-spot create --wait none` continues without a connection from this machine, "
        "`bacalhau-spot destroy` removes everything",
        docs="docs/orchestrator.md",
    )
