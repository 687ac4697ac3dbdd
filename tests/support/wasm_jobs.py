"""Jobs that need no Docker: the smallest programs that Bacalhau takes, as it takes them."""

from __future__ import annotations

import base64
import struct
from typing import Any


def _section(number: int, content: bytes) -> bytes:
    return bytes([number, len(content)]) + content


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def sleeping(seconds: float) -> bytes:
    """A program that exports _start, sleeps and ends. Bacalhau asks for the name section."""
    clock = struct.pack("<QBxxxxxxxIxxxxQQHxxxxxx", 0, 0, 1, int(seconds * 1e9), 0, 0)  # WASI's subscription
    # poll_oneoff(subscriptions at 0, events at 64, one, their number at 128)
    body = b"\x00\x41\x00\x41\xc0\x00\x41\x01\x41\x80\x01\x10\x00\x1a\x0b"
    return b"\x00asm\x01\x00\x00\x00" + b"".join(
        (
            _section(1, b"\x02\x60\x04\x7f\x7f\x7f\x7f\x01\x7f\x60\x00\x00"),
            _section(2, b"\x01" + _text("wasi_snapshot_preview1") + _text("poll_oneoff") + b"\x00\x00"),
            _section(3, b"\x01\x01"),
            _section(5, b"\x01\x00\x01"),
            _section(7, b"\x02" + _text("memory") + b"\x02\x00" + _text("_start") + b"\x00\x01"),
            _section(10, b"\x01" + bytes([len(body)]) + body),
            _section(11, b"\x01\x00\x41\x00\x0b" + bytes([len(clock)]) + clock),
            _section(0, _text("name") + b"\x01\x09\x01\x01\x06_start"),
        )
    )


def wasm_job(name: str, program: bytes, *, kind: str = "batch", **more: Any) -> dict[str, Any]:
    module = f"data:application/wasm;base64,{base64.b64encode(program).decode()}"
    task = {
        "Name": "main",
        "Engine": {"Type": "wasm", "Params": {"EntryModule": "/main.wasm", "Entrypoint": "_start"}},
        "InputSources": [{"Source": {"Type": "inline", "Params": {"URL": module}}, "Target": "/main.wasm"}],
    }
    return {
        "Name": name,
        "Namespace": "default",
        "Type": kind,
        "Count": 1,
        "Tasks": [{**task, **more}],
    }
