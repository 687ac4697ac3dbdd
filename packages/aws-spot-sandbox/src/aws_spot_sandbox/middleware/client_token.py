"""Idempotence by client token (AWS: EC2 API Reference, "Ensuring idempotency in Amazon EC2 API requests")."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.http_types import Call, Handler, Reply
    from aws_spot_sandbox.state import World

_OK = 200


@dataclass
class _Attempt:
    """The first use of a token. Concurrent repetitions wait on the lock for its reply."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    params: Mapping[str, str] | None = None
    reply: Reply | None = None


class ClientToken:
    def __init__(self, world: World, inner: Handler) -> None:
        del world
        self._inner = inner
        self._lock = threading.Lock()
        self._attempts: dict[tuple[str, str, str], _Attempt] = {}

    def __call__(self, call: Call) -> Reply:
        token = call.params.get("ClientToken")
        if not token or call.service != "ec2" or not call.mutates:
            return self._inner(call)
        with self._lock:
            attempt = self._attempts.setdefault((call.region, call.action, token), _Attempt())
        with attempt.lock:
            return self._first_or_again(call, attempt)

    def _first_or_again(self, call: Call, attempt: _Attempt) -> Reply:
        params = {
            name: value for name, value in call.params.items() if name not in {"ClientToken", "Version"}
        }
        if attempt.reply is None:  # first use, or failed before: only successes are stored
            reply = self._inner(call)
            if reply.status == _OK:
                attempt.params, attempt.reply = params, reply
            return reply
        if attempt.params != params:
            raise AwsError(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            )
        return attempt.reply
