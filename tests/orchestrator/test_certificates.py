"""The credentials of a managed orchestrator: the certificates that TLS accepts, and the times of renewal."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from bacalhau_spot.core.model import Secret
from bacalhau_spot.core.orchestrator.credentials import OrchestratorCredentials
from bacalhau_spot.orchestrator.certificates import (
    certificate_ends_at,
    needs_renewal,
    new_credentials,
    renewed,
)

NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
HOST = "127.0.0.9"
SAFE = set("0123456789abcdef")
# A standard parameter (SSM API reference, PutParameter).
PARAMETER_CHARACTERS = 4096


def certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def handshake(credentials: OrchestratorCredentials, folder: Path, *, name: str, ca_pem: str) -> None:
    """A TLS client that trusts only `ca_pem` connects to a server with this certificate. Raises ssl.SSLError."""
    (folder / "server.pem").write_text(credentials.server_pem)
    (folder / "server.key").write_text(credentials.server_key.reveal())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem", folder / "server.key")
    client = ssl.create_default_context(cadata=ca_pem)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    inside, outside = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(inside, server_side=True).close()
        except OSError:
            inside.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(outside, server_hostname=name):
            pass
    finally:
        outside.close()
        thread.join()


@pytest.mark.parametrize("host", [HOST, "2001:db8::1", "orchestrator.example.com"])
def test_tls_accepts_the_certificate_for_the_host_and_for_the_machine_itself(
    host: str, tmp_path: Path
) -> None:
    """With the strict rules that Python 3.13 applies by default."""
    credentials = new_credentials(host)
    for name in (host, "127.0.0.1", "localhost"):
        handshake(credentials, tmp_path, name=name, ca_pem=credentials.ca_pem)


def test_tls_refuses_another_host_and_another_authority(tmp_path: Path) -> None:
    credentials = new_credentials(HOST)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"127\.0\.0\.10"):
        handshake(credentials, tmp_path, name="127.0.0.10", ca_pem=credentials.ca_pem)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(credentials, tmp_path, name=HOST, ca_pem=new_credentials(HOST).ca_pem)


def test_the_authority_signs_servers_only_and_for_ten_years() -> None:
    authority = certificate(new_credentials(HOST, now=NOW).ca_pem)
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign and not usage.digital_signature
    key = authority.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    assert authority.not_valid_after_utc - NOW == dt.timedelta(days=3650)
    assert authority.not_valid_before_utc < NOW


def test_the_server_certificate_is_for_servers_and_clients() -> None:
    server = certificate(new_credentials(HOST).server_pem)
    purposes = server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(purposes) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_token_and_keys_are_safe_distinct_and_new_each_time() -> None:
    values = [
        value.reveal()
        for credentials in (new_credentials(HOST), new_credentials(HOST))
        for value in (credentials.token, credentials.operator_key, credentials.tool_key)
    ]
    assert len(set(values)) == 6
    for value in values:
        assert 20 <= len(value) <= 255 and set(value) <= SAFE


@pytest.mark.parametrize("host", [HOST, ".".join(["a" * 63] * 3 + ["b" * 61])])
def test_one_standard_parameter_holds_the_credentials(host: str) -> None:
    """With the longest DNS name, too."""
    credentials = new_credentials(host)
    text = credentials.to_json()
    assert len(text.reveal()) < PARAMETER_CHARACTERS
    assert OrchestratorCredentials.from_json(text) == credentials


def test_renewal_changes_the_server_certificate_and_nothing_else(tmp_path: Path) -> None:
    """Nodes trust the authority and have the token: a renewal does not concern them."""
    before = new_credentials(HOST)
    after = renewed(before, "orchestrator.example.com")
    assert after.host == "orchestrator.example.com"
    assert (after.server_pem, after.server_key) != (before.server_pem, before.server_key)
    for name in ("token", "operator_key", "tool_key", "ca_pem", "ca_key"):
        assert getattr(after, name) == getattr(before, name)
    handshake(after, tmp_path, name="orchestrator.example.com", ca_pem=before.ca_pem)


def test_the_last_year_and_another_host_need_a_renewal() -> None:
    credentials = new_credentials(HOST, now=NOW)
    ends = certificate_ends_at(credentials)
    assert ends - NOW == dt.timedelta(days=1825)
    assert not needs_renewal(credentials, HOST, now=NOW)
    assert needs_renewal(credentials, "other.example.com", now=NOW)
    assert not needs_renewal(credentials, HOST, now=ends - dt.timedelta(days=365))
    in_last_year = ends - dt.timedelta(days=364)
    assert needs_renewal(credentials, HOST, now=in_last_year)
    assert not needs_renewal(renewed(credentials, HOST, now=in_last_year), HOST, now=in_last_year)


def test_no_server_certificate_outlives_its_authority() -> None:
    credentials = new_credentials(HOST, now=NOW)
    late = renewed(credentials, HOST, now=NOW + dt.timedelta(days=3000))
    assert certificate_ends_at(late) == certificate(credentials.ca_pem).not_valid_after_utc
    # A renewal would gain nothing.
    assert not needs_renewal(late, HOST, now=NOW + dt.timedelta(days=3600))


def test_an_unreadable_authority_is_a_value_error() -> None:
    credentials = new_credentials(HOST)
    broken = OrchestratorCredentials.from_json(
        Secret(credentials.to_json().reveal().replace("BEGIN PRIVATE KEY", "BEGIN NOTHING"))
    )
    with pytest.raises(ValueError, match=r"."):
        renewed(broken, HOST)


def test_no_secret_is_in_the_repr() -> None:
    credentials = new_credentials(HOST)
    shown = repr(credentials)
    for secret in (credentials.token, credentials.operator_key, credentials.tool_key):
        assert secret.reveal() not in shown
    assert "PRIVATE KEY" not in shown


def test_the_library_is_loaded_only_to_make_a_certificate() -> None:
    """The program's other commands import this module, and `--help` must not wait for the library."""
    code = (
        "import sys, bacalhau_spot.cli.app, bacalhau_spot.orchestrator.certificates as certificates\n"
        "assert 'cryptography' not in sys.modules\n"
        "certificates.new_credentials('127.0.0.9')\n"
        "assert 'cryptography' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
