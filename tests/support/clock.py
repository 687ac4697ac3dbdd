"""The sandbox's clock: one for both."""

from sandbox.clock import FakeClock

__all__ = ["FakeClock"]
