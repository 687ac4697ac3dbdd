"""The sandbox as one object: a listener on loopback, the layer, EC2 and moto behind it."""

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
    from collections.abc import Callable

    from aws_spot_sandbox.http_types import Call, Handler, Http, Reply

log = logging.getLogger(__name__)


class Sandbox:
    """One at a time in a process: moto's state is the process's. `reset` gives a fresh one in milliseconds."""

    def __init__(self, world: World | None = None, *, on_stop: Callable[[], None] | None = None) -> None:
        self.url = ""
        self.heard_at = time.monotonic()  # when the last request came, by the real clock
        self._moto = Moto()
        self._admin = Admin(self, on_stop or self.stop)
        self._listener = Listener(self._answer, now=self._now)
        self.world = world or World()
        self.reset()

    def start(self, port: int = 0) -> str:
        self.url = self._listener.start(port)
        return self.url

    def stop(self) -> None:
        self._listener.stop()

    def reset(self, world: World | None = None) -> None:
        """An AWS account as new, with the settings and the clock of `world`; without one, as the present one."""
        self.world = world or self.world
        self.world.calls.clear()
        self.world.profiles.clear()
        self.world.placement_questions.clear()
        self.world.evaluated.clear()
        self._moto.reset(self.world.seed)
        self.plugins = Plugins(self.world)
        self._ec2 = Ec2(self.world, self._moto, self.plugins)
        self.plugins.attach(self._ec2)
        self._layer: Handler = middleware.build(self.world, self._ec2)

    def interrupt(
        self, region: str, instance_id: str, *, notice_s: float = 120.0, reason: str = "capacity"
    ) -> None:
        self._ec2.interrupt(region, instance_id, notice_s=notice_s, reason=reason)

    def things(self) -> list[inventory.Thing]:
        """Everything that exists now, in all regions that were ever spoken to."""
        return list(inventory.everything(self._ec2, self._moto.regions()))

    def leftovers(self, *, defaults: bool = False) -> list[str]:
        """Likewise, as sorted lines "region kind id". Default VPCs are left out unless asked for, and then marked."""
        return sorted(str(thing) for thing in self.things() if defaults or not thing.default)

    def _now(self) -> float:
        return self.world.now()  # of the present world: `reset` brings another

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
        except Exception as mistake:  # moto raises anything, and a client that gets no answer repeats
            log.exception("%s in %s", call.name, call.region)
            message = f"the sandbox made a mistake at {call.name}: {type(mistake).__name__}: {mistake}"
            raise AwsError("SandboxFailure", message, status=501) from mistake
