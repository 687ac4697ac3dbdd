"""Fetches one public document. Returns or raises within the given time, whatever the server does."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.client
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

CHUNK: Final = 1 << 20
_STALL_S: Final = 30.0  # between two bytes


class FetchError(Exception):
    """Why there is no document, in a few words."""


async def fetch(url: str, *, timeout_s: float, max_bytes: int, proxies: bool = True) -> bytes:
    """The document at `url`. Raises FetchError. Without `proxies`, the environment's are not used."""
    return await consume(url, lambda reply: _read(reply, max_bytes), timeout_s=timeout_s, proxies=proxies)


async def consume(
    url: str, read: Callable[[http.client.HTTPResponse], T], *, timeout_s: float, proxies: bool = True
) -> T:
    """The result of `read` on the response. Raises FetchError, also after `timeout_s` in total.

    The thread is a daemon: a server that sends a byte now and then delays neither this call nor the program's end.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(settled: Callable[[], None]) -> None:
        if not done.done():
            settled()

    def work() -> None:
        try:
            result = _open(url, read, timeout_s=timeout_s, proxies=proxies)
            settled = functools.partial(done.set_result, result)
        except FetchError as failure:
            settled = functools.partial(done.set_exception, failure)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, settled)

    threading.Thread(target=work, daemon=True, name="fetch").start()
    try:
        return await asyncio.wait_for(done, timeout_s)
    except TimeoutError:
        raise FetchError(f"no complete answer within {timeout_s:g} s") from None


def _open(url: str, read: Callable[[http.client.HTTPResponse], T], *, timeout_s: float, proxies: bool) -> T:
    handler = urllib.request.ProxyHandler(None if proxies else {})
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "bacalhau-spot"})  # noqa: S310 -- http and https only, by the configuration
        with urllib.request.build_opener(handler).open(request, timeout=min(timeout_s, _STALL_S)) as reply:
            return read(reply)
    except urllib.error.HTTPError as error:
        raise FetchError(f"HTTP {error.code}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        # HTTPException: the response is not valid HTTP; ValueError: an invalid length or address.
        reason = getattr(error, "reason", None) or error
        raise FetchError(" ".join(str(reason).split())[:200] or type(error).__name__) from error


def _read(reply: http.client.HTTPResponse, max_bytes: int) -> bytes:
    raw = bytearray()
    while part := reply.read(min(CHUNK, max_bytes + 1 - len(raw))):
        raw += part
        if len(raw) > max_bytes:
            raise FetchError(f"more than {max_bytes} bytes")
    check_whole(reply)
    return bytes(raw)


def check_whole(reply: http.client.HTTPResponse) -> None:
    """Raises FetchError if the connection ended before the announced length."""
    if reply.length:
        raise FetchError(f"{reply.length} bytes are missing at the end")
