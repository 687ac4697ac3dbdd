"""The SHA-256 sum of Bacalhau's release archive, as downloaded by the operator's machine."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bacalhau_spot.cloud.web import FetchError, consume

if TYPE_CHECKING:
    from collections.abc import Iterable

_TIMEOUT_S = 600.0
_MAX_BYTES = 1 << 30
_GZIP = b"\x1f\x8b"


async def digest(url: str) -> str:
    """The SHA-256 sum of the file at `url`, in lower-case hexadecimal. Raises FetchError, also if it is not gzip."""
    return await consume(url, _digest, timeout_s=_TIMEOUT_S, proxies=not _is_loopback(url))


def _is_loopback(url: str) -> bool:
    """Whether it is a loopback address, which a proxy cannot reach."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _digest(parts: Iterable[bytes]) -> str:
    found, size = hashlib.sha256(), 0
    for part in parts:
        if not size and not part.startswith(_GZIP):
            raise FetchError("the download is not a gzip archive")  # a sign-in page, for instance
        found.update(part)
        size += len(part)
        if size > _MAX_BYTES:
            raise FetchError(f"it is larger than {_MAX_BYTES >> 30} GiB")
    if not size:
        raise FetchError("the answer is empty")
    return found.hexdigest()
