"""The verdict on a node as a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.ui.formatting import age

if TYPE_CHECKING:
    from bacalhau_spot.core.health.diagnosis import NodeDiagnosis


def diagnosis_text(diagnosis: NodeDiagnosis) -> str:
    """`interrupted by AWS 4 min ago: no capacity`"""
    seconds = int(diagnosis.time.total_seconds()) if diagnosis.time is not None else 0
    time = age(diagnosis.time) if diagnosis.time is not None else ""
    return diagnosis.template.format(
        what=diagnosis.what,
        why=f": {diagnosis.reason}" if diagnosis.reason else "",
        left=f"{seconds} s",
        ago=f" {time} ago" if time else "",
        span=f" for {time}" if time else "",
    )
