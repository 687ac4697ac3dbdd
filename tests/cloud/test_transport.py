"""One pool of connections for the clients of all regions, with botocore's authorities, proxies and timeouts."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.httpsession import URLLib3Session
from hypothesis import example, given
from hypothesis import strategies as st

from bacalhau_spot.cloud import transport
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.cloud.session import WHO_AM_I_S, Session
from support.certificates import self_signed
from support.proxy import Proxy

REGIONS = ("eu-west-1", "us-east-1", "ap-southeast-1")
REPLY = (
    b"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account><Arn>a</Arn><UserId>u</UserId>"
    b"</GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
)


class Sts(ThreadingHTTPServer):
    """Answers every request with an identity, and counts the connections."""

    daemon_threads = True
    connections = 0

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(REPLY)))
        self.end_headers()
        self.wfile.write(REPLY)

    def log_message(self, *args: object) -> None:
        """Nothing on the screen."""


@pytest.fixture
def sts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sts]:
    """A server with a certificate that only AWS_CA_BUNDLE knows."""
    self_signed(tmp_path)
    server = Sts(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "server.pem"))
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files of authorities that are read."""
    found: list[str] = []
    load = ssl.SSLContext.load_verify_locations

    def note(context: ssl.SSLContext, cafile: str | None = None, *others: Any, **more: Any) -> None:
        found.append(str(cafile))
        load(context, cafile, *others, **more)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", note)
    return found


def session_for(server: Sts) -> Session:
    url = f"https://127.0.0.1:{server.server_port}"
    return Session(AwsConnection(endpoint_url=url, access_key_id="a", secret_access_key="b"))


def identity(session: Session, region: str) -> Any:
    return session._call("sts", region, "get_caller_identity", {})["Account"]


def test_regions_share_connections_and_authorities(sts: Sts, reads: list[str], tmp_path: Path) -> None:
    session = session_for(sts)
    for region in (*REGIONS, *REGIONS):
        assert identity(session, region) == "123456789012"
    assert sts.connections == 1
    assert reads == [str(tmp_path / "server.pem")]
    session.close()


def test_parallel_calls_have_connections_of_their_own_and_read_authorities_once(
    sts: Sts, reads: list[str]
) -> None:
    session = session_for(sts)
    identity(session, REGIONS[0])
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda region=region: found.append(identity(session, region)))
        for region in REGIONS * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["123456789012"] * 9
    assert 1 <= sts.connections <= 10
    assert len(reads) == 1
    session.close()


def test_an_unknown_authority_is_refused(sts: Sts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after another session has trusted it: each has its own trust store."""
    trusting = session_for(sts)
    identity(trusting, REGIONS[0])
    (tmp_path / "other").mkdir()
    self_signed(tmp_path / "other")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "other" / "server.pem"))
    session = session_for(sts)
    with pytest.raises(CloudError) as caught:
        identity(session, REGIONS[0])
    assert caught.value.code == "SSLError"
    assert identity(trusting, REGIONS[1]) == "123456789012"


def test_a_certificate_for_another_host_is_refused(sts: Sts) -> None:
    """It is for 127.0.0.1. The trust store has it from a call before."""
    url = f"https://localhost:{sts.server_port}"
    session = session_for(sts)
    identity(session, REGIONS[0])
    session._access = replace(session._access, endpoint_url=url)
    session._clients.clear()
    with pytest.raises(CloudError) as caught:
        identity(session, REGIONS[0])
    assert caught.value.code == "SSLError"
    assert "localhost" in caught.value.message


def test_a_file_of_authorities_that_is_not_there(sts: Sts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nonexistent/bundle.pem")
    with pytest.raises(CloudError) as caught:
        identity(session_for(sts), REGIONS[0])
    assert caught.value.code == "SSLError"


def test_the_bundle_of_requests_is_the_second_choice(
    sts: Sts, reads: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "server.pem"))
    assert identity(session_for(sts), REGIONS[0]) == "123456789012"
    assert reads == [str(tmp_path / "server.pem")]


def test_aws_is_asked_through_the_proxy_unless_an_endpoint_is_named(
    sts: Sts, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy()
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    session = Session(AwsConnection(access_key_id="a", secret_access_key="b"))
    with pytest.raises(CloudError) as caught:
        identity(session, "eu-west-1")
    assert caught.value.code == "ProxyConnectionError"
    assert proxy.lines[0].startswith("CONNECT sts.eu-west-1.amazonaws.com:443")
    proxy.lines.clear()
    assert identity(session_for(sts), "eu-west-1") == "123456789012"
    assert proxy.lines == []
    proxy.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """(URL, pool) of every request, which is not sent."""
    found: list[tuple[str, Any]] = []

    def note(pool: Any, request: Any) -> None:
        found.append((request.url, pool))
        raise EndpointConnectionError(endpoint_url=request.url)

    monkeypatch.setattr(URLLib3Session, "send", note)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    return found


def ask(session: Session, service: str, region: str, operation: str) -> None:
    with pytest.raises(CloudError):
        session._call(service, region, operation, {})


KEYS = AwsConnection(access_key_id="a", secret_access_key="b")


def test_hosts_without_a_proxy_are_asked_directly(
    sent: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_PROXY names hosts, so that regions of one client may differ."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "ec2.us-west-2.amazonaws.com,.eu-west-1.amazonaws.com")
    session = Session(KEYS)
    for region in ("eu-west-1", "us-east-1", "us-west-2", "eu-west-1"):
        ask(session, "ec2", region, "describe_regions")
    proxies = [pool._proxy_config.proxy_url_for(url) for url, pool in sent]
    assert proxies == [None, "http://127.0.0.1:9", None, None]


def test_timeouts_are_the_clients(sent: list[tuple[str, Any]]) -> None:
    session = Session(KEYS)
    ask(session, "sts", "eu-west-1", "get_caller_identity")
    ask(session, "ec2", "eu-west-1", "describe_regions")
    ask(session, "ec2", "us-east-1", "describe_regions")
    timeouts = [(pool._timeout.connect_timeout, pool._timeout.read_timeout) for _, pool in sent]
    assert timeouts == [(5, WHO_AM_I_S), (5, 45), (5, 45)]
    assert sent[1][1] is sent[2][1]


@pytest.mark.parametrize(("value", "count"), [("true", 2), ("false", 1)])
def test_socket_options_are_botocores(
    value: str, count: int, sent: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTOCORE_TCP_KEEPALIVE", value)
    session = Session(KEYS)
    ask(session, "ec2", "eu-west-1", "describe_regions")
    own = session._client("ec2", "eu-west-1")._endpoint.http_session
    ((_, pool),) = sent
    assert pool is not own
    assert pool._socket_options == own._socket_options
    assert len(pool._socket_options) == count


def test_more_regions_than_urllib3_remembers_hosts(sent: list[tuple[str, Any]]) -> None:
    """Its pool of pools closes the connections to the eleventh host."""
    ask(Session(KEYS), "ec2", "eu-west-1", "describe_regions")
    ((_, pool),) = sent
    assert pool._manager.pools._maxsize == transport._HOSTS


@given(st.text())
@example("a b+c/d=e~f%00")
@example("".join(map(chr, range(128))))
def test_a_value_is_quoted_as_botocore_does(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    assert transport._quoted(text) == quote_plus(text)
    assert transport._quoted(text.encode()) == quote_plus(text.encode())
    assert transport._quoted(text, "/") == quote_plus(text, "/")
