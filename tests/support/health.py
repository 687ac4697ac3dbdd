"""Evidence about nodes, as tests need it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from bacalhau_spot.core.health.boot_console import BootProgress, console_lines, parse_boot
from bacalhau_spot.core.health.observation import NodeObservation, SpotStatus
from bacalhau_spot.core.model import ORCHESTRATOR_ROLE, ROLE_KEY, Instance, State
from bacalhau_spot.core.orchestrator.orchestrator_nodes import Capacity, Membership, OrchestratorNode

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def node(
    number: int = 1, *, age: timedelta = 3 * MINUTE, region: str = "us-east-1", **values: Any
) -> Instance:
    """A running instance, `age` old."""
    instance = Instance(
        id=f"i-{number:017x}",
        region=region,
        zone=f"{region}{'abc'[number % 3]}",
        type="t3.medium",
        state=State.RUNNING,
        launched_at=NOW - age,
        public_ip=f"127.0.1.{number}",
        private_ip=f"10.0.0.{number}",
        spot_request_id=f"sir-{number:08}",
    )
    return replace(instance, **values)


def orchestrator_instance(*, age: timedelta = 30 * MINUTE, **values: Any) -> Instance:
    """The instance of a managed orchestrator."""
    instance = Instance(
        id="i-00000000000000abc",
        region="us-east-1",
        zone="us-east-1a",
        type="t3.small",
        state=State.RUNNING,
        launched_at=NOW - age,
        lifecycle="on-demand",
        public_ip="198.51.100.7",
        private_ip="10.0.9.9",
        tags={ROLE_KEY: ORCHESTRATOR_ROLE},
    )
    return replace(instance, **values)


def member(of: Instance, **values: Any) -> OrchestratorNode:
    """A node in good health at the orchestrator: two cores of which one is taken."""
    orchestrator_node = OrchestratorNode(
        id=f"bacalhau-{of.id}",
        connected=True,
        membership=Membership.APPROVED,
        engines=("docker", "wasm"),
        labels={"provider": "aws", "instance-id": of.id, "cluster": "bacalhau-aws-spot", "region": of.region},
        version="v1.9.3",
        total=Capacity(Decimal(2), 4 * 1024**3, 20 * 1024**3),
        free=Capacity(Decimal(1), 3 * 1024**3, 20 * 1024**3),
        last_heartbeat_at=NOW,
        since=NOW - 3 * MINUTE,
    )
    return replace(orchestrator_node, **values)


def spot(of: Instance, code: str, *, ago: timedelta = 4 * MINUTE) -> SpotStatus:
    return SpotStatus(of.spot_request_id or "", of.id, code, NOW - ago)


def console_output(*phases: str, ago: timedelta = MINUTE) -> str:
    """A console's output: each `phase` or `phase: detail`, all of them `ago`, between other lines."""
    at = f"{NOW - ago:%Y-%m-%dT%H:%M:%SZ}"
    lines = "".join(f"bacalhau-spot: {at} {phase}\r\n" for phase in phases)
    return f"[    0.000000] Linux version 6.8\r\n{lines}cloud-init[812]: done\r\n"


def booted(*phases: str, ago: timedelta = MINUTE) -> BootProgress:
    return parse_boot(console_lines(console_output(*phases, ago=ago)))


def evidence(instance: Instance | None = None, **values: Any) -> NodeObservation:
    return NodeObservation(NOW, instance, **values)
