"""The plug-in's switches: the boot of the nodes, and their orchestrator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

# The phases at which a boot can stop; boot.py simulates them.
STUCK = ("boot", "packages", "docker", "download", "start", "join", "token")

ORCHESTRATOR_STUCK = (
    "boot",
    "download",
    "volume",
    "credentials",
    "start",
)  # likewise, in orchestrator_boot.py


@dataclass
class NodeSettings:
    """Keys are instances, "zone/type" pools, zones, types, regions, or "*"; the narrowest applies."""

    secrets: ClassVar[tuple[str, ...]] = ("orchestrator_token", "orchestrator_api_key")

    # Nodes
    stuck: dict[str, str] = field(default_factory=dict)  # the last phase of their boot, one of STUCK
    without_docker: list[str] = field(default_factory=list)  # they join with wasm as the only engine
    executions: dict[str, int] = field(default_factory=dict)  # number of running executions on each
    job_s: float = 1.0  # time that a job runs, unless its command sleeps
    # The orchestrator on a machine
    stuck_orchestrators: dict[str, str] = field(default_factory=dict)  # the last phase of its boot
    # The sandbox's own orchestrator
    orchestrator_token: str | None = None  # the nodes' token must equal this; null: any
    orchestrator_api_key: str | None = None  # the API requires this key, or "user:password"; null: none
    orchestrator_read_only: bool = False  # the key allows reading only
    manual_approval: bool = False  # new nodes are PENDING until approved

    def problem(self, name: str, value: object) -> str:
        """Why a value of the right type is not valid; empty if it is."""
        known = {"stuck": ("a node", STUCK), "stuck_orchestrators": ("an orchestrator", ORCHESTRATOR_STUCK)}
        if name not in known or not isinstance(value, dict):
            return ""
        who, phases = known[name]
        wrong = next((phase for phase in value.values() if phase and phase not in phases), None)
        return f"{who} is stuck in one of {', '.join(phases)}, not {wrong!r}" if wrong else ""
