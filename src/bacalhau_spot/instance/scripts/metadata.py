"""EC2's instance metadata service, version 2: every request carries a token from a PUT request."""

from __future__ import annotations

import urllib.error
import urllib.request

SERVICE = "http://169.254.169.254"
_TOKEN_LASTS_S = 21600
_UNKNOWN = 404
_TOKEN_OVER = 401


def opener() -> urllib.request.OpenerDirector:
    """A client for local services. No proxy: it would answer for another machine, or log the token."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Metadata:
    """`get` returns the text, or None for an unknown path. It raises OSError if the service does not answer."""

    def __init__(self, service: str = SERVICE, *, timeout_s: float = 2.0) -> None:
        self._service = service
        self._timeout_s = timeout_s
        self._token = ""
        self._opener = opener()
        self.date = ""  # of the last answer, by AWS's clock

    def get(self, path: str) -> str | None:
        fresh = not self._token
        try:
            return self._read(path)
        except urllib.error.HTTPError as error:
            if error.code == _UNKNOWN:
                return None
            if error.code != _TOKEN_OVER or fresh:
                raise
        self._token = ""
        return self.get(path)

    def _read(self, path: str) -> str:
        if not self._token:
            lasts = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_LASTS_S)}
            self._token = self._ask("PUT", "/latest/api/token", lasts)
        return self._ask("GET", f"/latest/meta-data/{path}", {"X-aws-ec2-metadata-token": self._token})

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> str:
        request = urllib.request.Request(self._service + path, headers=headers, method=method)
        with self._opener.open(request, timeout=self._timeout_s) as answer:
            text: str = answer.read().decode()
            self.date = answer.headers.get("Date", "")
            return text
