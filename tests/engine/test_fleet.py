"""What a fleet's answer means, and whether the same is asked again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from bacalhau_spot.cloud.port import FleetRequest, FleetResult, LaunchedInstance, PoolError
from bacalhau_spot.core.model import Naming
from bacalhau_spot.engine.launch.fleet import FleetLaunch, request_fleet

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


def request(attempt: int) -> FleetRequest:
    return FleetRequest("lt-1", (), 1, f"token-{attempt}", {}, {})


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
