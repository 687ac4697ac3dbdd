"""The steps to a working managed orchestrator: the difference between its parts and those that it needs, in their order.

Each step needs the ones before it: the certificate names the address, the volume's zone fixes the instance's zone. Data is
never moved or deleted: a new instance gets the existing volume, address and credentials.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.model import OrchestratorMode, State
from bacalhau_spot.core.orchestrator.published_configuration import needs_publishing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from bacalhau_spot.core.model import OrchestratorSpec
    from bacalhau_spot.core.orchestrator.managed_state import InboundGroup, OrchestratorState

# Ports of the orchestrator's machine: NATS for nodes; HTTP API and SSH for the operator.
_NODES_PORT: Final = 4222
_OPERATOR_PORTS: Final = (1234, 22)
_EVERYWHERE: Final = "0.0.0.0/0"


class OrchestratorStep(StrEnum):
    """One part that is created or changed, in the order of the steps."""

    BUCKET = "bucket"
    ADDRESS = "address"
    CREDENTIALS = "credentials"
    RENEWAL = "certificate renewal"
    NETWORK = "security group"
    RULES = "inbound rules"
    ROLE = "role"
    RECONCILE = "configuration of reconcile"
    VOLUME = "data volume"
    INSTANCE = "instance"
    START = "start of the instance"
    ATTACH = "volume attachment"
    ASSOCIATE = "address association"
    RESTART = "restart of the instance"  # at every start it reads its certificate and mounts its volume


@dataclass(frozen=True, slots=True)
class OrchestratorPlan:
    """The steps in `region`. `zone`: of the volume and the instance; empty if none offers the instance type.

    `replaces`: a new instance takes over the volume of an earlier one.
    """

    region: str
    steps: tuple[OrchestratorStep, ...] = ()
    zone: str = ""
    instance_type: str = ""
    volume_gib: int = 0
    replaces: bool = False

    @property
    def empty(self) -> bool:
        return not self.steps

    @property
    def launches(self) -> bool:
        """Whether an instance is launched."""
        return OrchestratorStep.INSTANCE in self.steps


def inbound_rules(ssh_ranges: Sequence[str]) -> dict[int, tuple[str, ...]]:
    """The address ranges admitted to each port. Nodes have public addresses that change: token and TLS protect their port."""
    operator = {port: tuple(ssh_ranges) for port in _OPERATOR_PORTS if ssh_ranges}
    return {_NODES_PORT: (_EVERYWHERE,), **operator}


def admits_nodes(group: InboundGroup) -> bool:
    """Whether nodes of other clusters reach the orchestrator, whatever their address."""
    return _EVERYWHERE in group.admitted.get(_NODES_PORT, frozenset())


def orchestrator_plan(
    state: OrchestratorState,
    spec: OrchestratorSpec,
    *,
    ssh_ranges: Sequence[str],
    preferred_zones: Collection[str] = (),
) -> OrchestratorPlan | None:
    """None unless the orchestrator is managed. `preferred_zones`: those of the nodes, which share the network."""
    if spec.mode is not OrchestratorMode.MANAGED:
        return None
    return OrchestratorPlan(
        region=state.region,
        steps=tuple(_steps(state, spec, rules=inbound_rules(ssh_ranges))),
        zone=_zone(state, preferred_zones),
        instance_type=state.instance.type if state.instance else spec.instance_type,
        volume_gib=state.volume.size_gib if state.volume else spec.volume_gib,
        replaces=state.instance is None and state.volume is not None,
    )


def _steps(
    state: OrchestratorState, spec: OrchestratorSpec, *, rules: Mapping[int, Sequence[str]]
) -> Iterator[OrchestratorStep]:
    """A new instance checks bucket, network and role again: an interrupted create may have left them incomplete."""
    missing = state.instance is None
    if missing:
        yield OrchestratorStep.BUCKET
    if state.address is None:
        yield OrchestratorStep.ADDRESS
    if state.credentials is None:
        yield OrchestratorStep.CREDENTIALS
    elif _renews(state):
        yield OrchestratorStep.RENEWAL
    if missing or state.group is None:
        yield OrchestratorStep.NETWORK
    elif state.group.missing(rules):
        yield OrchestratorStep.RULES
    yield from _permission_steps(state, spec, missing=missing)
    if state.volume is None:
        yield OrchestratorStep.VOLUME
    yield from _instance_steps(state)


def _permission_steps(
    state: OrchestratorState, spec: OrchestratorSpec, *, missing: bool
) -> Iterator[OrchestratorStep]:
    if missing:
        yield OrchestratorStep.ROLE
    if needs_publishing(state.published, spec.reconcile):
        yield OrchestratorStep.RECONCILE


def _renews(state: OrchestratorState) -> bool:
    """Whether the server certificate is for another address, or expires soon."""
    if state.credentials is None:
        return False
    moved = state.address is None or state.credentials.host != state.address.address
    return moved or state.renewal_due


def _instance_steps(state: OrchestratorState) -> Iterator[OrchestratorStep]:
    if state.instance is None:
        yield OrchestratorStep.INSTANCE
    elif state.instance.state in {State.STOPPING, State.STOPPED}:
        yield OrchestratorStep.START
    if not state.attached:
        yield OrchestratorStep.ATTACH
    if not state.associated:
        yield OrchestratorStep.ASSOCIATE
    if state.instance is not None and state.instance.alive and _needs_restart(state):
        yield OrchestratorStep.RESTART


def _needs_restart(state: OrchestratorState) -> bool:
    """A machine waits for its volume in its first boot, and later mounts one only when it starts."""
    changed = state.credentials is None or state.volume is None or _renews(state)
    return changed or not (state.attached or state.first_boot)


def _zone(state: OrchestratorState, preferred: Collection[str]) -> str:
    """The volume's or the instance's zone, which cannot change; else the first that offers the type and has a subnet."""
    if state.volume is not None:
        return state.volume.zone
    if state.instance is not None:
        return state.instance.zone
    offered = state.site.zones if state.site else ()
    if state.site and state.site.vpc_id is not None:
        offered = tuple(zone for zone in offered if zone in state.site.subnets)
    return min(offered, key=lambda zone: (zone not in preferred, zone), default="")
