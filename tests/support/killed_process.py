"""A process that is killed at one of its calls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from bacalhau_spot.cloud.aws import Aws

_READS = ("describe_", "get_", "list_")


class Killed(BaseException):
    """The process is gone: nothing catches this, as nothing catches SIGKILL."""


def is_read(operation: str) -> bool:
    return operation.startswith(_READS)


@contextlib.contextmanager
def fragile(cloud: Aws, *, at: int, answered: bool) -> Iterator[None]:
    """A process that dies at its n-th call that changes something: before making it, or before reading the answer."""
    session = cloud._session
    call, left = session.call, at

    async def dying(service: str, region: str | None, operation: str, **kwargs: Any) -> dict[str, Any]:
        nonlocal left
        if is_read(operation):
            return await call(service, region, operation, **kwargs)
        left -= 1
        if left < 0 or (left == 0 and not answered):
            raise Killed
        reply = await call(service, region, operation, **kwargs)
        if left == 0:
            raise Killed
        return reply

    session.call = dying  # type: ignore[method-assign]  # the one way in and out
    try:
        yield
    finally:
        session.call = call  # type: ignore[method-assign]  # as before
