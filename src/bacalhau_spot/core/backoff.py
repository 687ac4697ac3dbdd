"""Delays between attempts and the rate of AWS calls. Arithmetic only; the callers wait."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_S = 0.5
CAP_S = 10.0


def backoff_s(attempt: int, *, jitter: float) -> float:
    """Seconds to wait after the `attempt`-th failure (from 1). `jitter` in [0, 1) spreads waiters over half the step."""
    step: float = min(CAP_S, FIRST_S * 2.0 ** (attempt - 1))
    return step * (0.75 + jitter / 2)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket like those with which AWS limits calls per account and region.

    `burst` tokens when full, `per_s` new ones a second. `take` answers the bucket after one call and how long to wait
    before making it.
    """

    burst: float
    per_s: float
    tokens: float
    at_s: float

    @classmethod
    def full(cls, *, burst: float, per_s: float) -> Bucket:
        return cls(burst=burst, per_s=per_s, tokens=burst, at_s=0.0)

    def take(self, now_s: float) -> tuple[Bucket, float]:
        elapsed_s = max(0.0, now_s - self.at_s)
        tokens = min(self.burst, self.tokens + elapsed_s * self.per_s) - 1
        wait_s = 0.0 if tokens >= 0 else -tokens / self.per_s
        return Bucket(burst=self.burst, per_s=self.per_s, tokens=tokens, at_s=max(now_s, self.at_s)), wait_s
