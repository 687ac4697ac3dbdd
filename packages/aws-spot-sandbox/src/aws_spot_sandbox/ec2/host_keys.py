"""SSH host keys, which cloud-init makes at an instance's first boot and prints on its console.

Source of the form: cloud-init's module keys_to_console and its helper write-ssh-key-fingerprints; recorded consoles of
Ubuntu: the fingerprints through logger, with its priority and time, then the keys as they are in /etc/ssh.

The keys are public halves without private ones: no program answers for them. They depend on the instance's id alone.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_RSA_BYTES = 384
_CURVE = b"nistp256"


def keys_block(instance_id: str, host: str) -> list[str]:
    """The public keys between cloud-init's marks. `host`: the machine's own name, which is the keys' comment."""
    keys = [
        f"{name} {base64.b64encode(blob).decode()} root@{host}" for name, _, _, blob in _keys(instance_id)
    ]
    return ["-----BEGIN SSH HOST KEY KEYS-----", *keys, "-----END SSH HOST KEY KEYS-----"]


def fingerprints_block(instance_id: str, host: str, *, at: float) -> list[str]:
    """What `ssh-keygen -l` prints of each key, through logger. `at`: seconds since 1970."""
    prints = [
        f"{bits} SHA256:{base64.b64encode(sha256(blob).digest()).decode().rstrip('=')} root@{host} ({short})"
        for _, short, bits, blob in _keys(instance_id)
    ]
    frame = "#############################################################"
    begin, end = "-----BEGIN SSH HOST KEY FINGERPRINTS-----", "-----END SSH HOST KEY FINGERPRINTS-----"
    moment = datetime.fromtimestamp(at, UTC)
    prefix = f"<14>{moment:%b} {moment.day:2d} {moment:%H:%M:%S} cloud-init:"
    return [f"{prefix} {line}" for line in (frame, begin, *prints, end, frame)]


def _keys(instance_id: str) -> Iterator[tuple[str, str, int, bytes]]:
    """Type, short name, bits and data of each key, in the order of their files in /etc/ssh."""
    yield "ecdsa-sha2-nistp256", "ECDSA", 256, _fields(b"ecdsa-sha2-nistp256", _CURVE, _point(instance_id))
    yield "ssh-ed25519", "ED25519", 256, _fields(b"ssh-ed25519", _bytes(instance_id, "ed25519", 32))
    modulus = bytearray(_bytes(instance_id, "rsa", _RSA_BYTES))
    modulus[0] |= 0x80
    modulus[-1] |= 1
    yield "ssh-rsa", "RSA", 8 * _RSA_BYTES, _fields(b"ssh-rsa", b"\x01\x00\x01", b"\x00" + bytes(modulus))


def _point(instance_id: str) -> bytes:
    """A point of the curve, which ssh checks."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - slow, and only consoles need it
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - as above

    number = int.from_bytes(_bytes(instance_id, "ecdsa", 31)) + 1
    public = ec.derive_private_key(number, ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _bytes(instance_id: str, name: str, count: int) -> bytes:
    blocks = (sha256(f"{instance_id} {name} {number}".encode()).digest() for number in range(count // 32 + 1))
    return b"".join(blocks)[:count]


def _fields(*fields: bytes) -> bytes:
    """RFC 4251, section 5: each field after its length."""
    return b"".join(len(field).to_bytes(4) + field for field in fields)
