"""Authentication: whether the access key, the signature and the session are valid."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from aws_spot_sandbox.middleware import error_responses, signature
from aws_spot_sandbox.state import ACCESS_KEY_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call, Handler, Reply
    from aws_spot_sandbox.state import World


class Credentials:
    def __init__(self, world: World, inner: Handler) -> None:
        self._world = world
        self._inner = inner
        self._lock = threading.Lock()

    def __call__(self, call: Call) -> Reply:
        if call.access_key_id != ACCESS_KEY_ID:
            raise error_responses.unknown_key(call)
        # Internal calls have no HTTP headers, so there is no signature to check
        if call.http.headers and not signature.is_ours(call):
            raise error_responses.wrong_signature(call)
        if self._expired():
            raise error_responses.expired(call)
        return self._inner(call)

    def _expired(self) -> bool:
        settings = self._world.settings
        if settings.credentials_expire_at is not None and self._world.now() >= settings.credentials_expire_at:
            return True
        with self._lock:
            left = settings.credentials_expire_after_calls
            if left is None:
                return False
            settings.credentials_expire_after_calls = max(0, left - 1)
            return left <= 0
