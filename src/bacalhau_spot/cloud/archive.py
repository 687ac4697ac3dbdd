"""The SHA-256 sum of Bacalhau's release archive, as the operator's machine receives it."""

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
    """The sum of what `url` serves, in lower-case hexadecimal digits. Raises FetchError, also when it is no gzip archive."""
    return await consume(url, _digest, timeout_s=_TIMEOUT_S, proxies=not _is_loopback(url))


def _is_loopback(url: str) -> bool:
    """A proxy cannot reach this machine's own addresses."""
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
