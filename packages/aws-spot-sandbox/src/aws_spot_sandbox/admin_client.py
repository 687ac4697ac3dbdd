"""HTTP client for the sandbox's own API (admin.py), on loopback."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

_TIMEOUT_S = 10.0
# Ignore proxy variables: loopback must not go through a proxy
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Unreachable(Exception):  # noqa: N818 - reads better without a suffix
    """No answer, or none of a sandbox. `timed_out`: a process listens at the address."""

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class Refused(Exception):  # noqa: N818 - reads better without a suffix
    """The sandbox refused the request; the text has the reason."""


def ask(url: str, method: str, verb: str, body: Any = None) -> Any:
    """Raises Unreachable or Refused."""
    data = json.dumps(body).encode() if body is not None else (b"" if method == "POST" else None)
    request = urllib.request.Request(f"{url}/_sandbox/{verb}", data=data, method=method)  # noqa: S310 - loopback
    try:
        with _OPENER.open(request, timeout=_TIMEOUT_S) as reply:
            return json.loads(reply.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            raise Refused(_why(refusal.read())) from refusal
    except (OSError, ValueError, EOFError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise Unreachable(str(reason), timed_out=isinstance(reason, TimeoutError)) from error


def _why(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:200]
