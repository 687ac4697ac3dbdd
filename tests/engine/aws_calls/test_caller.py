"""One call, made well: repeated when that helps, within its deadline and AWS's rates, and not begun after a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.port import Cloud
from bacalhau_spot.core.launch import events
from bacalhau_spot.engine.aws_calls.caller import AwsCalls, Cancelled, gather_all
from support.clock import FakeClock
from support.engine_clock import EngineClock


class Script:
    """A call that answers as it is told, one answer after the other; the last one for ever."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.count = 0

    async def __call__(self) -> str:
        answer = self.answers[min(self.count, len(self.answers) - 1)]
        self.count += 1
        if answer is not None:
            raise CloudError(answer, "no", operation="CreateVpc", region="r")
        return "done"


class Desk:
    """Calls with a standing clock and a list of what is told."""

    def __init__(self, api_s: float = 60) -> None:
        self.clock = FakeClock()
        self.told: list[events.Event] = []
        self.calls = AwsCalls(
            cast("Cloud", None),  # no call here reaches a cloud
            clock=EngineClock(self.clock),
            emit=self.told.append,
            api_s=api_s,
            jitter=lambda: 0.5,
            run_id="run",
        )


def run(part: Callable[[Desk], Awaitable[object]], desk: Desk | None = None) -> Desk:
    desk = desk or Desk()

    async def run() -> None:
        await part(desk)

    asyncio.run(run())
    return desk


@pytest.mark.parametrize(
    "code", ["RequestLimitExceeded", "InternalError", "InvalidVpcID.NotFound", "DependencyViolation"]
)
def test_what_passes_is_repeated_and_told(code: str) -> None:
    """Throttling, AWS's own trouble, reads that lag, things still going away: the same call again, each time said."""
    script = Script(code, code, None)
    desk = run(lambda desk: desk.calls.write("r", script))
    assert script.count == 3
    assert [event.code for event in desk.told if isinstance(event, events.Retrying)] == [code, code]


@pytest.mark.parametrize(
    "code", ["UnauthorizedOperation", "VpcLimitExceeded", "InvalidParameterValue", "SomethingNew"]
)
def test_what_does_not_pass_is_told_at_once(code: str) -> None:
    """Another try would only take time."""
    script = Script(code)
    with pytest.raises(CloudError):
        run(lambda desk: desk.calls.write("r", script))
    assert script.count == 1


def test_the_deadline_ends_it() -> None:
    """Nothing waits for ever: the last error is raised within the time given."""
    desk = Desk(api_s=60)
    began = desk.clock.now()
    with pytest.raises(CloudError):
        run(lambda desk: desk.calls.read("r", Script("RequestLimitExceeded")), desk)
    assert 30 < desk.clock.now() - began <= 60


def test_what_must_not_be_made_twice_is_not_repeated_when_its_answer_is_lost() -> None:
    """The caller has to look first. A throttled call was surely not carried out and may be repeated."""
    lost = Script("ConnectionClosedError", None)
    with pytest.raises(CloudError):
        run(lambda desk: desk.calls.write("r", lost, non_idempotent=True))
    assert lost.count == 1
    throttled = Script("RequestLimitExceeded", None)
    run(lambda desk: desk.calls.write("r", throttled, non_idempotent=True))
    assert throttled.count == 2


def test_teardown_does_not_wait_for_what_is_busy() -> None:
    """It has other things to do meanwhile."""
    busy = Script("DependencyViolation", None)
    with pytest.raises(CloudError):
        run(lambda desk: desk.calls.write("r", busy, retry_dependencies=False))
    assert busy.count == 1


def test_after_a_stop_nothing_is_begun_but_looking_goes_on() -> None:
    """Ctrl-C: what was made must still be told."""
    script = Script(None)

    async def part(desk: Desk) -> None:
        desk.calls.stop.set(by_user=True)
        with pytest.raises(Cancelled):
            await desk.calls.write("r", script)
        assert script.count == 0
        assert await desk.calls.read("r", script) == "done"

    run(part)


def test_a_stop_ends_a_wait() -> None:
    """Nobody has to wait for a back-off after Ctrl-C."""

    async def part(desk: Desk) -> None:
        waiting = asyncio.ensure_future(desk.calls.pause(3600))
        await asyncio.sleep(0)
        desk.calls.stop.set(by_user=True)
        with pytest.raises(Cancelled):
            await waiting

    run(part)


def test_calls_keep_below_awss_rates() -> None:
    """A burst, then four changes a second: EC2's buckets are 50 and 5 for the whole account. Regions do not share them."""
    desk = Desk()
    began = desk.clock.now()

    async def part(desk: Desk) -> None:
        for _ in range(80):
            await desk.calls.write("r", Script(None))

    run(part, desk)
    assert desk.clock.now() - began == pytest.approx(10, abs=0.5)
    began = desk.clock.now()
    run(lambda desk: desk.calls.write("another", Script(None)), desk)
    assert desk.clock.now() == began


def test_together_runs_all_to_their_ends() -> None:
    """A call whose answer is thrown away may have made something: nothing is cancelled, and the failure is raised after."""
    ended: list[str] = []

    async def slow() -> None:
        await asyncio.sleep(0.01)
        ended.append("slow")

    async def failing() -> None:
        raise CloudError("X", "no", operation="o", region="r")

    async def both() -> None:
        await gather_all(failing(), slow())

    with pytest.raises(CloudError):
        asyncio.run(both())
    assert ended == ["slow"]


def test_a_runs_own_token_differs_from_anothers() -> None:
    """Its own repeat is known to AWS, another run's call is not."""
    desk = Desk()
    assert desk.calls.run_token("a") == desk.calls.run_token("a")
    assert desk.calls.run_token("a") != desk.calls.run_token("b")
    assert len(desk.calls.run_token("a")) <= 64


@pytest.mark.parametrize("code", ["ResponseParserError", "404", "407", "SSLError"])
def test_a_wrong_answer_is_repeated_for_seconds_only(code: str) -> None:
    """A network's sign-in page, a proxy or a wrong certificate answers the same for as long as it is there."""
    desk, script = Desk(), Script(code)
    begin = desk.clock.now()
    with pytest.raises(CloudError):
        run(lambda desk: desk.calls.read("r", script), desk)
    assert 3 <= script.count <= 8
    assert desk.clock.now() - begin <= 10


def test_a_slow_wrong_answer_is_repeated_too() -> None:
    desk, script = Desk(), Script(*["RequestLimitExceeded"] * 4, "ResponseParserError", None)
    run(lambda desk: desk.calls.read("r", script), desk)
    assert script.count == 6
