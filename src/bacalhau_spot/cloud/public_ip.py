"""The public address that AWS sees us from, for the one rule that lets the operator in."""

from __future__ import annotations

import ipaddress

from bacalhau_spot.cloud.web import FetchError, fetch

# AWS's own service for the question; its answer is the address and a line end.
CHECKIP_URL = "https://checkip.amazonaws.com"
_TIMEOUT_S = 3.0
_MAX_BYTES = 256


async def caller_address(url: str = CHECKIP_URL) -> str | None:
    """Our public IPv4 address; None when it cannot be found out within three seconds, or when the answer is no such address.

    The clusters' networks have no IPv6, so an IPv6 address would open nothing.
    """
    try:
        # A proxy of the environment is for the way to AWS, not to an address that was given explicitly.
        raw = await fetch(url, timeout_s=_TIMEOUT_S, max_bytes=_MAX_BYTES, proxies=url == CHECKIP_URL)
    except FetchError:
        return None
    return public_address(raw.decode("ascii", errors="replace").strip())


def public_address(text: str) -> str | None:
    """The address when it is one IPv4 address that the internet routes to; None for private, reserved and other ones."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return None
    routed = address.is_global and not address.is_multicast and not address.is_reserved
    return str(address) if routed else None
