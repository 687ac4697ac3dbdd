"""The way to the orchestrator's API: the proxies of the environment, and the authorities it trusts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.orchestrator.http import HttpOrchestrator
from bacalhau_spot.orchestrator.port import OrchestratorError
from support.certificates import self_signed
from support.orchestrator import stand_in
from support.proxy import Proxy

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.close()


def refusal(host: str) -> OrchestratorError:
    with pytest.raises(OrchestratorError) as caught:
        asyncio.run(HttpOrchestrator(host).nodes())
    return caught.value


@pytest.mark.parametrize(
    ("variable", "host", "line"),
    [
        ("HTTP_PROXY", "http://o.example", "GET http://o.example:1234/api/v1/orchestrator/nodes HTTP/1.1"),
        ("HTTPS_PROXY", "https://o.example", "CONNECT o.example:1234 HTTP/1."),
        ("ALL_PROXY", "http://o.example", "GET http://o.example:1234/api/v1/orchestrator/nodes HTTP/1.1"),
        ("ALL_PROXY", "https://o.example", "CONNECT o.example:1234 HTTP/1."),
    ],
)
def test_the_proxy_of_the_environment_is_asked(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, variable: str, host: str, line: str
) -> None:
    monkeypatch.setenv(variable.lower(), proxy.url)
    assert refusal(host).code == "OrchestratorUnreachable"
    assert len(proxy.lines) == 1 and proxy.lines[0].startswith(line)


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name is this machine."""
    real: Callable[..., Any] = socket.getaddrinfo

    def here(_host: object, port: object, *args: Any, **options: Any) -> Any:
        return real("127.0.0.1", port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", here)


@pytest.mark.usefixtures("resolved")
def test_a_host_of_no_proxy_is_asked_itself(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "o.example,.internal")
    with stand_in() as server:
        port = server.url.rpartition(":")[2]
        for host in ("o.example", "a.internal"):
            assert asyncio.run(HttpOrchestrator(f"http://{host}:{port}").nodes()) == ()
    assert proxy.lines == []


def test_the_authorities_of_ssl_cert_file_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    self_signed(tmp_path)
    with stand_in(tmp_path) as server:
        assert refusal(server.url).code == "OrchestratorTls"
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
        assert asyncio.run(HttpOrchestrator(server.url).nodes()) == ()
