"""The orchestrator's compute nodes, as values.

Source: Bacalhau 1.9, GET /api/v1/orchestrator/nodes. Sizes are bytes, CPU is in cores.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

# The label that first boot sets on every node (instance/scripts/first_boot.py), besides those of
# instance/bacalhau_config.py.
INSTANCE_LABEL = "instance-id"
CLUSTER_LABEL = "cluster"


class Membership(StrEnum):
    """Whether the orchestrator gives the node work."""

    APPROVED = "APPROVED"
    PENDING = "PENDING"  # waits for approval (NodeManager.ManualApproval)
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class Capacity:
    """The total or free resources of a node."""

    cpu: Decimal = Decimal(0)
    memory_bytes: int = 0
    disk_bytes: int = 0
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class OrchestratorNode:
    """One compute node of the orchestrator.

    `free` is empty for a disconnected node; it arrives with each heartbeat. The API's counts of executions are left out,
    because they change only at a handshake.
    """

    id: str
    connected: bool
    membership: Membership
    engines: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    total: Capacity = field(default_factory=Capacity)
    free: Capacity = field(default_factory=Capacity)
    last_heartbeat_at: datetime | None = None
    since: datetime | None = None  # connected, or disconnected, since then
    last_error: str = ""

    @property
    def instance_id(self) -> str:
        """The EC2 instance of the node, by its label; empty without one."""
        return self.labels.get(INSTANCE_LABEL, "")


@dataclass(frozen=True, slots=True)
class NodeListing:
    """The orchestrator's answer: its compute nodes, and its own version and start. None and empty: not in the answer.

    All times are of the orchestrator's clock, `answered_at` too: this machine's clock may differ.
    """

    nodes: tuple[OrchestratorNode, ...] = ()
    version: str = ""
    started_at: datetime | None = None
    answered_at: datetime | None = None
