"""Fetching one public document, in the surroundings in which AWS is asked: its proxies and its authorities."""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar

from bacalhau_spot.http_client import (
    Failure,
    HttpError,
    Request,
    TransportError,
    exchange,
    trusted_authorities,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bacalhau_spot.http_client import Response

T = TypeVar("T")

_STALL_S: Final = 30.0  # between two bytes
_REDIRECTS: Final = 10


class FetchError(HttpError):
    """Why there is no document, in a few words."""


async def fetch(url: str, *, timeout_s: float, max_bytes: int, proxies: bool = True) -> bytes:
    """The document at `url`. Raises FetchError. Without `proxies`, those of the environment are not used."""

    def read(response: Response) -> bytes:
        return _found(response).read(max_bytes=max_bytes)

    return await _exchange(url, read, timeout_s=timeout_s, proxies=proxies)


async def consume(
    url: str, read: Callable[[Iterator[bytes]], T], *, timeout_s: float, proxies: bool = True
) -> T:
    """What `read` makes of the document's parts. Raises FetchError, also after `timeout_s` in all."""
    return await _exchange(
        url, lambda response: read(_found(response).chunks), timeout_s=timeout_s, proxies=proxies
    )


async def _exchange(url: str, read: Callable[[Response], T], *, timeout_s: float, proxies: bool) -> T:
    stall_s = min(timeout_s, _STALL_S)
    try:
        # Behind a proxy that inspects TLS its authority signs for everybody, not for AWS alone.
        tls = trusted_authorities(extra_file=os.environ.get("AWS_CA_BUNDLE")) if _is_secure(url) else None
        request = Request(
            url,
            total_s=timeout_s,
            connect_s=stall_s,
            read_s=stall_s,
            headers={"User-Agent": "bacalhau-spot"},
            redirects=_REDIRECTS,
            proxies=proxies,
            tls=tls,
        )
        return await exchange(request, read)
    except TransportError as error:
        late = f"no complete answer within {timeout_s:g} s"
        raise FetchError(late if error.failure is Failure.TIMEOUT else str(error)) from error


def _is_secure(url: str) -> bool:
    return url.startswith("https:")


def _found(response: Response) -> Response:
    if response.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise FetchError(f"HTTP {response.status}")
    return response
