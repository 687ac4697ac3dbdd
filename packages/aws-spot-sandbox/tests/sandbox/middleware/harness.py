"""The middleware in front of a plain function, with a clock that only the test advances. No HTTP, no moto."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aws_spot_sandbox.http_types import AwsError, Call, Http, Reply
from aws_spot_sandbox.middleware import STAGES, build
from aws_spot_sandbox.middleware.parameters import Parameters
from aws_spot_sandbox.state import ACCESS_KEY_ID, Settings, World
from sandbox.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_spot_sandbox.http_types import Handler

HOME = "us-east-1"


def xml(inner: str) -> Reply:
    return Reply(f'<Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">{inner}</Response>'.encode())


class Harness:
    """Tests send calls with `ask` and `call`; calls that pass are in `reached`, and `services` answers them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.world = World(now=self.clock.now, sleep=self.clock.sleep)
        self.reached: list[Call] = []
        self.services: Callable[[Call], Reply] = lambda call: xml(f"<done>{call.action}</done>")
        # The calls are artificial: without the stage that validates them by AWS's models, which has its own tests.
        stages = [stage for stage in STAGES if stage is not Parameters]
        self.call: Handler = build(self.world, self._inner, stages=stages)

    @property
    def settings(self) -> Settings:
        return self.world.settings

    @property
    def outcomes(self) -> list[str]:
        return [outcome for _, _, outcome in self.world.calls]

    def _inner(self, call: Call) -> Reply:
        self.reached.append(call)
        return self.services(call)

    def ask(self, action: str, params: dict[str, str] | None = None, *, region: str = HOME) -> Reply:
        return self.call(Call("ec2", region, action, params or {}, access_key_id=ACCESS_KEY_ID))

    def refusal(self, action: str, params: dict[str, str] | None = None, *, region: str = HOME) -> AwsError:
        with pytest.raises(AwsError) as caught:
            self.ask(action, params, region=region)
        return caught.value

    def spelling(self, service: str, *, region: str = HOME, key: str = ACCESS_KEY_ID) -> tuple[str, int]:
        """Code and status of a call that is refused before it reaches the service."""
        before = len(self.reached)
        with pytest.raises(AwsError) as caught:
            self.call(sample(service, region=region, key=key))
        assert len(self.reached) == before
        return caught.value.code, caught.value.status


def sample(service: str, *, region: str = HOME, key: str = ACCESS_KEY_ID) -> Call:
    """A call in each protocol: EC2's, the query services' (sts, iam) and the JSON services' (ssm)."""
    action = {"ec2": "CreateVpc", "sts": "GetSessionToken", "iam": "ListUsers", "ssm": "GetParameter"}[
        service
    ]
    headers = {"x-amz-target": f"AmazonSSM.{action}"} if service == "ssm" else {}
    return Call(service, region, action, access_key_id=key, http=Http(headers=headers))
