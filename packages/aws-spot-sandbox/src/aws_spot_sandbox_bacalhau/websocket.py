"""The server's side of a WebSocket that sends some texts and closes (RFC 6455, sections 4.2.2, 5.2 and 5.5.1)."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE = 0x81, 0x88
_NORMAL = 1000
_SHORT, _MEDIUM = 125, 0xFFFF


def accept_key(key: str) -> str:
    """The value of Sec-WebSocket-Accept for a client's Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(f"{key}{_MAGIC}".encode()).digest()).decode()  # noqa: S324 - the protocol's


def messages(texts: Iterable[str]) -> bytes:
    """A frame for each text, and the frame that closes."""
    frames = [_frame(_TEXT, text.encode()) for text in texts]
    return b"".join([*frames, _frame(_CLOSE, _NORMAL.to_bytes(2, "big"))])


def _frame(kind: int, payload: bytes) -> bytes:
    size = len(payload)
    if size <= _SHORT:
        return bytes([kind, size]) + payload
    if size <= _MEDIUM:
        return bytes([kind, 126]) + size.to_bytes(2, "big") + payload
    return bytes([kind, 127]) + size.to_bytes(8, "big") + payload
