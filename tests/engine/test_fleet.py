"""What a fleet's answer means, and whether the same is asked again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from bacalhau_spot.cloud.port import FleetRequest, FleetResult, LaunchedInstance, PoolError
from bacalhau_spot.core.model import Naming
from bacalhau_spot.engine.launch.fleet import PERIOD, FleetLaunch, request_fleet
from support.health import node

UNFULFILLABLE = PoolError("", "", "UnfulfillableCapacity", "Unable to fulfill capacity")
PROFILE = PoolError("", "", "InvalidParameterValue", "Invalid IAM Instance Profile name")
NOTHING_LEFT = PoolError("", "", "InsufficientInstanceCapacity", "no capacity")
GRANTED = FleetResult("fleet-2", launched=(LaunchedInstance("i-1", "t3.medium", "us-east-1a"),))


class Calls:
    """Answers CreateFleet with what it was given, one after the other; the clock moves by the pauses alone."""

    def __init__(self, *answers: FleetResult) -> None:
        self.answers = list(answers)
        self.requests: list[FleetRequest] = []
        self.now_s = 0.0
        self.clock = SimpleNamespace(monotonic_s=lambda: self.now_s)
        self.cloud = SimpleNamespace(launch=self._launch, fleet=self._fleet)
        self.emit = lambda _event: None

    async def write(self, _region: str, send: Any) -> Any:
        return await send()

    async def read(self, _region: str, send: Any) -> Any:
        return await send()

    async def pause(self, seconds: float) -> None:
        self.now_s += seconds

    async def _launch(self, _region: str, request: FleetRequest) -> FleetResult:
        self.requests.append(request)
        return self.answers.pop(0)

    async def _fleet(self, _region: str, _fleet_id: str) -> None:
        return None


def request(attempt: int, period: str) -> FleetRequest:
    return FleetRequest("lt-1", (), 1, f"token-{attempt}{period}", {}, {})


def answer(calls: Calls) -> FleetResult:
    launch = FleetLaunch("us-east-1", Naming(), request, repeatable=False)
    return asyncio.run(request_fleet(calls, launch))  # type: ignore[arg-type]  # as much of it as is used


@pytest.mark.parametrize(
    "code",
    [
        "InvalidSubnetID.NotFound",
        "InvalidGroup.NotFound",
        "InvalidLaunchTemplateId.NotFound",
        "InvalidLaunchTemplateName.NotFoundException",
        "InvalidLaunchTemplateId.VersionNotFound",
    ],
)
def test_lag_refused_by_each_pool_is_asked_again(code: str) -> None:
    """S8, F6: what was made moments ago is refused pool by pool in a success (gardener-extension-provider-aws#1947)."""
    lag = tuple(PoolError("t3.medium", zone, code, "does not exist") for zone in ("us-east-1a", "us-east-1b"))
    calls = Calls(FleetResult("fleet-1", pool_errors=(*lag, UNFULFILLABLE)), GRANTED)
    assert answer(calls) == GRANTED
    assert [request.client_token for request in calls.requests] == ["token-1", "token-2"]


def test_a_fresh_profile_beside_other_refusals_is_asked_again() -> None:
    """F1: AWS mixes the codes (karpenter-provider-aws#3051): one refusal of the profile is enough."""
    calls = Calls(FleetResult("fleet-1", pool_errors=(PROFILE, UNFULFILLABLE, NOTHING_LEFT)), GRANTED)
    assert answer(calls) == GRANTED


def test_lag_beside_a_real_refusal_is_an_answer() -> None:
    """F6: a pool without capacity has answered for itself."""
    lag = PoolError("t3.medium", "us-east-1a", "InvalidSubnetID.NotFound", "does not exist")
    result = FleetResult("fleet-1", pool_errors=(lag, NOTHING_LEFT, UNFULFILLABLE))
    calls = Calls(result)
    assert answer(calls) == result
    assert len(calls.requests) == 1


# Launches that AWS remembers

START = datetime(2026, 11, 28, 12, tzinfo=UTC)  # the begin of a period


class Aws(Calls):
    """Remembers the answer of each token. The region refuses unless `open`; `listed_at`: since when instances are listed."""

    def __init__(self) -> None:
        super().__init__()
        self.cloud.instances = self._instances
        self.remembered: dict[str, FleetResult] = {}
        self.created: dict[str, datetime] = {}
        self.open = False
        self.listed_at = START

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.now_s)

    async def _launch(self, _region: str, request: FleetRequest) -> FleetResult:
        self.requests.append(request)
        if request.client_token not in self.remembered:
            name = f"fleet-{len(self.created)}"
            self.created[name] = self.now
            launched = (LaunchedInstance(node(1).id, "t3.medium", "us-east-1a"),) if self.open else ()
            errors = () if self.open else (NOTHING_LEFT,)
            self.remembered[request.client_token] = FleetResult(name, launched, errors)
        return replace(self.remembered[request.client_token], answered_at=self.now)

    async def _fleet(self, _region: str, fleet_id: str) -> Any:
        return SimpleNamespace(created_at=self.created[fleet_id])

    async def _instances(self, _region: str, **_tag: str) -> list[Any]:
        launched = any(result.launched for result in self.remembered.values())
        return [node(1)] if launched and self.now >= self.listed_at else []


def test_timer_in_a_refusing_region_always_gets_a_new_answer() -> None:
    """A process each minute for three hours, with unchanged instances: 180 remembered refusals."""
    aws, longest = Aws(), 0
    for minute in range(180):
        aws.now_s = max(aws.now_s, minute * 60.0)
        sent = len(aws.requests)
        result = answer(aws)
        assert aws.created[result.fleet_id] == aws.now
        longest = max(longest, len(aws.requests) - sent)
    assert longest <= PERIOD / timedelta(minutes=1) + 1
    aws.open = True
    aws.now_s += 60
    assert answer(aws).launched


@pytest.mark.parametrize("pause_s", [2, 70, 700])
def test_killed_launch_of_an_earlier_period_is_not_repeated(pause_s: float) -> None:
    """At the end of a period, of an AWS that lists the instance late; the next create has not seen it."""
    aws = Aws()
    answer(aws)
    aws.open = True
    aws.now_s = PERIOD.total_seconds() - 1
    aws.listed_at = aws.now + timedelta(seconds=12)
    (first,) = answer(aws).launched
    aws.now_s += pause_s
    assert [launched.id for launched in answer(aws).launched] == [first.id]
    assert sum(bool(result.launched) for result in aws.remembered.values()) == 1
