"""Makes a managed orchestrator work before any node is launched: its missing parts are created, then it must answer."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.launch import events
from bacalhau_spot.core.orchestrator.managed_state import OrchestratorState
from bacalhau_spot.engine.aws_calls.caller import Cancelled
from bacalhau_spot.engine.orchestrator.managed_builder import OrchestratorBuilder
from bacalhau_spot.engine.orchestrator.readiness import wait_until_ready
from bacalhau_spot.engine.orchestrator.resolve import with_orchestrator
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
