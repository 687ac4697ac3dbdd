"""The stand-in of Bacalhau's orchestrator on a machine: its API and its NATS port, on the machine's own address."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from aws_spot_sandbox.http_server import Listener
from aws_spot_sandbox_bacalhau import nats_listener
from aws_spot_sandbox_bacalhau.nats_listener import NatsListener

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_spot_sandbox.http_types import Http, Reply
    from aws_spot_sandbox_bacalhau.credentials import Credentials

API_PORT = 1234


class Server(Protocol):
    """The orchestrator's program on a machine."""

    def serve(self, credentials: Credentials, address: str, ports: frozenset[int]) -> str:
        """Be reachable at the address, on these ports and no others. Why it is not; empty if it is."""

    def stop(self, *, orderly: bool) -> None:
        """The machine shuts down, in order or by a power failure."""


@dataclass
class StandIn:
    """`accepts`: whether a token is the orchestrator's."""

    answer: Callable[[Http, bytes], Reply]
    accepts: Callable[[str], bool]
    now: Callable[[], float]
    _open: dict[int, Listener | NatsListener] = field(default_factory=dict)
    _failed: dict[int, str] = field(default_factory=dict)
    _at: tuple[Credentials, str] | None = None

    def serve(self, credentials: Credentials, address: str, ports: frozenset[int]) -> str:
        if self._at != (credentials, address):
            self.stop(orderly=True)
            self._at = (credentials, address)
        for port in set(self._open) - ports:
            self._open.pop(port).stop()
        for port in sorted(ports - set(self._open) - set(self._failed)):
            self._listen(credentials, address, port)
        return "; ".join(self._failed[port] for port in sorted(self._failed) if port in ports)

    def stop(self, *, orderly: bool) -> None:
        del orderly
        for listener in self._open.values():
            listener.stop()
        self._open.clear()
        self._failed.clear()
        self._at = None

    def _listen(self, credentials: Credentials, address: str, port: int) -> None:
        try:
            if port == nats_listener.PORT:
                nats = NatsListener(credentials.server(), self.accepts)
                nats.start(address, port)
                self._open[port] = nats
            else:
                api = Listener(self.answer, now=self.now)
                api.start(port, host=address, tls=credentials.server())
                self._open[port] = api
        except OSError as error:
            self._failed[port] = f"{address}:{port} cannot be bound: {error.strerror or error}"
