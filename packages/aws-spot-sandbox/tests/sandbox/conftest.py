"""One sandbox per process, reset for every test, with a clock that only the test advances."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.config import Config

from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY, World
from sandbox.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_spot_sandbox.server import Sandbox
    from aws_spot_sandbox.state import Settings


@cache
def boto_session() -> Any:
    """Cached, because a session reads service models from disk. It does not read the local AWS configuration."""
    return botocore.session.Session({"profile": (None, None, None, None)})


class RunningSandbox:
    """A running sandbox with clients and a clock, for tests."""

    def __init__(self, server: Sandbox, clock: FakeClock) -> None:
        self.server = server
        self.clock = clock
        self._clients: dict[tuple[str, ...], Any] = {}

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def world(self) -> World:
        return self.server.world

    @property
    def settings(self) -> Settings:
        return self.server.world.settings

    def leftovers(self, *, defaults: bool = False) -> list[str]:
        return self.server.leftovers(defaults=defaults)

    def client(
        self,
        service: str = "ec2",
        region: str = "us-east-1",
        *,
        key_id: str = ACCESS_KEY_ID,
        secret: str = SECRET_ACCESS_KEY,
    ) -> Any:
        key = (service, region, key_id, secret)
        if key not in self._clients:
            self._clients[key] = boto_session().create_client(
                service,
                region_name=region,
                endpoint_url=self.url,
                aws_access_key_id=key_id,
                aws_secret_access_key=secret,
                config=Config(retries={"total_max_attempts": 1}, proxies={}),
            )
        return self._clients[key]


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[Sandbox]:
    from aws_spot_sandbox.server import Sandbox  # noqa: PLC0415 - moto takes two seconds

    server = Sandbox()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sandbox(sandbox_server: Sandbox) -> Iterator[RunningSandbox]:
    clock = FakeClock()
    sandbox_server.reset(World(now=clock.now, sleep=clock.sleep))
    running = RunningSandbox(sandbox_server, clock)
    yield running
    for client in running._clients.values():
        client.close()
