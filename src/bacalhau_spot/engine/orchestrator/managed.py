"""Makes a managed orchestrator work before any node is launched: its missing parts are created, then it must answer."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.health.boot_console import console_lines
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.orchestrator.managed_state import OrchestratorState
from bacalhau_spot.core.orchestrator.nats_check import NatsStatus
from bacalhau_spot.engine.aws_calls.caller import Cancelled
from bacalhau_spot.engine.orchestrator.managed_builder import OrchestratorBuilder
from bacalhau_spot.engine.orchestrator.resolve import with_orchestrator
from bacalhau_spot.errors import UserError
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bacalhau_spot.core.launch.create_result import CreateResult
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.model import BacalhauSpec, ClusterSpec, Network
    from bacalhau_spot.core.orchestrator.nats_check import NatsCheck
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.orchestrator.port import Orchestrator

_POLL_S: Final = 5.0
# EC2 is asked less often: it ends an orchestrator's instance rarely.
_LOOK_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class OrchestratorAccess:
    """Connections to the orchestrator from this machine. `nats`: to the nodes' port, with their token; `api`: its HTTP API."""

    nats: Callable[[str, BacalhauSpec], Awaitable[NatsCheck]]
    api: Callable[[BacalhauSpec], Orchestrator | None]


@dataclass(frozen=True, slots=True)
class ReadyOrchestrator:
    """`spec`: with the settings for joining. `networks`: by region, the network that the orchestrator shares with nodes."""

    spec: ClusterSpec
    networks: Mapping[str, Network] = field(default_factory=dict)


async def ensure_orchestrator(
    calls: AwsCalls, facts: LaunchFacts, plan: Plan, access: OrchestratorAccess, *, wait: bool = True
) -> ReadyOrchestrator:
    """Take the steps of the plan, and wait until nodes could join. Other clusters only get the specification.

    Raises CloudError, Cancelled, and UserError if the orchestrator does not answer within `timeouts.join_s`.
    """
    if plan.orchestrator is None or not isinstance(facts.orchestrator, OrchestratorState):
        return ReadyOrchestrator(facts.spec)
    builder = OrchestratorBuilder(calls, facts, facts.orchestrator)
    if not plan.orchestrator.empty:
        await builder.complete()
    spec = with_orchestrator(facts.spec, builder.credentials)
    networks = {builder.region: builder.network} if builder.network is not None else {}
    if wait:
        instance = builder.state.instance
        await wait_until_ready(
            calls,
            spec,
            access if facts.ssh_ranges else replace(access, api=_unreachable),
            region=builder.region,
            instance_id=instance.id if instance else "",
        )
    return ReadyOrchestrator(spec, networks)


def _unreachable(_bacalhau: BacalhauSpec) -> Orchestrator | None:
    """Without inbound rules (`ssh_cidrs: none`, or an unknown own address) only the nodes' port can be checked."""
    return None


async def wait_until_ready(
    calls: AwsCalls, spec: ClusterSpec, access: OrchestratorAccess, *, region: str, instance_id: str
) -> None:
    """Until the nodes' port accepts the token, and the API answers.

    Raises CloudError, Cancelled, and UserError after `timeouts.join_s`, or if the instance does not run any more.
    """
    begun_s = calls.clock.monotonic_s()
    next_look_s = begun_s + _LOOK_S
    calls.emit(events.OrchestratorChanged(region=region, message="starting"))
    while (problem := await _problem(spec, access)) is not None:
        now_s = calls.clock.monotonic_s()
        if now_s - begun_s >= spec.timeouts.join_s:
            console = await _last_phase(calls, region, instance_id)
            raise _no_answer(spec, (problem, console), region=region, instance_id=instance_id)
        if now_s >= next_look_s:
            next_look_s = now_s + _LOOK_S
            await _check_alive(calls, region, instance_id)
        await calls.pause(_POLL_S)
    calls.emit(events.OrchestratorChanged(region=region, message="accepts nodes", ready=True))


async def _check_alive(calls: AwsCalls, region: str, instance_id: str) -> None:
    listed = await calls.read(region, partial(calls.cloud.instances_by_id, region, [instance_id]))
    instance = next(iter(listed), None)
    if instance is None or instance.alive:
        return
    raise UserError(
        f"the orchestrator's instance {instance_id} in {region} is {instance.state} and cannot answer; no node was launched",
        why=instance.termination_reason or "",
        hint="run `bacalhau-spot create` again: it repairs the orchestrator, and keeps its data",
        docs="docs/orchestrator.md",
    )


async def _last_phase(calls: AwsCalls, region: str, instance_id: str) -> str:
    """The last line of the machine's boot on its console, for people."""
    try:
        lines = console_lines(await calls.read(region, partial(calls.cloud.console, region, instance_id)))
    except CloudError as error:
        return f"its console could not be read: {error.operation}: {error.code}"
    if not lines:
        return "nothing from bacalhau-spot on its console yet"
    last = lines[-1]
    return f"its console at {last.at:%H:%M:%S} UTC: {last.phase}{f': {last.text}' if last.text else ''}"


async def _problem(spec: ClusterSpec, access: OrchestratorAccess) -> str | None:
    """Why the orchestrator is not ready; None if it is."""
    check = await access.nats(spec.bacalhau.orchestrators[0], spec.bacalhau)
    if check.status is not NatsStatus.ACCEPTED:
        return check.message
    api = access.api(spec.bacalhau)
    if api is None:
        return None
    try:
        await api.nodes()
    except OrchestratorError as error:
        return f"{error.address}: {error.code}: {error.message}"
    return None


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


async def wait_until_joined(
    calls: AwsCalls, orchestrator: Orchestrator, result: CreateResult, *, timeout_s: float
) -> CreateResult:
    """The result, with the running nodes that the orchestrator does not list as connected within `timeout_s`.

    Instances that EC2 does not run are not waited for. After a stop it returns the latest state.
    """
    waiting = tuple(instance.id for region in result.regions for instance in region.running)
    if not waiting:
        return result
    deadline_s = calls.clock.monotonic_s() + timeout_s
    missing: Sequence[str] = waiting
    while missing:
        missing = await _not_joined(orchestrator, waiting, before=missing)
        calls.emit(events.NodesJoined(joined=len(waiting) - len(missing), launched=len(waiting)))
        if not missing or calls.stop.is_set or calls.clock.monotonic_s() >= deadline_s:
            break
        with suppress(Cancelled):
            await calls.pause(_POLL_S)
    return replace(
        result,
        joined=len(waiting) - len(missing),
        not_joined=tuple(missing),
        interrupted=result.interrupted or calls.stop.by_user,
    )


async def _not_joined(
    orchestrator: Orchestrator, waiting: Sequence[str], *, before: Sequence[str]
) -> Sequence[str]:
    """A failed request changes nothing: the next one may be answered."""
    try:
        nodes = await orchestrator.nodes()
    except OrchestratorError:
        return before
    connected = {node.instance_id for node in nodes if node.connected}
    return [instance_id for instance_id in waiting if instance_id not in connected]
