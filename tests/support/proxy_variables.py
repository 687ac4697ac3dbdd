"""A user behind a proxy that asks for a password."""

from __future__ import annotations

import pytest

from support.cli_runner import CliRunner

PROXY_PASSWORD = "planted-proxy-0123456789"


def proxies_of_the_user(user: CliRunner, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """AWS and every other server are asked through `proxy`."""
    for name in (
        "NO_PROXY",
        "no_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
        user.environ.pop(name, None)
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy)
        user.environ[name] = proxy
