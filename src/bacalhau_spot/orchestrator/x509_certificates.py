"""X.509 certificates of a managed orchestrator, with the library `cryptography`.

One certificate authority per orchestrator, trusted only by its nodes and its operator, signs the server certificate, which
serves the API and NATS. The certificates have the extensions that RFC 5280 requires: from version 3.13 on, Python rejects
others (`ssl.VERIFY_X509_STRICT`).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from bacalhau_spot.core.model import Secret

AUTHORITY_DAYS: Final = 3650
# At most to the authority's end. A short life would protect nothing: one parameter has both private keys.
SERVER_DAYS: Final = 1825
# The clock of a node or of the operator's machine may be late.
_BACKDATED: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return _pem(self.certificate)

    @property
    def key_pem(self) -> Secret:
        return _key_pem(self.key)

    def server_certificate(self, host: str, *, now: dt.datetime) -> tuple[str, Secret]:
        """A new certificate and its key. For clients, too: Bacalhau's NATS server connects to itself with it."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        until = min(now + dt.timedelta(days=SERVER_DAYS), self.certificate.not_valid_after_utc)
        certificate = (
            _begun("bacalhau-spot orchestrator", key, now=now, until=until)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )
        return _pem(certificate), _key_pem(key)


def new_authority(*, now: dt.datetime) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = "bacalhau-spot certificate authority"
    certificate = (
        _begun(name, key, now=now, until=now + dt.timedelta(days=AUTHORITY_DAYS))
        .issuer_name(_subject(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def loaded_authority(pem: str, key_pem: Secret) -> Authority:
    """Raises ValueError if the certificate or the key cannot be read."""
    key = serialization.load_pem_private_key(key_pem.reveal().encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not an elliptic-curve key")  # noqa: TRY004 - a stored value
    return Authority(x509.load_pem_x509_certificate(pem.encode()), key)


def end_of(pem: str) -> dt.datetime:
    """The end of a certificate. Raises ValueError if it cannot be read."""
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc


def begin_of(pem: str) -> dt.datetime:
    """When a certificate was made, by the clock of its maker. Raises ValueError if it cannot be read."""
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_before_utc + _BACKDATED


def _begun(
    name: str, key: ec.EllipticCurvePrivateKey, *, now: dt.datetime, until: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _names(host: str) -> list[x509.GeneralName]:
    """The host, and the machine itself: Bacalhau connects to its own NATS at 127.0.0.1."""
    names: list[x509.GeneralName] = []
    for name in dict.fromkeys((host, "127.0.0.1", "localhost")):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            names.append(x509.DNSName(name))
    return names


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _key_pem(key: ec.EllipticCurvePrivateKey) -> Secret:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Secret(pem.decode("ascii"))
