"""The content of the SSM parameter that a managed orchestrator and its nodes read: token, API keys and certificates."""

from __future__ import annotations

import json
import os
import ssl
import tempfile
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

_UNTRUSTED = "tls: failed to verify certificate: x509: certificate signed by unknown authority"


@dataclass(frozen=True)
class Credentials:
    """Keys and certificates are PEM."""

    host: str
    token: str
    operator_key: str
    tool_key: str
    ca_pem: str
    server_pem: str
    server_key: str

    @classmethod
    def read(cls, text: str) -> Credentials | None:
        """None if the parameter has another format."""
        try:
            data = json.loads(text)
            return cls(**{item.name: str(data[item.name]) for item in fields(cls)})
        except (ValueError, KeyError, TypeError):
            return None

    def server(self) -> ssl.SSLContext:
        """For a server with this certificate. Raises ssl.SSLError if certificate and key are not a pair."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:  # ssl reads keys from files only
            certificate, key = Path(folder, "server.pem"), Path(folder, "server.key")
            certificate.write_text(self.server_pem)
            descriptor = os.open(key, os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "w") as out:
                out.write(self.server_key)
            context.load_cert_chain(certificate, key)
        return context

    def problem(self) -> str:
        """Why no server can start with these; empty if it can."""
        try:
            self.server()
        except (ssl.SSLError, ValueError) as error:
            return f"the certificate or its key is not valid: {error}"
        return ""


@lru_cache(maxsize=256)
def distrust(ca_pem: str, credentials: Credentials, address: str) -> str:
    """Why a client with this authority rejects the server at this address; empty if it accepts it.

    Both sides of a handshake in memory: the check is the TLS library's own.
    """
    try:
        trusting = ssl.create_default_context(cadata=ca_pem or None)
        serving = credentials.server()
    except (ssl.SSLError, ValueError) as error:
        return f"tls: {error}"
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server, server_hostname=address)
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    try:
        _shake_hands(client, server)
    except ssl.SSLCertVerificationError as error:
        return f"{_UNTRUSTED} ({error.verify_message})"
    except ssl.SSLError as error:
        return f"tls: {error.reason}"
    return ""


def _shake_hands(client: ssl.SSLObject, server: ssl.SSLObject) -> None:
    for _ in range(8):  # TLS 1.3 needs three turns
        done = 0
        for side in (client, server):
            try:
                side.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                pass
        if done == 2:  # noqa: PLR2004 - both
            return
