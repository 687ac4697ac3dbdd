"""What a stranger answers costs the answer and nothing else: no traceback, no endless wait, no wrong address."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bacalhau_spot.cloud import advisor
from bacalhau_spot.cloud.public_ip import caller_address, public_address
from bacalhau_spot.cloud.web import FetchError, fetch
from support.certificates import self_signed
from support.misbehaving_servers import bad_server
from support.orchestrator import stand_in
from support.proxy import Proxy

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "AWS_CA_BUNDLE")
Stranger = Callable[[bytes], str]


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    """`stranger(bytes)` listens on loopback, says that to everybody who comes, and hangs up; empty: says nothing ever."""
    sockets: list[socket.socket] = []

    def serve(listener: socket.socket, words: bytes) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                sockets.append(client)
                client.recv(65536)
                if words:
                    client.sendall(words)
                    client.close()

    def start(words: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)
        threading.Thread(target=serve, args=(listener, words), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    for opened in sockets:
        opened.close()


def _http(body: bytes, *, head: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + head + b"Connection: close\r\n\r\n" + body


ANSWERS = {
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "an empty line": b"\r\n\r\n",
    "too many headers": _http(b"52.94.76.9", head=b"X-A: b\r\n" * 200),
    "a header too long": _http(b"52.94.76.9", head=b"X-A: " + b"b" * 70_000 + b"\r\n"),
    "a status that is none": b"HTTP/1.1 abc OK\r\n\r\n52.94.76.9",
    "bad chunks": _http(b"zz\r\n52.94.76.9\r\n", head=b"Transfer-Encoding: chunked\r\n"),
    "less than announced": _http(b"52.94.76.9", head=b"Content-Length: 100\r\n"),
    "a redirection to a file": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/hostname\r\nConnection: close\r\n\r\n",
    "an error": b"HTTP/1.1 500 No\r\nConnection: close\r\n\r\n52.94.76.9",
    "a page": _http(b"<html>sign in</html>"),
    "too much": _http(b"5" * 100_000),
    "no ASCII": _http("\uff15\uff12.94.76.9".encode()),
    "nothing": _http(b""),
    **{text: _http(text.encode()) for text in ("10.0.0.1", "0.0.0.0", "127.0.0.1", "2001:4860:4860::8888")},
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_no_public_address_is_none(stranger: Stranger, name: str) -> None:
    """T6: `http.client.HTTPException` ended the whole create; 10.0.0.1 and 0.0.0.0 were taken as they came."""
    assert asyncio.run(caller_address(stranger(ANSWERS[name]))) is None


@pytest.mark.parametrize("name", ANSWERS)
def test_the_same_answers_are_no_interruption_rates(stranger: Stranger, name: str) -> None:
    """T6, the same kind: the advisor's file comes the same way."""
    assert asyncio.run(advisor.interruption_rates(stranger(ANSWERS[name]))) is None


def test_rates_nested_deeply_are_none(stranger: Stranger) -> None:
    """T6: RecursionError."""
    assert asyncio.run(advisor.interruption_rates(stranger(_http(b"[" * 200_000)))) is None


def test_a_good_answer_is_the_address(stranger: Stranger) -> None:
    assert asyncio.run(caller_address(stranger(_http(b"52.94.76.9\n")))) == "52.94.76.9"


@pytest.mark.parametrize(
    "text",
    ["10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.1.1", "100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
     "198.18.0.1", "203.0.113.7", "", "x", "1.2.3", "52.94.76.9/0", "052.94.76.9"],
)  # fmt: skip
def test_an_address_that_the_internet_does_not_route_to_is_refused(text: str) -> None:
    """T6: RFC 1918, 6598, 5737, link-local, multicast and reserved ranges."""
    assert public_address(text) is None


def test_who_says_nothing_is_not_waited_for(stranger: Stranger) -> None:
    """T5: the time is for the whole answer and not for each byte; the thread left behind does not keep the program."""
    with pytest.raises(FetchError, match=r"no complete answer|timed out"):
        asyncio.run(fetch(stranger(b""), timeout_s=0.2, max_bytes=10))
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "fetch")


@pytest.fixture
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no authority of the environment."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_a_redirect_of_a_public_document_is_followed(stranger: Stranger) -> None:
    """Archives are stored elsewhere than their addresses say; ten times is enough."""
    target = stranger(_http(b"here"))
    moved = b"HTTP/1.1 302 Found\r\nLocation: %s\r\nConnection: close\r\n\r\n"
    assert asyncio.run(fetch(stranger(moved % target.encode()), timeout_s=5, max_bytes=10)) == b"here"
    with pytest.raises(FetchError, match="HTTP 302"):
        asyncio.run(fetch(stranger(moved % b"/"), timeout_s=5, max_bytes=10))


@pytest.mark.usefixtures("_bare")
@pytest.mark.parametrize(
    ("variable", "url", "line"),
    [
        ("http_proxy", "http://check.example/", "GET http://check.example/ HTTP/1.1"),
        ("https_proxy", "https://check.example/", "CONNECT check.example:443 HTTP/1."),
    ],
)
def test_the_proxy_of_the_way_to_aws_is_used_where_it_is_meant(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str, line: str
) -> None:
    with contextlib.closing(Proxy()) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        with pytest.raises(FetchError, match="502"):
            asyncio.run(fetch(url, timeout_s=5, max_bytes=10))
        assert len(proxy.lines) == 1 and proxy.lines[0].startswith(line)
        with bad_server(_http(b"itself")) as host:
            document = fetch(f"http://{host}/", timeout_s=5, max_bytes=10, proxies=False)
            assert asyncio.run(document) == b"itself"
        assert len(proxy.lines) == 1


@pytest.mark.usefixtures("_bare")
def test_the_authority_that_aws_is_asked_with_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that inspects TLS signs for every server: with AWS_CA_BUNDLE set, AWS's address check works as AWS does."""
    self_signed(tmp_path)
    with stand_in(tmp_path) as server:
        url = f"{server.url}/api/v1/agent/version"
        with pytest.raises(FetchError, match="certificate"):
            asyncio.run(fetch(url, timeout_s=5, max_bytes=1000))
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "server.pem"))
        assert b"v1.9.3" in asyncio.run(fetch(url, timeout_s=5, max_bytes=1000))
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
        with pytest.raises(FetchError, match=r"none\.pem"):
            asyncio.run(fetch(url, timeout_s=5, max_bytes=1000))
