"""The first call of a command: one slow answer does not end it, an unresponsive endpoint soon does."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.port import Cloud
from bacalhau_spot.cloud.session import WHO_AM_I_S
from bacalhau_spot.core.model import Identity
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.engine.aws_calls.discovery import get_identity
from support.clock import FakeClock
from support.engine_clock import EngineClock

ME = Identity("000000000000", "arn:aws:iam::000000000000:user/me")
# A person waits for the error no longer.
SOON_S = 20


class SlowSts:
    """Answers the first `slow` calls too late for the client."""

    def __init__(self, clock: FakeClock, *, slow: int) -> None:
        self.clock = clock
        self.slow = slow

    async def identity(self) -> Identity:
        if self.slow:
            self.slow -= 1
            self.clock.advance(WHO_AM_I_S)
            raise CloudError("ReadTimeoutError", "too late", operation="GetCallerIdentity", region="")
        return ME


def asked(clock: FakeClock, *, slow: int) -> Identity:
    calls = AwsCalls(
        cast("Cloud", SlowSts(clock, slow=slow)),
        clock=EngineClock(clock),
        emit=lambda _: None,
        api_s=60,
        jitter=lambda: 1.0,
        run_id="run",
    )
    return asyncio.run(get_identity(calls))


def test_one_slow_answer_is_asked_for_again() -> None:
    assert asked(FakeClock(), slow=1) == ME


def test_an_endpoint_that_never_answers_ends_the_command_soon() -> None:
    clock = FakeClock()
    begun_s = clock.now()
    with pytest.raises(CloudError, match="ReadTimeoutError"):
        asked(clock, slow=99)
    assert clock.now() - begun_s < SOON_S
