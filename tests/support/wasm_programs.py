"""WebAssembly programs for jobs on the real Bacalhau, assembled here: `echo`, and `echo` after some seconds of sleep.

Source: WebAssembly core specification 1.0, chapter 5 (binary format); WASI preview 1, `fd_write` and `poll_oneoff`.
"""

from __future__ import annotations

import base64
from typing import Any

_I32 = 0x7F
_FUNCTION, _MEMORY = 0x00, 0x02
# Addresses in the program's memory
_VECTOR, _SUBSCRIPTION, _EVENT, _WRITTEN, _TEXT = 16, 64, 128, 32, 256


def echo(text: str, *, sleep_s: float = 0) -> bytes:
    """A program that sleeps, then prints the text and a newline."""
    data = f"{text}\n".encode()
    vector = _TEXT.to_bytes(4, "little") + len(data).to_bytes(4, "little")
    # subscription: userdata, tag 0 (clock), clock 1 (monotonic), timeout in nanoseconds, precision, flags 0 (relative)
    clock = (1).to_bytes(8, "little") + int(sleep_s * 1e9).to_bytes(8, "little")
    subscription = bytes(8) + bytes(8) + clock + bytes(16)
    sleep = _call(1, _SUBSCRIPTION, _EVENT, 1, _WRITTEN) if sleep_s else b""
    body = b"\x00" + sleep + _call(0, 1, _VECTOR, 1, _WRITTEN) + b"\x0b"
    imports = [_import("fd_write", 0), _import("poll_oneoff", 0)]
    return b"\x00asm\x01\x00\x00\x00" + b"".join(
        (
            _section(1, [_type(4, result=True), _type(0, result=False)]),
            _section(2, imports),
            _section(3, [_number(1)]),
            _section(5, [b"\x00\x01"]),
            _section(7, [_export("memory", _MEMORY, 0), _export("_start", _FUNCTION, len(imports))]),
            _section(10, [_number(len(body)) + body]),
            _section(11, [_data(_VECTOR, vector), _data(_SUBSCRIPTION, subscription), _data(_TEXT, data)]),
            # Bacalhau expects the section of names
            _custom("name", b"\x01" + _sized(_number(1) + _number(len(imports)) + _sized(b"_start"))),
        )
    )


def job(name: str, program: bytes, **more: Any) -> dict[str, Any]:
    """A batch job that runs the program once."""
    module = f"data:application/wasm;base64,{base64.b64encode(program).decode()}"
    task = {
        "Name": "main",
        "Engine": {"Type": "wasm", "Params": {"EntryModule": "/main.wasm", "Entrypoint": "_start"}},
        "InputSources": [
            {"Source": {"Type": "inline", "Params": {"URL": module}}, "Target": "/main.wasm"},
        ],
        **more.pop("task", {}),
    }
    return {"Name": name, "Namespace": "default", "Type": "batch", "Count": 1, "Tasks": [task], **more}


def _call(function: int, *arguments: int) -> bytes:
    pushed = b"".join(b"\x41" + _signed(argument) for argument in arguments)
    return pushed + b"\x10" + _number(function) + b"\x1a"  # drop the result


def _number(value: int) -> bytes:
    """LEB128, unsigned."""
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _signed(value: int) -> bytes:
    """LEB128 of a number that is not negative: the last group has the sign bit clear."""
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        done = value == 0 and low < 0x40
        out.append(low | (0 if done else 0x80))
        if done:
            return bytes(out)


def _sized(data: bytes) -> bytes:
    return _number(len(data)) + data


def _section(number: int, entries: list[bytes]) -> bytes:
    return bytes([number]) + _sized(_number(len(entries)) + b"".join(entries))


def _custom(name: str, content: bytes) -> bytes:
    return b"\x00" + _sized(_sized(name.encode()) + content)


def _type(parameters: int, *, result: bool) -> bytes:
    return b"\x60" + _sized(bytes([_I32] * parameters)) + _sized(bytes([_I32] if result else []))


def _import(name: str, kind: int) -> bytes:
    return _sized(b"wasi_snapshot_preview1") + _sized(name.encode()) + b"\x00" + _number(kind)


def _export(name: str, kind: int, index: int) -> bytes:
    return _sized(name.encode()) + bytes([kind]) + _number(index)


def _data(at: int, content: bytes) -> bytes:
    return b"\x00\x41" + _signed(at) + b"\x0b" + _sized(content)
