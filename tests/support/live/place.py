"""Where the live suite runs: an account of AWS, or the sandbox, which it takes for one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import botocore.session
from botocore.config import Config

from bacalhau_spot.engine.aws_calls.clock import Clock, RealClock

T = TypeVar("T")


class Late(AssertionError):  # noqa: N818 - an outcome
    """Something did not happen in its time."""


@dataclass
class Place:
    """The environment has the credentials and, for the sandbox, the endpoint, as for any client of AWS."""

    region: str
    environ: dict[str, str]
    clock: Clock = field(default_factory=RealClock)
    sleep: Callable[[float], None] = time.sleep
    _session: Any = None
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def client(self, service: str, *, region: str = "") -> Any:
        """Of the caller's own credentials."""
        key = (service, region or self.region)
        if key not in self._clients:
            self._clients[key] = self.session.create_client(
                service, region_name=key[1], config=Config(retries={"mode": "standard", "max_attempts": 5})
            )
        return self._clients[key]

    def client_of(self, service: str, credentials: dict[str, Any]) -> Any:
        """Of the credentials in STS's answer. Its calls are not repeated: their errors are what is asked for."""
        return self.session.create_client(
            service,
            region_name=self.region,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            config=Config(retries={"total_max_attempts": 1}),
        )

    @property
    def session(self) -> Any:
        if self._session is None:
            self._session = botocore.session.Session()
        return self._session

    def until(
        self, what: str, look: Callable[[], T], *, within_s: float, every_s: float = 2.0
    ) -> tuple[T, float]:
        """The first true answer of `look`, and the seconds until it came. Raises Late."""
        began = self.clock.monotonic_s()
        while True:
            found = look()
            spent_s = self.clock.monotonic_s() - began
            if found:
                return found, round(spent_s, 1)
            if spent_s >= within_s:
                raise Late(f"{what}: not within {within_s:.0f} s")
            self.sleep(every_s)
