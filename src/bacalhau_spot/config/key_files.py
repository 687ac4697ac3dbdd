"""Validates an SSH public key file."""

from __future__ import annotations

import base64
import binascii
from typing import Final

_TYPES: Final = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)


def public_key_problem(text: str) -> str | None:
    """The problem of a public key file's text; None for one valid public key."""
    if "PRIVATE KEY" in text:
        return (
            "holds a private key; name the public one, which usually ends in .pub. Nothing was sent anywhere"
        )
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        return "is empty; it must hold one SSH public key"
    if len(lines) > 1:
        return f"holds {len(lines)} lines; it must hold one SSH public key"
    kind, _, rest = lines[0].strip().partition(" ")
    if kind not in _TYPES:
        return f"holds no SSH public key; it must begin with {', '.join(_TYPES[:3])} or the like"
    return (
        None if _matches(kind, rest.strip().partition(" ")[0]) else "holds an SSH public key that is damaged"
    )


def _matches(kind: str, encoded: str) -> bool:
    """The key's own bytes begin with its kind, after four bytes of length."""
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    length = int.from_bytes(raw[:4], "big")
    return raw[4 : 4 + length] == kind.encode() and len(raw) > 4 + length


def certificate_problem(text: str) -> str | None:
    """The problem of a certificate file's text; None if it looks like PEM certificates without keys."""
    if "PRIVATE KEY" in text:
        return "holds a private key; name the file with the certificate alone"
    if "-----BEGIN CERTIFICATE-----" not in text or "-----END CERTIFICATE-----" not in text:
        return "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"
    return None
