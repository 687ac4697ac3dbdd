"""The verdict on a node as a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.ui.words import age

if TYPE_CHECKING:
    from bacalhau_spot.core.health import Verdict


def verdict_text(verdict: Verdict) -> str:
    """`interrupted by AWS 4 min ago: no capacity`"""
    seconds = int(verdict.time.total_seconds()) if verdict.time is not None else 0
    time = age(verdict.time) if verdict.time is not None else ""
    return verdict.says.format(
        what=verdict.what,
        why=f": {verdict.why}" if verdict.why else "",
        left=f"{seconds} s",
        ago=f" {time} ago" if time else "",
        span=f" for {time}" if time else "",
    )
