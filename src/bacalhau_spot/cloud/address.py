"""The public address that AWS sees us from, for the one rule that lets the operator in."""

from __future__ import annotations

import asyncio
import ipaddress
import urllib.error
import urllib.request

# AWS's own service for the question; its answer is the address and a line end.
CHECKIP_URL = "https://checkip.amazonaws.com"
_TIMEOUT_S = 3.0


async def caller_address(url: str = CHECKIP_URL) -> str | None:
    """Our IPv4 address as the internet sees it; None when it cannot be found out within three seconds."""
    return await asyncio.get_running_loop().run_in_executor(None, _ask, url)


def _ask(url: str) -> str | None:
    request = urllib.request.Request(url, headers={"User-Agent": "bacalhau-spot"})  # noqa: S310 - a constant, or our sandbox
    # A proxy of the environment is for the way to AWS, not to an address that was given explicitly.
    proxies = urllib.request.ProxyHandler(None if url == CHECKIP_URL else {})
    try:
        with urllib.request.build_opener(proxies).open(request, timeout=_TIMEOUT_S) as reply:
            text = reply.read(64).decode("ascii", errors="replace").strip()
        return str(ipaddress.IPv4Address(text))
    except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError):
        return None
