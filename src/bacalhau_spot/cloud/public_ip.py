"""The operator's public address as AWS sees it, for the SSH rule."""

from __future__ import annotations

import ipaddress

from bacalhau_spot.cloud.web import FetchError, fetch

# AWS's service for this purpose; it returns the address and a newline.
CHECKIP_URL = "https://checkip.amazonaws.com"
_TIMEOUT_S = 3.0
_MAX_BYTES = 256


async def caller_address(url: str = CHECKIP_URL) -> str | None:
    """The public IPv4 address; None without a valid answer within three seconds.

    The clusters' networks have no IPv6, so an IPv6 address would not give access.
    """
    try:
        # An explicit address does not use the environment's proxy, which is for access to AWS.
        raw = await fetch(url, timeout_s=_TIMEOUT_S, max_bytes=_MAX_BYTES, proxies=url == CHECKIP_URL)
    except FetchError:
        return None
    return public_address(raw.decode("ascii", errors="replace").strip())


def public_address(text: str) -> str | None:
    """A globally routed IPv4 address; None for private, reserved and other addresses."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return None
    routed = address.is_global and not address.is_multicast and not address.is_reserved
    return str(address) if routed else None
