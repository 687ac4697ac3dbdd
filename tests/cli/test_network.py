"""Between here and AWS: servers on loopback that misbehave, each told by what it does, after seconds and not minutes."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bacalhau_spot.cloud import session
from support.cli_runner import CliResult, CliRunner
from support.misbehaving_servers import HALF, SILENT, bad_server, closed_port, page


def refused(result: CliResult, *words: str) -> None:
    """Exit 1, nothing on stdout, all of the words."""
    assert result.code == 1, result.stdout + result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for part in ("hint: ", *words):
        assert part in result.stderr, result.stderr


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (SILENT, ["did not answer in time", "ReadTimeoutError", "explain time-out"]),
        (None, ["cut off", "explain cut-off"]),
        (HALF, ["is not AWS", "explain not-aws"]),
        (page("200 OK"), ["is not AWS", "explain not-aws"]),
        (page("302 Found"), ["is not AWS", "explain not-aws"]),
        (page("403 Forbidden", "<html>blocked"), ["is not AWS", "explain not-aws"]),
        (page("502 Bad Gateway", ""), ["an internal error", "explain aws-trouble"]),
        (page("407 Proxy Authentication Required"), ["HTTPS_PROXY", "explain proxy"]),
    ],
    ids=["silent", "hangs up", "half", "page", "redirect", "blocked", "gateway", "proxy"],
)
def test_what_answers_in_the_place_of_aws(
    program: CliRunner, monkeypatch: pytest.MonkeyPatch, answer: bytes | None, words: list[str]
) -> None:
    """A captive portal, a proxy, a firewall: none of them is a mistake of ours or a refusal of AWS."""
    monkeypatch.setattr(session, "WHO_AM_I_S", 0.1)
    with bad_server(answer) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{address}")
        refused(program("list"), *words)


def test_nobody_listens(program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and again for ten seconds."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{closed_port()}")
    refused(program("list"), "could not be reached", "EndpointConnectionError", "explain unreachable")


def test_a_name_that_dns_does_not_know(program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a region that is misspelt."""

    def unknown(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://sts.eu-wets-1.invalid")
    refused(program("list"), "DNS does not answer", "sts.eu-wets-1.invalid", "explain dns")


def test_a_proxy_that_is_not_there(program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is named, not AWS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://sts.invalid")
    monkeypatch.setenv("HTTP_PROXY", f"http://{closed_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    refused(program("list"), "the proxy between here and AWS", "unset HTTPS_PROXY", "explain proxy")


def test_plain_http_where_tls_should_be(program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """No certificate to speak of."""
    with bad_server(page("400 Bad Request")) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://{address}")
        refused(program("list"), "cannot establish a TLS connection", "SSLError", "explain tls")


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[str]:
    """A server with a certificate that nobody vouches for, as a proxy that inspects TLS connections has it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "stranger.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def test_a_certificate_that_nobody_knows(
    program: CliRunner, monkeypatch: pytest.MonkeyPatch, stranger: str
) -> None:
    """What helps is the proxy's own certificate, or the right time."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://{stranger}")
    refused(program("list"), "is not trusted here", "AWS_CA_BUNDLE", "explain certificate")
