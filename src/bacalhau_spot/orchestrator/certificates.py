"""The credentials of a managed orchestrator: its certificates, token and API keys.

x509_certificates.py, which loads the library `cryptography`, is imported only where a certificate is made or read.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import secrets
from typing import Final

from bacalhau_spot.core.model import Secret
from bacalhau_spot.core.orchestrator.credentials import OrchestratorCredentials

# `create` renews a server certificate in this last part of its time.
RENEWAL_DAYS: Final = 365
# Bytes of randomness. As hexadecimal digits, 64 characters: safe in YAML, in an environment file, in a URL and in a shell.
# Bacalhau accepts API keys of 20 to 255 characters.
_RANDOM_BYTES: Final = 32


def new_credentials(host: str, *, now: dt.datetime | None = None) -> OrchestratorCredentials:
    """Credentials for an orchestrator that nodes and operators reach at `host`, an IP address or a DNS name."""
    from bacalhau_spot.orchestrator import x509_certificates  # noqa: PLC0415 - see above

    authority = x509_certificates.new_authority(now=now or _now())
    server_pem, server_key = authority.server_certificate(host, now=now or _now())
    return OrchestratorCredentials(
        host=host,
        token=Secret(secrets.token_hex(_RANDOM_BYTES)),
        operator_key=Secret(secrets.token_hex(_RANDOM_BYTES)),
        tool_key=Secret(secrets.token_hex(_RANDOM_BYTES)),
        ca_pem=authority.pem,
        ca_key=authority.key_pem,
        server_pem=server_pem,
        server_key=server_key,
    )


def renewed(
    credentials: OrchestratorCredentials, host: str, *, now: dt.datetime | None = None
) -> OrchestratorCredentials:
    """The same authority, token and API keys, with a new server certificate. Nodes and clients keep their settings.

    Raises ValueError if the authority's certificate or key cannot be read.
    """
    from bacalhau_spot.orchestrator import x509_certificates  # noqa: PLC0415 - see above

    authority = x509_certificates.loaded_authority(credentials.ca_pem, credentials.ca_key)
    server_pem, server_key = authority.server_certificate(host, now=now or _now())
    return dataclasses.replace(credentials, host=host, server_pem=server_pem, server_key=server_key)


def check_authority(credentials: OrchestratorCredentials) -> None:
    """Raises ValueError if no certificate can be made with the authority."""
    from bacalhau_spot.orchestrator import x509_certificates  # noqa: PLC0415 - see above

    x509_certificates.loaded_authority(credentials.ca_pem, credentials.ca_key)


def certificate_ends_at(credentials: OrchestratorCredentials) -> dt.datetime:
    """The end of the server certificate. Raises ValueError if it cannot be read."""
    from bacalhau_spot.orchestrator import x509_certificates  # noqa: PLC0415 - see above

    return x509_certificates.end_of(credentials.server_pem)


def begun_at(credentials: OrchestratorCredentials) -> dt.datetime:
    """When authority and token were made. Raises ValueError if the authority's certificate cannot be read."""
    from bacalhau_spot.orchestrator import x509_certificates  # noqa: PLC0415 - see above

    return x509_certificates.begin_of(credentials.ca_pem)


def needs_renewal(credentials: OrchestratorCredentials, host: str, *, now: dt.datetime | None = None) -> bool:
    """Whether the server certificate is for another host, or in its last year. Raises ValueError if it cannot be read.

    No certificate outlives its authority: at the authority's end, a renewal gains nothing.
    """
    from bacalhau_spot.orchestrator import x509_certificates  # noqa: PLC0415 - see above

    if credentials.host != host:
        return True
    ends = certificate_ends_at(credentials)
    in_last_year = ends - (now or _now()) < dt.timedelta(days=RENEWAL_DAYS)
    return in_last_year and ends < x509_certificates.end_of(credentials.ca_pem)


def _now() -> dt.datetime:
    return dt.datetime.now(tz=dt.UTC)
