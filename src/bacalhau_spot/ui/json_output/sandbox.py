"""The output of `sandbox …` for programs. Switches and state are the sandbox's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, cast

from bacalhau_spot.ui.json_output.values import Keywords

if TYPE_CHECKING:
    from collections.abc import Mapping

Reason = Literal["capacity", "price"]
SwitchesOutput = Annotated[
    dict[str, Any],
    Keywords(description="its [switches](sandbox.md)", required=["latency_s", "capacity", "faults"]),
]


class SandboxStartOutput(TypedDict):
    url: str
    account_id: str


class SandboxStopOutput(TypedDict):
    stopped: bool
    """false if no sandbox was running"""


class SandboxStoppedOutput(TypedDict):
    """Without a running sandbox."""

    running: Literal[False]


class SandboxOrchestratorOutput(TypedDict):
    """A managed orchestrator's machine."""

    region: str
    instance: str
    address: str | None
    """null without an Elastic IP"""
    state: str
    waits_for: str | None
    """null if it waits for nothing"""
    notice: str | None
    """why its address cannot be reached; null without a problem"""


class SandboxStatusOutput(TypedDict):
    running: Literal[True]
    pid: int
    version: str
    account_id: str
    url: str
    orchestrator_url: str
    uptime_s: float
    orchestrators: list[SandboxOrchestratorOutput]
    settings: SwitchesOutput
    instances: dict[str, dict[str, int]]
    """region → state → number"""
    calls: dict[str, dict[str, int]]
    """region → action → number"""
    refusals: dict[str, Any]
    """code → number"""


class SandboxInterruptOutput(TypedDict):
    instance: str
    region: str
    notice_s: float
    reason: Reason


class SandboxRebalanceOutput(TypedDict):
    instance: str
    region: str


def sandbox_start_data(url: str, account_id: str) -> SandboxStartOutput:
    return {"url": url, "account_id": account_id}


def sandbox_stop_data(*, stopped: bool) -> SandboxStopOutput:
    return {"stopped": stopped}


def sandbox_status_data(state: Mapping[str, Any] | None) -> SandboxStatusOutput | SandboxStoppedOutput:
    """`state`: the sandbox's answer; None without a running sandbox."""
    if state is None:
        return {"running": False}
    return cast("SandboxStatusOutput", {"running": True, **state})


def sandbox_interrupt_data(
    instance: str, *, region: str, notice_s: float, reason: Reason
) -> SandboxInterruptOutput:
    return {"instance": instance, "region": region, "notice_s": notice_s, "reason": reason}


def sandbox_rebalance_data(instance: str, *, region: str) -> SandboxRebalanceOutput:
    return {"instance": instance, "region": region}
