"""The verdicts on a node and on the orchestrator as sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.ui.formatting import age, error_label, plural

if TYPE_CHECKING:
    from bacalhau_spot.core.health.diagnosis import NodeDiagnosis
    from bacalhau_spot.core.health.orchestrator_status import OrchestratorStatus


# The longest time left that is counted in seconds: EC2's notice before an interruption.
_IN_SECONDS = 120


def orchestrator_text(status: OrchestratorStatus) -> str:
    """`API does not answer: connection refused`"""
    time = age(status.time) if status.time is not None else ""
    return status.template.format(
        why=_reason(status),
        ago=f" {time} ago" if time else "",
        span=f" for {time}" if time else "",
        count=plural(status.observation.reconnecting, "node"),
        cluster=status.observation.cluster,
    )


def _reason(status: OrchestratorStatus) -> str:
    observation = status.observation
    reason = " and ".join(observation.checks.impaired)
    if not reason and observation.failure is not None:
        reason = error_label(observation.failure.code)
    return f": {reason}" if reason else ""


def diagnosis_text(diagnosis: NodeDiagnosis) -> str:
    """`interrupted by AWS 4 min ago: no capacity`"""
    seconds = int(diagnosis.time.total_seconds()) if diagnosis.time is not None else 0
    time = age(diagnosis.time) if diagnosis.time is not None else ""
    return diagnosis.template.format(
        what=diagnosis.what,
        why=f": {diagnosis.reason}" if diagnosis.reason else "",
        left=f"{seconds} s" if seconds <= _IN_SECONDS else time,
        ago=f" {time} ago" if time else "",
        span=f" for {time}" if time else "",
    )
