"""A delay for every call, from any process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call, Handler, Reply
    from aws_spot_sandbox.state import World


class Latency:
    def __init__(self, world: World, inner: Handler) -> None:
        self._world = world
        self._inner = inner

    def __call__(self, call: Call) -> Reply:
        if self._world.settings.latency_s > 0:
            self._world.sleep(self._world.settings.latency_s)
        reply = self._inner(call)
        # An instant fleet's reply follows the attempt on each pool: up to 41 s (karpenter-provider-aws#3922).
        if call.action == "CreateFleet" and self._world.settings.fleet_s > 0:
            self._world.sleep(self._world.settings.fleet_s)
        return reply
