"""The sandbox as one object: HTTP server, middleware, EC2 and moto."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from botocore.model import OperationNotFoundError

from aws_spot_sandbox import inventory, middleware, protocol
from aws_spot_sandbox.admin import PREFIX, Admin
from aws_spot_sandbox.ec2_api import Ec2
from aws_spot_sandbox.http_server import Listener
from aws_spot_sandbox.http_types import AwsError, ConnectionLost
from aws_spot_sandbox.moto_app import Moto
from aws_spot_sandbox.plugin import Plugins
from aws_spot_sandbox.state import World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aws_spot_sandbox.http_types import Call, Handler, Http, Reply

log = logging.getLogger(__name__)


class Sandbox:
    """One per process, because moto's state is per process. `reset` restores a fresh one in milliseconds."""

    def __init__(self, world: World | None = None, *, on_stop: Callable[[], None] | None = None) -> None:
        self.url = ""
        self._port = 0
        self.heard_at = time.monotonic()  # time of the last request, by the real clock
        self._moto = Moto()
        self._admin = Admin(self, on_stop or self.stop)
        self._listener = Listener(self._answer, now=self._now)
        self.world = world or World()
        self._plugins: Plugins | None = None
        self.reset()

    def start(self, port: int = 0) -> str:
        self.url = self.world.url = self._listener.start(port)
        self._port = int(self.url.rpartition(":")[2])
        self.reset()
        return self.url

    def stop(self) -> None:
        self._listener.stop()
        self.plugins.close()

    def reset(self, world: World | None = None) -> None:
        """Restore a new AWS account, with the settings and the clock of `world`, or else the present ones."""
        if self._plugins is not None:
            self._plugins.close()
        self.world = world or self.world
        self.world.url = self.url
        self.world.calls.clear()
        self.world.profiles.clear()
        self.world.sessions.clear()
        self.world.placement_questions.clear()
        self.world.evaluated.clear()
        self._moto.reset(self.world.seed)
        self.plugins = self._plugins = Plugins(self.world)
        self._ec2 = Ec2(self.world, self._moto, self.plugins, port=self._port)
        self.plugins.attach(self._ec2)
        self._layer: Handler = middleware.build(self.world, self._ec2)

    def interrupt(
        self, region: str, instance_id: str, *, notice_s: float = 120.0, reason: str = "capacity"
    ) -> None:
        self._ec2.interrupt(region, instance_id, notice_s=notice_s, reason=reason)

    def interrupt_some(
        self,
        count: int,
        *,
        regions: Sequence[str] | None = None,
        notice_s: float = 120.0,
        reason: str = "capacity",
    ) -> list[tuple[str, str]]:
        """Interrupt `count` running spot instances, chosen at random by the sandbox's seed, and fewer if there are fewer.

        `regions`: all, if absent. Returns the region and the id of each.
        """
        return self._ec2.interrupt_some(count, regions=regions, notice_s=notice_s, reason=reason)

    def recommend_rebalance(self, region: str, instance_id: str) -> None:
        """Recommend to replace a spot instance, as AWS does before an interruption, or without one."""
        self._ec2.recommend_rebalance(region, instance_id)

    def settle(self) -> None:
        """Run all due actions, for tests whose clock has advanced: the simulated servers change without a call."""
        self._ec2.settle()

    def things(self, *, defaults: bool = True) -> list[inventory.Thing]:
        """All resources in all regions used so far. `defaults`: with those of the regions that have nothing else."""
        regions = self._moto.regions() if defaults else self._ec2.changed_regions()
        return list(inventory.everything(self._ec2, regions))

    def leftovers(self, *, defaults: bool = False) -> list[str]:
        """All resources as sorted lines "region kind id". Default VPCs are omitted unless requested, and then marked."""
        return sorted(str(thing) for thing in self.things(defaults=defaults) if defaults or not thing.default)

    def _now(self) -> float:
        return self.world.now()  # of the current world, which `reset` may replace

    def _answer(self, http: Http, body: bytes) -> Reply:
        self.heard_at = time.monotonic()
        if http.path.startswith(PREFIX):
            return self._admin(http, body)
        call = protocol.take_apart(http, body)
        try:
            return self._aws(call)
        except AwsError as refusal:
            return protocol.write_error(call, refusal)

    def _aws(self, call: Call) -> Reply:
        try:
            return protocol.numbered(call, self._layer(call))
        except OperationNotFoundError as unknown:
            message = f"The action {call.action} is not valid for this web service."
            raise AwsError("InvalidAction", message) from unknown
        except (AwsError, ConnectionLost):
            raise
        except Exception as mistake:  # moto raises any exception, and a client that gets no reply retries
            log.exception("%s in %s", call.name, call.region)
            message = f"the sandbox made a mistake at {call.name}: {type(mistake).__name__}: {mistake}"
            raise AwsError("SandboxFailure", message, status=501) from mistake
