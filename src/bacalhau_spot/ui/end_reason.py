"""AWS's codes for the end of an instance as a few words."""

from __future__ import annotations

from bacalhau_spot.core.health.termination_reasons import ENDED_BY, INTERRUPTED, SPOT_REASONS


def end_reason_text(code: str) -> str:
    """`no capacity`, `by a user`; AWS's code if it has no text here, empty for an interruption without a cause."""
    if code in SPOT_REASONS or code in INTERRUPTED:
        return INTERRUPTED.get(code, "")
    return ENDED_BY.get(code, code) if code else ""
