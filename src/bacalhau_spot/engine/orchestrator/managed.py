"""Makes a managed orchestrator work before any node is launched: its missing parts are created, then it must answer."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.launch import events
from bacalhau_spot.core.orchestrator.managed_state import OrchestratorState
from bacalhau_spot.engine.aws_calls.caller import Cancelled
from bacalhau_spot.engine.orchestrator.resolve import with_orchestrator
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bacalhau_spot.core.launch.create_result import CreateResult
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.model import BacalhauSpec, ClusterSpec, Network
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.orchestrator.readiness import OrchestratorAccess
    from bacalhau_spot.orchestrator.port import Orchestrator

_POLL_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class ReadyOrchestrator:
    """`spec`: with the settings for joining. `networks`: by region, the network that the orchestrator shares with nodes.

    `api_reachable`: false if the orchestrator's security group admits nobody to its API.
    """

    spec: ClusterSpec
    networks: Mapping[str, Network] = field(default_factory=dict)
    api_reachable: bool = True


async def ensure_orchestrator(
    calls: AwsCalls, facts: LaunchFacts, plan: Plan, access: OrchestratorAccess, *, wait: bool = True
) -> ReadyOrchestrator:
    """Take the steps of the plan, and wait until nodes could join. Other clusters only get the specification.

    Raises CloudError, Cancelled, and UserError if the orchestrator cannot be made, fails, or does not answer in time.
    """
    if plan.orchestrator is None or not isinstance(facts.orchestrator, OrchestratorState):
        return ReadyOrchestrator(facts.spec)
    # A cluster without one does not wait for these imports.
    from bacalhau_spot.engine.orchestrator.managed_builder import OrchestratorBuilder  # noqa: PLC0415
    from bacalhau_spot.engine.orchestrator.readiness import wait_until_ready  # noqa: PLC0415

    builder = OrchestratorBuilder(calls, facts, facts.orchestrator)
    if not plan.orchestrator.empty:
        await builder.complete()
    spec = with_orchestrator(facts.spec, builder.credentials)
    networks = {builder.region: builder.network} if builder.network is not None else {}
    # Without inbound rules (`ssh_cidrs: none`, or an unknown own address) nobody is admitted to the API.
    api_reachable = bool(facts.ssh_ranges)
    if wait:
        instance = builder.state.instance
        await wait_until_ready(
            calls,
            spec,
            access if api_reachable else replace(access, api=_unreachable),
            region=builder.region,
            instance_id=instance.id if instance else "",
        )
    return ReadyOrchestrator(spec, networks, api_reachable=api_reachable)


def _unreachable(_bacalhau: BacalhauSpec) -> Orchestrator | None:
    """Only the nodes' port can be checked."""
    return None


async def wait_until_joined(
    calls: AwsCalls, orchestrator: Orchestrator, result: CreateResult, *, timeout_s: float
) -> CreateResult:
    """The result, with the running nodes that the orchestrator does not list as connected within `timeout_s`.

    Instances that EC2 does not run are not waited for. After a stop it returns the latest state.
    """
    launched_at = _launch_times(result)
    if not launched_at:
        return result
    deadline_s = calls.clock.monotonic_s() + timeout_s
    connected: Mapping[str, datetime | None] = {}
    joined_at: dict[str, datetime] = {}
    while True:
        connected = await _connected(orchestrator, before=connected)
        joined_at = _joins(connected, launched_at, now=calls.clock.now()) | joined_at
        missing = [instance_id for instance_id in launched_at if instance_id not in connected]
        joined = len(launched_at) - len(missing)
        calls.emit(events.NodesJoined(joined=joined, launched=len(launched_at)))
        if not missing or calls.stop.is_set or calls.clock.monotonic_s() >= deadline_s:
            break
        with suppress(Cancelled):
            await calls.pause(_POLL_S)
    return replace(
        result,
        joined=joined,
        not_joined=tuple(missing),
        joined_at=joined_at,
        interrupted=result.interrupted or calls.stop.by_user,
    )


def _launch_times(result: CreateResult) -> dict[str, datetime]:
    """Of the running nodes, by instance."""
    return {instance.id: instance.launched_at for region in result.regions for instance in region.running}


def _joins(
    connected: Mapping[str, datetime | None], launched_at: Mapping[str, datetime], *, now: datetime
) -> dict[str, datetime]:
    """By instance. The clocks of AWS and the orchestrator differ: a join is never before the launch."""
    return {
        instance_id: max(connected[instance_id] or now, launch)
        for instance_id, launch in launched_at.items()
        if instance_id in connected
    }


async def _connected(
    orchestrator: Orchestrator, *, before: Mapping[str, datetime | None]
) -> Mapping[str, datetime | None]:
    """The connected instances, each with the time of its connection.

    A failed request changes nothing: the next one may be answered.
    """
    try:
        nodes = await orchestrator.nodes()
    except OrchestratorError:
        return before
    return {node.instance_id: node.since for node in nodes if node.connected}
